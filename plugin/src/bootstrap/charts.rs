//! Which addons there are, and which version of each chart is pinned.
//!
//! This is the only place with versions. They were looked up on 2026-11-30, in what the charts' own
//! projects have released; docs/src/bootstrap.md says how they are brought up to date.

use std::fmt;
use std::str::FromStr;

use semver::Version;

/// An addon, which is a chart of the same name.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Addon {
    ArgoCd,
    CertManager,
    ExternalSecrets,
    Kyverno,
    KubePrometheusStack,
    MetricsServer,
}

/// What an addon is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// Argo CD, which runs on the devops cluster alone.
    Engine,
    /// What everything else stands on.
    Foundation,
    Policy,
    Observability,
}

/// A chart as it is published.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Published {
    pub(crate) name: &'static str,
    pub(crate) repository: &'static str,
    pub(crate) version: &'static str,
    /// The namespace that it is deployed to; None for that of Argo CD.
    pub(crate) namespace: Option<&'static str>,
    pub(crate) purpose: Purpose,
}

const ARGO_CD: Published = Published {
    name: "argo-cd",
    repository: "https://argoproj.github.io/argo-helm",
    version: "10.10.0",
    namespace: None,
    purpose: Purpose::Engine,
};

/// The Argo CD that this version of its chart installs.
pub(crate) const ARGO_CD_OF_CHART: &str = "v3.5.4";

const CERT_MANAGER: Published = Published {
    name: "cert-manager",
    repository: "https://charts.jetstack.io",
    version: "v1.21.2",
    namespace: Some("cert-manager"),
    purpose: Purpose::Foundation,
};

const EXTERNAL_SECRETS: Published = Published {
    name: "external-secrets",
    repository: "https://charts.external-secrets.io",
    version: "2.12.0",
    namespace: Some("external-secrets"),
    purpose: Purpose::Foundation,
};

const KYVERNO: Published = Published {
    name: "kyverno",
    repository: "https://kyverno.github.io/kyverno",
    version: "3.9.1",
    namespace: Some("kyverno"),
    purpose: Purpose::Policy,
};

const KUBE_PROMETHEUS_STACK: Published = Published {
    name: "kube-prometheus-stack",
    repository: "https://prometheus-community.github.io/helm-charts",
    version: "91.9.0",
    namespace: Some("monitoring"),
    purpose: Purpose::Observability,
};

const METRICS_SERVER: Published = Published {
    name: "metrics-server",
    repository: "https://kubernetes-sigs.github.io/metrics-server",
    version: "3.14.0",
    namespace: Some("kube-system"),
    purpose: Purpose::Observability,
};

/// A text names no addon.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is no addon: expected one of {}", Addon::names().join(", "))]
pub(crate) struct NoAddon {
    text: String,
}

impl Addon {
    pub(crate) const ALL: [Addon; 6] = [
        Addon::ArgoCd,
        Addon::CertManager,
        Addon::ExternalSecrets,
        Addon::Kyverno,
        Addon::KubePrometheusStack,
        Addon::MetricsServer,
    ];

    /// The names of all.
    pub(crate) fn names() -> Vec<&'static str> {
        Addon::ALL.map(|addon| addon.published().name).to_vec()
    }

    /// Its chart.
    pub(crate) fn published(self) -> &'static Published {
        match self {
            Addon::ArgoCd => &ARGO_CD,
            Addon::CertManager => &CERT_MANAGER,
            Addon::ExternalSecrets => &EXTERNAL_SECRETS,
            Addon::Kyverno => &KYVERNO,
            Addon::KubePrometheusStack => &KUBE_PROMETHEUS_STACK,
            Addon::MetricsServer => &METRICS_SERVER,
        }
    }
}

impl fmt::Display for Addon {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.published().name)
    }
}

impl FromStr for Addon {
    type Err = NoAddon;

    fn from_str(text: &str) -> Result<Self, NoAddon> {
        let mut all = Addon::ALL.into_iter();
        let named = all.find(|addon| addon.published().name == text);
        named.ok_or_else(|| NoAddon {
            text: text.to_owned(),
        })
    }
}

/// Another version of an addon's chart than the one that is pinned here: `argo-cd=10.11.0`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct OtherVersion {
    pub(crate) addon: Addon,
    pub(crate) version: String,
}

/// A text is no such thing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum NoOtherVersion {
    #[error("{0:?}: expected ADDON=VERSION, such as argo-cd=10.11.0")]
    Form(String),
    #[error(transparent)]
    Addon(NoAddon),
    #[error("{0:?} is no exact version: expected one such as 1.2.3, and no range")]
    Version(String),
}

impl FromStr for OtherVersion {
    type Err = NoOtherVersion;

    fn from_str(text: &str) -> Result<Self, NoOtherVersion> {
        let parts = text.split_once('=');
        let (addon, version) = parts.ok_or_else(|| NoOtherVersion::Form(text.to_owned()))?;
        let addon = addon.parse().map_err(NoOtherVersion::Addon)?;
        if !is_exact(version) {
            return Err(NoOtherVersion::Version(version.to_owned()));
        }
        let version = version.to_owned();
        Ok(OtherVersion { addon, version })
    }
}

/// Whether a text is one version and no range of versions.
pub(super) fn is_exact(text: &str) -> bool {
    Version::parse(text.strip_prefix('v').unwrap_or(text)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pinned_is_one_version_from_one_place() {
        for addon in Addon::ALL {
            let chart = addon.published();
            assert!(is_exact(chart.version), "{chart:?}");
            assert!(chart.repository.starts_with("https://"), "{chart:?}");
            assert_eq!(chart.name.parse(), Ok(addon));
        }
        assert!(is_exact(ARGO_CD_OF_CHART));
    }

    #[test]
    fn another_version_is_exact() {
        let other = "cert-manager=v1.22.0".parse();
        let expected = OtherVersion {
            addon: Addon::CertManager,
            version: "v1.22.0".to_owned(),
        };
        assert_eq!(other, Ok(expected));
        for wrong in [
            "cert-manager",
            "cert-manager=",
            "cert-manager=1.x",
            "cert-manager=^1.2.3",
            "cert-manager=*",
            "cert-manager=>=1.0.0",
            "redis=1.2.3",
        ] {
            assert!(wrong.parse::<OtherVersion>().is_err(), "{wrong}");
        }
    }
}
