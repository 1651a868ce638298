//! Where the cluster's API server is, and from where it can be reached.

use std::net::IpAddr;

use crate::onboarding::change::eks_command;
use crate::onboarding::facts::{EksCluster, Lookup, Reachability};
use crate::onboarding::link::{Link, LinkName};
use crate::onboarding::registration::Evidence;

const LINK: LinkName = LinkName::Endpoint;
const EXPECTED: &str = "an API server that Argo CD's pods can reach";
const PRIVATE: &str = "Argo CD's pods need a route to it and its private name: a peering or transit gateway, and the \
                       private DNS of the cluster's VPC";

pub(super) fn judge(evidence: Evidence<'_>) -> Link {
    let cluster = match &evidence.aws.cluster {
        Lookup::Known(cluster) => cluster,
        Lookup::Absent => return Link::missing(LINK, "there is no cluster").expecting(EXPECTED),
        Lookup::Unknown(reason) => return Link::unknown(LINK, reason).expecting(EXPECTED),
    };
    let Some(endpoint) = cluster
        .endpoint
        .as_deref()
        .filter(|endpoint| !endpoint.is_empty())
    else {
        return Link::missing(LINK, "the cluster has no endpoint yet")
            .expecting(EXPECTED)
            .by_hand(eks_command(
                "eks wait cluster-active",
                &[("--name", &cluster.name)],
                &evidence.registration.login,
            ));
    };
    if let Some(server) = &evidence.registration.server
        && !evidence.registration.capability
        && server.trim_end_matches('/') != endpoint
    {
        return Link::unknown(
            LINK,
            format!("{server} is not the cluster's endpoint, {endpoint}"),
        )
        .expecting(EXPECTED)
        .noting("its certificate must be for that name and of the cluster's authority");
    }
    let (link, is_for_certain) = by_configuration(evidence, cluster, endpoint);
    let link = match (&evidence.aws.reachability, is_for_certain) {
        (Lookup::Known(Reachability::Answers), false) => Link::ok(LINK, endpoint).noting(
            "it answers here; whether it does so to Argo CD's pods, `cluster verify` tells",
        ),
        (Lookup::Known(Reachability::Answers), true) => link.noting("it answers here"),
        (Lookup::Known(Reachability::DoesNot(reason)), _) => {
            link.noting(&format!("it does not answer here: {reason}"))
        }
        (Lookup::Absent | Lookup::Unknown(_), _) => link,
    };
    link.expecting(EXPECTED)
}

/// What the cluster's configuration says of it, and whether no answer from here would change that.
fn by_configuration(evidence: Evidence<'_>, cluster: &EksCluster, endpoint: &str) -> (Link, bool) {
    if evidence.registration.capability {
        let link = Link::ok(LINK, endpoint).because("EKS leads the Argo CD that AWS manages to it");
        return (link, true);
    }
    let vpc = cluster.resources_vpc_config.as_ref();
    let public = vpc.and_then(|vpc| vpc.endpoint_public_access);
    let private = vpc.and_then(|vpc| vpc.endpoint_private_access);
    match (public, private) {
        (Some(true), _) => of_public(evidence, cluster, endpoint),
        (Some(false), Some(true)) => {
            let told = format!("{endpoint} is private");
            (Link::unknown(LINK, format!("{told}: {PRIVATE}")), false)
        }
        (Some(false), _) => (
            Link::wrong(LINK, format!("{endpoint} is neither public nor private"))
                .because("nobody can reach it")
                .by_hand(open(evidence, "endpointPrivateAccess=true")),
            true,
        ),
        (None, _) => {
            let reason = "the cluster's resourcesVpcConfig.endpointPublicAccess is not told";
            (Link::unknown(LINK, reason), false)
        }
    }
}

