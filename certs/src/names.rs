use rustls_pki_types::DnsName;

/// The DNS names by which a Service is called inside its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceNames {
    service: String,
    names: [DnsName<'static>; 3],
}

/// A Service or namespace name that no Service can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("service {service:?} in namespace {namespace:?} makes no DNS name")]
pub struct InvalidServiceName {
    service: String,
    namespace: String,
}

impl ServiceNames {
    /// Forms the names of `service` in `namespace`.
    ///
    /// # Errors
    ///
    /// Either of them is not a single DNS label.
    pub fn new(service: &str, namespace: &str) -> Result<Self, InvalidServiceName> {
        let invalid = || InvalidServiceName {
            service: service.into(),
            namespace: namespace.into(),
        };
        // A dot would move the name into another namespace: service "a.b" in "c" reads as service
        // "a" in "b.c".
        if service.contains('.') || namespace.contains('.') {
            return Err(invalid());
        }
        let name = |suffix| {
            DnsName::try_from(format!("{service}.{namespace}{suffix}")).map_err(|_| invalid())
        };
        Ok(Self {
            service: service.into(),
            names: [name(".svc")?, name(".svc.cluster.local")?, name("")?],
        })
    }

    /// The name that the API server asks for when it calls a webhook by its Service:
    /// `SERVICE.NAMESPACE.svc`.
    pub fn api_server(&self) -> &DnsName<'static> {
        &self.names[0]
    }

    /// All the names, that of the API server first.
    pub fn iter(&self) -> impl Iterator<Item = &DnsName<'static>> {
        self.names.iter()
    }

    /// The Service's own name, without its namespace.
    pub fn service(&self) -> &str {
        &self.service
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_cluster_dns_and_the_api_servers_comes_first() {
        let names = ServiceNames::new("gitops-webhook", "platform").unwrap();
        assert_eq!(
            names.iter().map(AsRef::as_ref).collect::<Vec<_>>(),
            [
                "gitops-webhook.platform.svc",
                "gitops-webhook.platform.svc.cluster.local",
                "gitops-webhook.platform"
            ]
        );
        assert_eq!(names.api_server().as_ref(), "gitops-webhook.platform.svc");
    }

    #[test]
    fn what_is_not_one_label_is_refused() {
        for (service, namespace) in [
            ("", "platform"),
            ("gitops-webhook", ""),
            ("a.b", "c"),
            ("a", "b.c"),
            ("a b", "c"),
            ("*", "c"),
        ] {
            let error = ServiceNames::new(service, namespace).unwrap_err();
            assert!(
                error.to_string().contains(&format!("{service:?}")),
                "{error}"
            );
        }
        assert!(ServiceNames::new(&"x".repeat(64), "platform").is_err());
    }
}
