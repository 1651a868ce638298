//! Which cluster of a fleet somebody means.

use argocd::Cluster;

use crate::error::CommandError;

/// What may stand before the name of a Secret, as `cluster list -o name` prints it.
const SECRET: &str = "secret/";

/// What was typed means none, or several.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NamedError {
    #[error("there is no cluster {meant} in namespace {namespace}")]
    None { meant: String, namespace: String },
    #[error("{meant} may be several clusters: {candidates}")]
    Several { meant: String, candidates: String },
}

impl From<NamedError> for CommandError {
    fn from(error: NamedError) -> Self {
        let hint = match &error {
            NamedError::None { .. } => "`kubectl gitops cluster list` shows all that there are",
            NamedError::Several { .. } => {
                "name the Secret of the one that is meant, with `secret/` before it"
            }
        };
        CommandError::new(error).hinted(hint)
    }
}

/// The one cluster of a name, a server, or a Secret's name.
///
/// # Errors
/// There is none, or there are several.
pub(crate) fn named<'c, T>(
    meant: &str,
    namespace: &str,
    all: impl IntoIterator<Item = &'c T>,
    cluster: impl Fn(&T) -> &Cluster,
) -> Result<&'c T, NamedError> {
    let found = all.into_iter().filter(|one| means(meant, cluster(one)));
    let found: Vec<&T> = found.collect();
    match &*found {
        [one] => Ok(one),
        [] => Err(NamedError::None {
            meant: meant.to_owned(),
            namespace: namespace.to_owned(),
        }),
        several => {
            let candidates = several.iter().map(|one| candidate(cluster(one)));
            Err(NamedError::Several {
                meant: meant.to_owned(),
                candidates: candidates.collect::<Vec<_>>().join(", "),
            })
        }
    }
}

fn candidate(cluster: &Cluster) -> String {
    let Cluster { name, server, .. } = cluster;
    match &*cluster.secret_name {
        "" => format!("the one that Argo CD runs in ({server})"),
        secret => format!("{SECRET}{secret} ({name}, {server})"),
    }
}

fn means(meant: &str, cluster: &Cluster) -> bool {
    let Cluster {
        secret_name,
        name,
        server,
        ..
    } = cluster;
    match meant.strip_prefix(SECRET) {
        // What has no Secret, or no name, has an empty one.
        _ if meant.is_empty() || meant == SECRET => false,
        Some(secret) => secret_name == secret,
        None => secret_name == meant || name == meant || server == meant.trim_end_matches('/'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(secret: &str, name: &str, server: &str) -> Cluster {
        Cluster {
            secret_name: secret.to_owned(),
            name: name.to_owned(),
            server: server.to_owned(),
            ..Cluster::default()
        }
    }

    fn fleet() -> Vec<Cluster> {
        vec![
            cluster("cluster-orders", "orders", "https://orders.example.com"),
            cluster("orders", "other", "https://other.example.com"),
            cluster("cluster-a", "twice", "https://a.example.com"),
            cluster("cluster-b", "twice", "https://b.example.com"),
            cluster("", "in-cluster", "https://kubernetes.default.svc"),
        ]
    }

    fn secret_of(meant: &str) -> Result<String, String> {
        let fleet = fleet();
        let found = named(meant, "argocd", &fleet, |one| one);
        let secret = found.map(|one| one.secret_name.clone());
        secret.map_err(|error| error.to_string())
    }

    #[test]
    fn a_cluster_is_named_by_its_name_its_server_or_its_secret() {
        for (meant, secret) in [
            ("other", "orders"),
            ("https://orders.example.com", "cluster-orders"),
            ("https://orders.example.com/", "cluster-orders"),
            ("cluster-orders", "cluster-orders"),
            ("secret/cluster-orders", "cluster-orders"),
            // Also where another has the name.
            ("secret/orders", "orders"),
            ("cluster-b", "cluster-b"),
            ("in-cluster", ""),
        ] {
            assert_eq!(secret_of(meant).as_deref(), Ok(secret), "{meant}");
        }
    }

    #[test]
    fn nobody_guesses_which_of_several_is_meant() {
        let of_two = secret_of("orders").unwrap_err();
        assert_eq!(
            of_two,
            "orders may be several clusters: secret/cluster-orders (orders, https://orders.example.com), \
             secret/orders (other, https://other.example.com)"
        );
        assert!(secret_of("twice").unwrap_err().contains("secret/cluster-b"));
        for nothing in ["", "nobody", "secret/", "secret/twice", "https://"] {
            let error = secret_of(nothing).unwrap_err();
            assert_eq!(
                error,
                format!("there is no cluster {nothing} in namespace argocd")
            );
        }
    }
}