fn of_public(evidence: Evidence<'_>, cluster: &EksCluster, endpoint: &str) -> (Link, bool) {
    let vpc = cluster.resources_vpc_config.as_ref();
    let ranges = vpc.and_then(|vpc| vpc.public_access_cidrs.as_deref());
    let Some(ranges) = ranges else {
        let reason = "the cluster's resourcesVpcConfig.publicAccessCidrs is not told";
        return (Link::unknown(LINK, reason), false);
    };
    if let Some(broken) = ranges.iter().find(|range| !is_range(range)) {
        return (
            Link::unknown(LINK, format!("{broken:?} is not a range of addresses")),
            false,
        );
    }
    if ranges.iter().any(|range| range == "0.0.0.0/0") {
        return (Link::ok(LINK, format!("{endpoint} is public")), true);
    }
    if ranges.is_empty() {
        let link = Link::wrong(LINK, format!("{endpoint} is public for no address"))
            .because("publicAccessCidrs is empty")
            .by_hand(open(
                evidence,
                "publicAccessCidrs=ADDRESS_OF_THE_NAT_GATEWAY/32",
            ));
        return (link, false);
    }
    let ranges = ranges.join(", ");
    let link = Link::unknown(
        LINK,
        format!(
            "{endpoint} is public for {ranges}: the addresses by which Argo CD's pods leave their VPC (those of its NAT \
             gateways) must be among them"
        ),
    );
    (link, false)
}

fn open(evidence: Evidence<'_>, access: &str) -> String {
    let flags = [
        ("--name", &*evidence.registration.eks_cluster),
        ("--resources-vpc-config", access),
    ];
    eks_command(
        "eks update-cluster-config",
        &flags,
        &evidence.registration.login,
    )
}

fn is_range(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else {
        return false;
    };
    let longest = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.parse::<u8>().is_ok_and(|length| length <= longest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onboarding::facts::VpcConfig;
    use crate::onboarding::link::State;
    use crate::onboarding::testing::{Case, ENDPOINT};

    fn with(
        public: bool,
        private: bool,
        ranges: &[&str],
        reachability: Lookup<Reachability>,
    ) -> Link {
        Case::with(
            |case| {
                case.cluster().resources_vpc_config = Some(VpcConfig {
                    endpoint_public_access: Some(public),
                    endpoint_private_access: Some(private),
                    public_access_cidrs: Some(
                        ranges.iter().map(|range| (*range).to_owned()).collect(),
                    ),
                });
                case.aws.reachability = reachability;
            },
            judge,
        )
    }

    fn not_asked() -> Lookup<Reachability> {
        Lookup::default()
    }

    #[test]
    fn a_public_endpoint_is_ok() {
        assert_eq!(
            with(true, false, &["0.0.0.0/0"], not_asked()).state,
            State::Ok
        );
        assert_eq!(
            with(true, true, &["10.0.0.0/8", "0.0.0.0/0"], not_asked()).state,
            State::Ok
        );
    }

    #[test]
    fn one_for_some_is_not_known_unless_it_answers() {
        for (public, private, ranges) in
            [(true, false, &["203.0.113.0/24"][..]), (false, true, &[])]
        {
            let link = with(public, private, ranges, not_asked());
            assert_eq!(link.state, State::Unknown);
            let link = with(
                public,
                private,
                ranges,
                Lookup::Known(Reachability::Answers),
            );
            assert_eq!(link.state, State::Ok);
            let silent = Reachability::DoesNot("timed out".to_owned());
            let link = with(public, private, ranges, Lookup::Known(silent));
            assert_eq!(link.state, State::Unknown);
            assert!(link.detail.contains("timed out"));
        }
    }

    #[test]
    fn one_for_nobody_is_wrong() {
        assert_eq!(with(false, false, &[], not_asked()).state, State::Wrong);
        assert_eq!(with(true, false, &[], not_asked()).state, State::Wrong);
    }

    #[test]
    fn what_is_not_told_is_not_known() {
        assert_eq!(
            with(true, false, &["everywhere"], not_asked()).state,
            State::Unknown
        );
        assert_eq!(
            with(true, false, &["10.0.0.0/33"], not_asked()).state,
            State::Unknown
        );
        let link = Case::with(|case| case.cluster().resources_vpc_config = None, judge);
        assert_eq!(link.state, State::Unknown);
    }

    #[test]
    fn a_cluster_that_is_made_has_none() {
        let link = Case::with(|case| case.cluster().endpoint = None, judge);
        assert_eq!(link.state, State::Missing);
    }

    #[test]
    fn another_server_is_not_known() {
        let with = |server: &str| {
            Case::with(
                |case| case.registration.server = Some(server.to_owned()),
                judge,
            )
        };
        assert_eq!(with("https://proxy.example.com").state, State::Unknown);
        assert_eq!(with(&format!("{ENDPOINT}/")).state, State::Ok);
    }
}
