//! Which contexts of a kubeconfig are for which clusters.

use std::collections::BTreeMap;

use http::Uri;
use kube::config::Kubeconfig;

/// The contexts of a kubeconfig, with what says of which cluster they are.
#[derive(Debug)]
pub(crate) struct Contexts {
    /// The current context first, then the others in their order.
    contexts: Vec<Context>,
    /// What users say: contexts by names or servers of clusters.
    chosen: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Context {
    name: String,
    /// What the kubeconfig calls its cluster.
    cluster: String,
    server: Option<String>,
}

/// A cluster, as Argo CD knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) server: Option<&'a str>,
    /// What EKS calls it, where Argo CD logs in by AWS.
    pub(crate) eks_name: Option<&'a str>,
}

/// There is no context for a cluster, or not one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum ContextError {
    #[error("no context of the kubeconfig has its server, its name or its ARN")]
    None,
    #[error("several contexts of the kubeconfig may be its own: {}", .0.join(", "))]
    Several(Vec<String>),
    #[error("the kubeconfig has no context {0}")]
    Missing(String),
}

impl Contexts {
    /// Those of a kubeconfig. What users choose is by the name or the server of a cluster.
    pub(crate) fn new(kubeconfig: &Kubeconfig, chosen: BTreeMap<String, String>) -> Self {
        let server_of = |cluster: &str| {
            let named = kubeconfig.clusters.iter().find(|one| one.name == cluster);
            named?.cluster.as_ref()?.server.clone()
        };
        let mut contexts: Vec<Context> = kubeconfig
            .contexts
            .iter()
            .filter_map(|one| {
                let cluster = one.context.as_ref()?.cluster.clone();
                Some(Context {
                    name: one.name.clone(),
                    server: server_of(&cluster),
                    cluster,
                })
            })
            .collect();
        let current = kubeconfig.current_context.as_deref();
        contexts.sort_by_key(|one| Some(one.name.as_str()) != current);
        Contexts { contexts, chosen }
    }

    /// The context for a cluster: the one that was chosen for it; or else one with its server, of
    /// which the current one is taken first, as they differ in their users only; or else one with
    /// its name; or else one that has the ARN of an EKS cluster of its name.
    ///
    /// # Errors
    /// There is none, or more than one that may be of different clusters.
    pub(crate) fn of(&self, wanted: Wanted<'_>) -> Result<&str, ContextError> {
        let mut names = [wanted.name, wanted.server].into_iter().flatten();
        if let Some(chosen) = names.find_map(|name| self.chosen.get(name)) {
            return match self.contexts.iter().find(|one| one.name == *chosen) {
                Some(context) => Ok(&context.name),
                None => Err(ContextError::Missing(chosen.clone())),
            };
        }
        let has_server = |one: &&Context| match (one.server.as_deref(), wanted.server) {
            (Some(own), Some(wanted)) => is_same_server(own, wanted),
            _ => false,
        };
        if let Some(context) = self.contexts.iter().find(has_server) {
            return Ok(&context.name);
        }
        let is_named = |one: &Context| {
            let own = [one.name.as_str(), one.cluster.as_str()];
            wanted.name.is_some_and(|name| own.contains(&name))
        };
        let is_arn_of = |one: &Context, name: Option<&str>| {
            let own = [&one.name, &one.cluster];
            name.is_some_and(|name| own.into_iter().any(|arn| eks_name(arn) == Some(name)))
        };
        let ways: [&dyn Fn(&Context) -> bool; 3] =
            [&is_named, &|one| is_arn_of(one, wanted.eks_name), &|one| {
                is_arn_of(one, wanted.name)
            }];
        for fits in ways {
            let fitting: Vec<_> = self.contexts.iter().filter(|one| fits(one)).collect();
            if let Some(context) = only(&fitting)? {
                return Ok(&context.name);
            }
        }
        Err(ContextError::None)
    }
}

/// The one of several contexts, or the first of those that are of one cluster.
fn only<'c>(fitting: &[&'c Context]) -> Result<Option<&'c Context>, ContextError> {
    let Some((first, others)) = fitting.split_first() else {
        return Ok(None);
    };
    if others.iter().all(|other| other.cluster == first.cluster) {
        return Ok(Some(first));
    }
    let names = fitting.iter().map(|one| one.name.clone()).collect();
    Err(ContextError::Several(names))
}

