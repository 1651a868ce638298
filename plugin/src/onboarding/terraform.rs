//! The AWS side as HCL, for Terraform and OpenTofu with the provider hashicorp/aws.
//!
//! What Argo CD itself needs is in a file of its own, as all clusters share it.

use serde_json::json;

use super::arn::RoleArn;
use super::assumption::{ACTIONS, CAPABILITIES, POD_IDENTITY, Trusted};
use super::change::Login;
use super::hcl::{Body, Expression, identifier, quoted};
use super::links::policy_name;
use super::registration::{Access, Evidence, SERVICE_ACCOUNTS};

/// A file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct TerraformFile {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// What is not known without which nothing can be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum NotWritable {
    #[error("the role in the cluster's account is not named: expected --role-arn or --create-role")]
    ClusterRole,
    #[error("the role of Argo CD's pods is not known: expected --engine-role-arn")]
    EngineRole,
    #[error("the cluster that Argo CD runs on is not known: expected --engine-cluster")]
    EngineCluster,
}

/// The name by which resources of the account of Argo CD's cluster name their provider.
const ENGINE: &str = "argocd";
const ENGINE_FILE: &str = "argocd.tf";

/// The files, that of Argo CD first.
///
/// # Errors
/// It is not known for which roles.
pub(crate) fn files(evidence: Evidence<'_>) -> Result<Vec<TerraformFile>, NotWritable> {
    let registration = evidence.registration;
    let name = identifier(&registration.name);
    let parts = if registration.capability {
        let principal = evidence.principal().ok_or(NotWritable::EngineRole)?;
        let engine = of_capability(&principal, &registration.engine.login);
        let cluster = of_cluster(
            evidence,
            &name,
            &quoted(&principal.to_string()),
            Body::default(),
        );
        [engine, cluster]
    } else {
        let role = registration
            .cluster_role
            .as_ref()
            .ok_or(NotWritable::ClusterRole)?;
        let engine = evidence.engine_role().ok_or(NotWritable::EngineRole)?;
        let of_roles = of_cluster_role(&name, role, &engine);
        let principal = format!("aws_iam_role.{name}.arn");
        [
            of_engine(evidence, &engine)?,
            of_cluster(evidence, &name, &principal, of_roles),
        ]
    };
    let [engine, cluster] = parts;
    Ok(vec![
        TerraformFile {
            name: ENGINE_FILE.to_owned(),
            text: engine.render(),
        },
        TerraformFile {
            name: format!("cluster-{name}.tf"),
            text: cluster.render(),
        },
    ])
}

fn required_providers() -> Body {
    let provider = Expression::Object(vec![
        (
            "source".to_owned(),
            Expression::Text("hashicorp/aws".to_owned()),
        ),
        (
            "version".to_owned(),
            Expression::Text(">= 5.79.0".to_owned()),
        ),
    ]);
    let providers = Body::default().attribute("aws", provider);
    Body::default().block("required_providers", &[], providers)
}

fn provider(alias: &str, login: &Login, region: Option<String>) -> Body {
    Body::default()
        .text("alias", Some(alias))
        .text("region", region.or_else(|| login.region.clone()))
        .text("profile", login.profile.clone())
}

fn role(provider: &str, role: &RoleArn, trust: serde_json::Value) -> Body {
    let path = Some(role.path()).filter(|path| *path != "/");
    Body::default()
        .raw("provider", format!("aws.{provider}"))
        .text("name", Some(role.name()))
        .text("path", path)
        .attribute("assume_role_policy", Expression::Json(trust))
}

fn of_engine(evidence: Evidence<'_>, engine: &RoleArn) -> Result<Body, NotWritable> {
    let known = evidence.aws.engine_cluster.known();
    let told = evidence.registration.engine.cluster.clone();
    let cluster = told.or_else(|| Some(known?.name.clone()));
    let cluster = cluster.ok_or(NotWritable::EngineCluster)?;
    let login = &evidence.registration.engine.login;
    let trust = Trusted::Service(POD_IDENTITY).new_policy();
    let addon = Body::default()
        .raw("provider", format!("aws.{ENGINE}"))
        .text("cluster_name", Some(&cluster))
        .text("addon_name", Some("eks-pod-identity-agent"));
    let body = Body::default()
        .block("terraform", &[], required_providers())
        .block("provider", &["aws"], provider(ENGINE, login, None))
        .comment("The role of Argo CD's pods.")
        .block(
            "resource",
            &["aws_iam_role", ENGINE],
            role(ENGINE, engine, trust),
        )
        .block(
            "resource",
            &["aws_eks_addon", "eks-pod-identity-agent"],
            addon,
        );
    Ok(SERVICE_ACCOUNTS.iter().fold(body, |body, account| {
        let association = Body::default()
            .raw("provider", format!("aws.{ENGINE}"))
            .text("cluster_name", Some(&cluster))
            .text("namespace", Some(&evidence.registration.engine.namespace))
            .text("service_account", Some(*account))
            .raw("role_arn", format!("aws_iam_role.{ENGINE}.arn"));
        body.block(
            "resource",
            &["aws_eks_pod_identity_association", account],
            association,
        )
    }))
}

fn of_capability(principal: &RoleArn, login: &Login) -> Body {
    let trust = Trusted::Service(CAPABILITIES).new_policy();
    Body::default()
        .block("terraform", &[], required_providers())
        .block("provider", &["aws"], provider(ENGINE, login, None))
        .comment("The role of the Argo CD that AWS manages.")
        .block(
            "resource",
            &["aws_iam_role", ENGINE],
            role(ENGINE, principal, trust),
        )
}

