//! Whether a cluster has access entries.

use crate::onboarding::change::{ClusterChange, eks_command};
use crate::onboarding::facts::Lookup;
use crate::onboarding::link::{Link, LinkName};
use crate::onboarding::registration::Evidence;

const LINK: LinkName = LinkName::AuthenticationMode;
const EXPECTED: &str = "API_AND_CONFIG_MAP or API";

pub(super) fn judge(evidence: Evidence<'_>) -> Link {
    let name = &evidence.registration.eks_cluster;
    let cluster = match &evidence.aws.cluster {
        Lookup::Known(cluster) => cluster,
        Lookup::Absent => {
            return Link::missing(LINK, format!("there is no cluster {name}"))
                .expecting(EXPECTED)
                .because("EKS knows no cluster of this name in this account and region")
                .by_hand("name the cluster by --eks-cluster, its region by --region and its account by --profile");
        }
        Lookup::Unknown(reason) => return Link::unknown(LINK, reason).expecting(EXPECTED),
    };
    if let Some(status @ ("CREATING" | "DELETING" | "FAILED" | "PENDING")) =
        cluster.status.as_deref()
    {
        return Link::wrong(LINK, format!("the cluster is {status}"))
            .expecting("a cluster that is ACTIVE")
            .because("a cluster lets nobody in before it is created, nor once it is deleted")
            .by_hand(eks_command(
                "eks wait cluster-active",
                &[("--name", name)],
                &evidence.registration.login,
            ));
    }
    let access = cluster.access_config.as_ref();
    match access.and_then(|access| access.authentication_mode.as_deref()) {
        Some(mode @ ("API" | "API_AND_CONFIG_MAP")) => Link::ok(LINK, mode),
        Some("CONFIG_MAP") => Link::wrong(LINK, "CONFIG_MAP")
            .expecting(EXPECTED)
            .because(
                "the cluster knows principals by its aws-auth ConfigMap alone and has no access entries; \
                 with API_AND_CONFIG_MAP it has both, and there is no way back",
            )
            .changed_by([ClusterChange::AllowAccessEntries
                .of(name)
                .in_cluster_account()]),
        Some(other) => Link::unknown(LINK, format!("{other} is not a mode that is known here"))
            .expecting(EXPECTED),
        None => Link::unknown(LINK, "the cluster's accessConfig.authenticationMode is not told")
            .expecting(EXPECTED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onboarding::link::State;
    use crate::onboarding::testing::{Case, commands};

    fn judged(change: impl FnOnce(&mut Case)) -> Link {
        Case::with(change, judge)
    }

    #[test]
    fn a_cluster_with_access_entries_is_ok() {
        assert_eq!(judged(|_| {}).state, State::Ok);
        let link = judged(|case| case.authentication_mode("API"));
        assert_eq!(link.state, State::Ok);
    }

    #[test]
    fn one_with_the_config_map_alone_is_changed() {
        let link = judged(|case| case.authentication_mode("CONFIG_MAP"));
        assert_eq!(link.state, State::Wrong);
        assert!(link.detail.contains("no way back"));
        assert_eq!(
            commands(&link),
            [
                "aws eks update-cluster-config --name prod-eu --access-config authenticationMode=API_AND_CONFIG_MAP --region eu-central-1 && aws eks wait cluster-active --name prod-eu --region eu-central-1"
            ]
        );
    }

    #[test]
    fn what_is_not_told_is_not_known() {
        assert_eq!(
            judged(|case| case.authentication_mode("SOMETHING")).state,
            State::Unknown
        );
        assert_eq!(
            judged(|case| case.cluster().access_config = None).state,
            State::Unknown
        );
        let link = judged(|case| case.aws.cluster = Lookup::Unknown("denied".to_owned()));
        assert_eq!((link.state, &*link.detail), (State::Unknown, "denied"));
    }

    #[test]
    fn no_cluster_is_missing_and_one_that_goes_is_wrong() {
        assert_eq!(
            judged(|case| case.aws.cluster = Lookup::Absent).state,
            State::Missing
        );
        let link = judged(|case| case.cluster().status = Some("DELETING".to_owned()));
        assert_eq!(link.state, State::Wrong);
    }
}
