//! Who manages a release, by what each left in the cluster.

use std::collections::{BTreeMap, BTreeSet};

/// Somebody who installs and changes releases.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Owner {
    Terraform,
    /// The helm binary, by somebody or by a pipeline.
    Helm,
    ArgoCd,
    /// Another program that uses Helm, by the name of its field manager.
    Other(String),
}

impl Owner {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Owner::Terraform => "Terraform",
            Owner::Helm => "Helm",
            Owner::ArgoCd => "Argo CD",
            Owner::Other(name) => name,
        }
    }

    /// Who goes by the name of a field manager. The helm binary calls itself `helm` where it
    /// applies and `Helm` where it keeps releases. Terraform's provider is known by the name of its
    /// binary, or as `HashiCorp`.
    fn of_manager(name: &str) -> Self {
        match &*name.to_lowercase() {
            "helm" => Owner::Helm,
            "hashicorp" => Owner::Terraform,
            "argocd-controller" | "argocd-application-controller" => Owner::ArgoCd,
            lower if lower.starts_with("terraform") => Owner::Terraform,
            _ => Owner::Other(name.to_owned()),
        }
    }
}

/// What a live object of a release tells.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct LiveObject {
    /// The field managers that write it.
    pub(crate) managers: BTreeSet<String>,
    /// The Application that it is marked as belonging to.
    pub(crate) application: Option<String>,
}

impl LiveObject {
    /// Who owns fields of it beside those who install releases and Kubernetes itself.
    pub(crate) fn others(&self) -> impl Iterator<Item = &str> {
        const KUBERNETES: [&str; 4] = [
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kubelet",
        ];
        let managers = self.managers.iter().map(String::as_str);
        let others = managers.filter(|name| matches!(Owner::of_manager(name), Owner::Other(_)));
        others.filter(|name| !KUBERNETES.contains(name))
    }
}

/// Who manages a release, each with what tells so.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Owners {
    evidence: BTreeMap<Owner, Vec<String>>,
    /// The Applications that have objects of it.
    pub(crate) applications: BTreeSet<String>,
    /// How many of its objects are not there.
    pub(crate) missing: usize,
}

impl Owners {
    /// Works it out of who wrote the newest revision, and of the objects of the release; None of
    /// those that are not there.
    pub(crate) fn of<'o>(
        revision: u64,
        writers: &BTreeSet<String>,
        objects: impl IntoIterator<Item = Option<&'o LiveObject>>,
    ) -> Self {
        let mut owners = Owners::default();
        for writer in writers {
            owners.add(
                Owner::of_manager(writer),
                format!("{writer} wrote revision {revision}"),
            );
        }
        let mut all = 0;
        let mut tracked: BTreeMap<&str, usize> = BTreeMap::new();
        let mut written: BTreeMap<&str, usize> = BTreeMap::new();
        for object in objects {
            all += 1;
            let Some(object) = object else {
                owners.missing += 1;
                continue;
            };
            if let Some(application) = &object.application {
                *tracked.entry(application).or_default() += 1;
            }
            for manager in &object.managers {
                *written.entry(manager).or_default() += 1;
            }
        }
        for (application, count) in tracked {
            owners.applications.insert(application.to_owned());
            let evidence = format!("Application {application} tracks {count} of {all} objects");
            owners.add(Owner::ArgoCd, evidence);
        }
        for (manager, count) in written {
            // Many controllers write to objects; they do not manage releases.
            let owner = Owner::of_manager(manager);
            if !matches!(owner, Owner::Other(_)) {
                let evidence = format!("{manager} owns fields of {count} of {all} objects");
                owners.add(owner, evidence);
            }
        }
        owners
    }

    fn add(&mut self, owner: Owner, evidence: String) {
        self.evidence.entry(owner).or_default().push(evidence);
    }

    /// Who they are; nobody where nothing tells.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.evidence.keys().map(Owner::as_str).collect()
    }

    /// Who they are, each with what tells so.
    pub(crate) fn evidence(&self) -> impl Iterator<Item = (&str, &[String])> {
        let all = self.evidence.iter();
        all.map(|(owner, evidence)| (owner.as_str(), evidence.as_slice()))
    }

    /// Whether more than one manages it.
    pub(crate) fn are_several(&self) -> bool {
        self.evidence.len() > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn object(managers: &[&str], application: Option<&str>) -> LiveObject {
        LiveObject {
            managers: names(managers),
            application: application.map(str::to_owned),
        }
    }

    #[test]
    fn an_owner_is_known_by_its_field_manager() {
        for (manager, owner) in [
            ("Helm", "Helm"),
            ("helm", "Helm"),
            ("terraform-provider-helm", "Terraform"),
            ("terraform-provider-helm_v2.17.0_x5", "Terraform"),
            ("HashiCorp", "Terraform"),
            ("argocd-controller", "Argo CD"),
            ("helm-controller", "helm-controller"),
        ] {
            assert_eq!(Owner::of_manager(manager).as_str(), owner, "{manager}");
        }
    }

    #[test]
    fn a_release_that_nobody_else_touched_has_one_owner() {
        let objects = [
            object(&["helm", "kube-controller-manager"], None),
            object(&["helm", "kubectl-edit"], None),
        ];
        let owners = Owners::of(2, &names(&["Helm"]), objects.iter().map(Some));
        assert_eq!(owners.names(), ["Helm"]);
        assert!(!owners.are_several());
        let evidence: Vec<_> = owners.evidence().collect();
        assert_eq!(
            evidence[0].1,
            [
                "Helm wrote revision 2",
                "helm owns fields of 2 of 2 objects"
            ]
        );
    }

    #[test]
    fn what_argo_cd_tracks_has_two_owners_as_long_as_the_release_is_there() {
        let objects = [
            Some(object(
                &["terraform-provider-helm", "argocd-controller"],
                Some("dns"),
            )),
            Some(object(&["terraform-provider-helm"], None)),
            None,
        ];
        let writers = names(&["terraform-provider-helm"]);
        let owners = Owners::of(1, &writers, objects.iter().map(Option::as_ref));
        assert_eq!(owners.names(), ["Terraform", "Argo CD"]);
        assert!(owners.are_several());
        assert_eq!(owners.applications, names(&["dns"]));
        assert_eq!(owners.missing, 1);
        let argocd = owners.evidence().find(|(name, _)| *name == "Argo CD");
        assert_eq!(
            argocd.unwrap().1,
            [
                "Application dns tracks 1 of 3 objects",
                "argocd-controller owns fields of 1 of 3 objects"
            ]
        );
    }

    #[test]
    fn an_upgrade_by_hand_of_what_terraform_has_is_seen() {
        let objects = [object(&["terraform-provider-helm"], None)];
        let owners = Owners::of(2, &names(&["Helm"]), objects.iter().map(Some));
        assert_eq!(owners.names(), ["Terraform", "Helm"]);
    }

    #[test]
    fn others_are_neither_installers_nor_kubernetes() {
        let object = object(
            &[
                "helm",
                "kube-controller-manager",
                "kubectl-edit",
                "terraform-provider-helm",
            ],
            None,
        );
        assert_eq!(object.others().collect::<Vec<_>>(), ["kubectl-edit"]);
    }

    #[test]
    fn nobody_is_guessed() {
        let owners = Owners::of(1, &BTreeSet::new(), [None]);
        assert!(owners.names().is_empty());
        let other = Owners::of(1, &names(&["helm-controller"]), []);
        assert_eq!(other.names(), ["helm-controller"]);
    }
}