/// The role that Argo CD assumes, and its right to.
fn of_cluster_role(name: &str, cluster_role: &RoleArn, engine: &RoleArn) -> Body {
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Action": ACTIONS,
            "Resource": cluster_role.to_string(),
        }],
    });
    let may_assume = Body::default()
        .raw("provider", format!("aws.{ENGINE}"))
        .text("name", Some(policy_name(cluster_role)))
        .raw("role", format!("aws_iam_role.{ENGINE}.name"))
        .attribute("policy", Expression::Json(policy));
    // IAM refuses a trust policy that names a role which is not there yet.
    let trust = role(name, cluster_role, Trusted::Role(engine).new_policy())
        .raw("depends_on", format!("[aws_iam_role.{ENGINE}]"));
    Body::default()
        .block("resource", &["aws_iam_role", name], trust)
        .block("resource", &["aws_iam_role_policy", name], may_assume)
}

fn of_cluster(evidence: Evidence<'_>, name: &str, principal: &str, roles: Body) -> Body {
    let registration = evidence.registration;
    let entry = Body::default()
        .raw("provider", format!("aws.{name}"))
        .text("cluster_name", Some(&registration.eks_cluster))
        .raw("principal_arn", principal)
        .text("type", Some("STANDARD"));
    let groups = registration.access.groups();
    let entry = if groups.is_empty() {
        entry
    } else {
        entry.attribute("kubernetes_groups", Expression::List(groups))
    };
    let login = &registration.login;
    let mut body = Body::default()
        .comment(&format!(
            "How Argo CD gets into the cluster {}.",
            registration.eks_cluster
        ))
        .block(
            "provider",
            &["aws"],
            provider(name, login, evidence.region()),
        );
    body = body.append(roles);
    body = body.block("resource", &["aws_eks_access_entry", name], entry);
    let Access::Policy { policy, namespaces } = &registration.access else {
        return body;
    };
    let scope = Access::scope(namespaces);
    let mut access_scope = Body::default().text("type", Some(scope.kind));
    if !namespaces.is_empty() {
        access_scope = access_scope.attribute("namespaces", Expression::List(namespaces.clone()));
    }
    let association = Body::default()
        .raw("provider", format!("aws.{name}"))
        .text("cluster_name", Some(&registration.eks_cluster))
        .raw(
            "principal_arn",
            format!("aws_eks_access_entry.{name}.principal_arn"),
        )
        .text("policy_arn", Some(evidence.policy_arn(policy)))
        .block("access_scope", &[], access_scope);
    body.block(
        "resource",
        &["aws_eks_access_policy_association", name],
        association,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onboarding::testing::{CLUSTER_ROLE, Case, ENGINE_ROLE};

    fn written(change: impl FnOnce(&mut Case)) -> Result<Vec<TerraformFile>, NotWritable> {
        Case::with(change, files)
    }

    #[test]
    fn the_aws_side_is_in_two_files() {
        let files = written(|_| {}).unwrap();
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["argocd.tf", "cluster-prod-eu.tf"]);
        let [engine, cluster] = files.as_slice() else {
            unreachable!()
        };
        for resource in [
            r#"resource "aws_iam_role" "argocd""#,
            r#"resource "aws_eks_addon" "eks-pod-identity-agent""#,
            r#"resource "aws_eks_pod_identity_association" "argocd-application-controller""#,
            r#"resource "aws_eks_pod_identity_association" "argocd-server""#,
            r#"resource "aws_eks_pod_identity_association" "argocd-applicationset-controller""#,
        ] {
            assert!(engine.text.contains(resource), "{resource}");
        }
        for part in [
            r#"resource "aws_iam_role" "prod-eu""#,
            r#"resource "aws_iam_role_policy" "prod-eu""#,
            r#"resource "aws_eks_access_entry" "prod-eu""#,
            r#"resource "aws_eks_access_policy_association" "prod-eu""#,
            &format!("AWS = {ENGINE_ROLE:?}"),
            &format!("Resource = {CLUSTER_ROLE:?}"),
            r#"region = "eu-central-1""#,
            "    type = \"cluster\"",
        ] {
            assert!(cluster.text.contains(part), "{part}\n{}", cluster.text);
        }
    }

    #[test]
    fn a_scope_and_a_group_are_written() {
        let files = written(|case| case.ask_for("AmazonEKSEditPolicy", &["a", "b*"])).unwrap();
        assert!(
            files[1]
                .text
                .contains("    type       = \"namespace\"\n    namespaces = [\"a\", \"b*\"]")
        );
        let files =
            written(|case| case.registration.access = Access::Group("deploy".to_owned())).unwrap();
        assert!(files[1].text.contains("kubernetes_groups = [\"deploy\"]"));
        assert!(!files[1].text.contains("access_policy_association"));
    }

    #[test]
    fn the_argo_cd_of_aws_needs_an_access_entry() {
        let files = written(|case| case.registration.capability = true).unwrap();
        assert!(files[0].text.contains(CAPABILITIES));
        assert!(
            files[1]
                .text
                .contains(&format!("principal_arn = {ENGINE_ROLE:?}"))
        );
        assert!(!files[1].text.contains("aws_iam_role"));
    }

    #[test]
    fn without_roles_nothing_is_written() {
        assert_eq!(
            written(|case| case.registration.cluster_role = None),
            Err(NotWritable::ClusterRole)
        );
    }
}
