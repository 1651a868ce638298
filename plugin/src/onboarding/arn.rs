//! Names of things in AWS.

use std::fmt;
use std::str::FromStr;

/// `arn:partition:service:region:account:resource`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Arn {
    pub(crate) partition: String,
    pub(crate) service: String,
    /// Empty where the thing is in no region.
    pub(crate) region: String,
    /// Empty where AWS itself has the thing.
    pub(crate) account: String,
    pub(crate) resource: String,
}

/// The ARN of a role of IAM.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RoleArn(Arn);

/// Why a text is not the ARN of what it should be.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum ArnError {
    #[error("{0:?} is not an ARN: expected arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE")]
    Arn(String),
    #[error("{0:?} is not the ARN of a role: expected arn:aws:iam::ACCOUNT:role/NAME")]
    Role(String),
    #[error(
        "{0:?} is one session of a role: expected the role itself, arn:aws:iam::ACCOUNT:role/NAME"
    )]
    Session(String),
}

impl FromStr for Arn {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, ArnError> {
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next().map(str::to_owned);
        let arn = match (next(), next(), next(), next(), next(), next()) {
            (
                Some(arn),
                Some(partition),
                Some(service),
                Some(region),
                Some(account),
                Some(resource),
            ) if arn == "arn"
                && !partition.is_empty()
                && !service.is_empty()
                && !resource.is_empty() =>
            {
                Arn {
                    partition,
                    service,
                    region,
                    account,
                    resource,
                }
            }
            _ => return Err(ArnError::Arn(text.to_owned())),
        };
        let is_plain = |c: char| !c.is_whitespace() && !c.is_control();
        if text.chars().all(is_plain) {
            Ok(arn)
        } else {
            Err(ArnError::Arn(text.to_owned()))
        }
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Arn {
            partition,
            service,
            region,
            account,
            resource,
        } = self;
        write!(
            formatter,
            "arn:{partition}:{service}:{region}:{account}:{resource}"
        )
    }
}

impl RoleArn {
    /// The role of a name, without a path, in an account.
    pub(crate) fn new(partition: &str, account: &str, name: &str) -> Self {
        RoleArn(Arn {
            partition: partition.to_owned(),
            service: "iam".to_owned(),
            region: String::new(),
            account: account.to_owned(),
            resource: format!("role/{name}"),
        })
    }

    /// The number of its account.
    pub(crate) fn account(&self) -> &str {
        &self.0.account
    }

    /// `aws`, `aws-cn`, `aws-us-gov`, …
    pub(crate) fn partition(&self) -> &str {
        &self.0.partition
    }

    /// Its name, without the path.
    pub(crate) fn name(&self) -> &str {
        let resource = &self.0.resource;
        resource.rsplit_once('/').map_or(resource, |(_, name)| name)
    }

    /// Its path, `/` where it has none.
    pub(crate) fn path(&self) -> &str {
        let path = self.0.resource.strip_prefix("role").unwrap_or_default();
        &path[..=path.rfind('/').unwrap_or_default()]
    }
}

impl FromStr for RoleArn {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, ArnError> {
        let arn: Arn = text.parse()?;
        if arn.service == "sts" && arn.resource.starts_with("assumed-role/") {
            return Err(ArnError::Session(text.to_owned()));
        }
        let is_account = is_account(&arn.account);
        match arn.resource.strip_prefix("role/") {
            Some(name)
                if arn.service == "iam"
                    && is_account
                    && !name.ends_with('/')
                    && !name.is_empty()
                    && !name.contains(['*', '?']) =>
            {
                Ok(RoleArn(arn))
            }
            _ => Err(ArnError::Role(text.to_owned())),
        }
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Whether a text is the number of an account.
pub(crate) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_has_an_account_a_path_and_a_name() {
        for (text, path, name) in [
            ("arn:aws:iam::111122223333:role/argocd", "/", "argocd"),
            (
                "arn:aws-cn:iam::111122223333:role/a/b/argocd",
                "/a/b/",
                "argocd",
            ),
        ] {
            let role: RoleArn = text.parse().unwrap();
            assert_eq!(role.account(), "111122223333");
            assert_eq!((role.path(), role.name()), (path, name));
            assert_eq!(role.to_string(), text);
        }
    }

    #[test]
    fn what_is_not_a_role_is_refused_with_what_was_expected() {
        for text in [
            "arn:aws:iam::111122223333:user/argocd",
            "arn:aws:iam::1111:role/argocd",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::111122223333:role/*",
            "arn:aws:s3:::role/argocd",
        ] {
            let error = text.parse::<RoleArn>().unwrap_err();
            assert!(matches!(error, ArnError::Role(_)), "{text}");
        }
        let session = "arn:aws:sts::111122223333:assumed-role/argocd/me";
        assert!(matches!(
            session.parse::<RoleArn>(),
            Err(ArnError::Session(_))
        ));
        for text in [
            "",
            "argocd",
            "arn:aws:iam",
            "arn:aws:iam::1:role/a b",
            "nra:a:b:c:d:e",
        ] {
            let error = text.parse::<Arn>().unwrap_err();
            assert!(matches!(error, ArnError::Arn(_)), "{text}");
        }
    }
}