/// Whether two addresses are of one server: scheme and host in any case, a port that goes without
/// saying, and no slash at the end.
fn is_same_server(one: &str, other: &str) -> bool {
    let parts = |text: &str| {
        let uri: Uri = text.trim_end_matches('/').parse().ok()?;
        let scheme = uri.scheme_str()?.to_lowercase();
        let port = uri.port_u16().or(match scheme.as_str() {
            "https" => Some(443),
            "http" => Some(80),
            _ => None,
        });
        let path = uri.path().trim_end_matches('/').to_owned();
        Some((scheme, uri.host()?.to_lowercase(), port, path))
    };
    match (parts(one), parts(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// The name of a cluster in `arn:aws:eks:REGION:ACCOUNT:cluster/NAME`.
fn eks_name(arn: &str) -> Option<&str> {
    let mut parts = arn.splitn(6, ':');
    let is_of_eks = parts.next() == Some("arn") && parts.nth(1) == Some("eks");
    let resource = parts.nth(2)?;
    resource.strip_prefix("cluster/").filter(|_| is_of_eks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contexts(chosen: &[(&str, &str)]) -> Contexts {
        let yaml = "
current-context: prod-admin
clusters:
- {name: prod, cluster: {server: 'https://prod.example.com'}}
- {name: 'arn:aws:eks:eu-west-1:111122223333:cluster/orders', cluster: {server: 'https://A.example.com'}}
- {name: 'arn:aws:eks:us-east-1:111122223333:cluster/orders', cluster: {server: 'https://B.example.com'}}
- {name: 'arn:aws:eks:eu-west-1:111122223333:cluster/cart', cluster: {server: 'https://C.example.com'}}
- {name: staging, cluster: {}}
contexts:
- {name: prod-reader, context: {cluster: prod, user: reader}}
- {name: prod-admin, context: {cluster: prod, user: admin}}
- {name: orders-eu, context: {cluster: 'arn:aws:eks:eu-west-1:111122223333:cluster/orders', user: a}}
- {name: orders-us, context: {cluster: 'arn:aws:eks:us-east-1:111122223333:cluster/orders', user: a}}
- {name: cart, context: {cluster: 'arn:aws:eks:eu-west-1:111122223333:cluster/cart', user: a}}
- {name: staging, context: {cluster: staging, user: a}}
- {name: broken}
";
        let own = |pair: &(&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
        Contexts::new(
            &Kubeconfig::from_yaml(yaml).unwrap(),
            chosen.iter().map(own).collect(),
        )
    }

    #[test]
    fn a_context_is_found_by_server_then_name_then_arn() {
        let contexts = contexts(&[]);
        let of = |name: &'static str, server: &'static str, eks: Option<&'static str>| {
            contexts.of(Wanted {
                name: Some(name),
                server: Some(server),
                eks_name: eks,
            })
        };
        assert_eq!(
            of("x", "https://PROD.example.com:443/", None),
            Ok("prod-admin")
        );
        assert_eq!(of("staging", "https://10.0.0.1", None), Ok("staging"));
        assert_eq!(of("shop", "https://10.0.0.1", Some("cart")), Ok("cart"));
        assert_eq!(of("cart", "https://10.0.0.1", None), Ok("cart"));
        assert_eq!(
            of("orders", "https://10.0.0.1", None),
            Err(ContextError::Several(vec![
                "orders-eu".to_owned(),
                "orders-us".to_owned()
            ]))
        );
        assert_eq!(of("orders", "https://b.example.com", None), Ok("orders-us"));
        assert_eq!(
            of("other", "https://10.0.0.1", None),
            Err(ContextError::None)
        );
        assert_eq!(of("other", "not an address", None), Err(ContextError::None));
    }

    #[test]
    fn what_users_choose_comes_first() {
        let contexts = contexts(&[("orders", "orders-eu"), ("https://x", "gone")]);
        let named = |name| Wanted {
            name: Some(name),
            server: Some("https://prod.example.com"),
            eks_name: None,
        };
        assert_eq!(contexts.of(named("orders")), Ok("orders-eu"));
        assert_eq!(contexts.of(named("prod")), Ok("prod-admin"));
        let by_server = Wanted {
            name: None,
            server: Some("https://x"),
            eks_name: None,
        };
        let missing = ContextError::Missing("gone".to_owned());
        assert_eq!(contexts.of(by_server), Err(missing));
    }
}
