//! In which accounts of AWS a cluster is.

use super::config::ClusterConfig;

/// The numbers of the accounts: that of the role which Argo CD assumes for the cluster, by
/// `awsAuthConfig` or as an argument of a command (`argocd-k8s-auth aws --role-arn`), and that of
/// the server, where that is the ARN of a cluster as the EKS capability for Argo CD has it.
pub(super) fn accounts(server: &str, config: Option<&ClusterConfig>) -> Vec<String> {
    let aws = config.and_then(|config| config.aws.as_ref());
    let exec = config.and_then(|config| config.exec.as_ref());
    let of_command = exec
        .into_iter()
        .flat_map(|exec| roles_of(exec.args.expose()));
    let arns = aws
        .map(|aws| aws.role_arn.as_str())
        .into_iter()
        .chain(of_command)
        .chain([server]);
    let mut accounts: Vec<String> = arns.filter_map(account_of).map(str::to_owned).collect();
    accounts.sort_unstable();
    accounts.dedup();
    accounts
}

const ROLE_FLAG: &str = "--role-arn";

/// The values of the flag that names a role.
fn roles_of<'a>(arguments: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut roles = Vec::new();
    let mut is_value = false;
    for argument in arguments {
        if is_value {
            roles.push(argument);
        }
        is_value = argument == ROLE_FLAG;
        let written = argument.strip_prefix(ROLE_FLAG);
        roles.extend(written.and_then(|rest| rest.strip_prefix('=')));
    }
    roles
}

/// The account of an ARN.
fn account_of(arn: &str) -> Option<&str> {
    let mut parts = arn.splitn(6, ':');
    let (Some("arn"), Some(account), Some(_)) = (parts.next(), parts.nth(3), parts.next()) else {
        return None;
    };
    let is_number = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(server: &str, config: &str) -> Vec<String> {
        let config = ClusterConfig::parse(config).unwrap();
        accounts(server, Some(&config))
    }

    #[test]
    fn accounts_are_those_of_the_role_and_of_the_cluster() {
        let url = "https://example.com";
        let role =
            r#"{"awsAuthConfig":{"clusterName":"a","roleARN":"arn:aws:iam::444455556666:role/a"}}"#;
        let command = |arguments: &str| {
            format!(
                r#"{{"execProviderConfig":{{"command":"argocd-k8s-auth","args":[{arguments}]}}}}"#
            )
        };
        assert_eq!(of(url, role), ["444455556666"]);
        assert_eq!(
            of("arn:aws:eks:eu-central-1:111122223333:cluster/a", role),
            ["111122223333", "444455556666"]
        );
        assert_eq!(
            of("arn:aws:eks:eu-central-1:111122223333:cluster/a", "{}"),
            ["111122223333"]
        );
        let both = command(r#""aws", "--role-arn", "arn:aws:iam::444455556666:role/a""#);
        assert_eq!(of(url, &both), ["444455556666"]);
        let one = command(r#""aws", "--role-arn=arn:aws-cn:iam::444455556666:role/a""#);
        assert_eq!(of(url, &one), ["444455556666"]);
        for config in [
            "{}",
            r#"{"awsAuthConfig":{"clusterName":"a"}}"#,
            r#"{"awsAuthConfig":{"roleARN":"arn:aws:iam::1:role/a"}}"#,
            r#"{"awsAuthConfig":{"roleARN":"444455556666"}}"#,
        ] {
            assert!(of(url, config).is_empty(), "{config}");
        }
    }
}
