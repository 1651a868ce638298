//! All rules, in the order in which they are asked and reported: the line that a new one adds.
//!
//! From this one list come the names of the rules (`finding`), their settings in the policy
//! (`terms`) and what is asked (`rules::registry`).

/// Hands all rules to another macro: name, field of `spec.rules`, type of its settings, type of the
/// rule. What is said of each is what the definition of GitOpsPolicy says of its field.
macro_rules! with_all_rules {
    ($then:ident) => {
        $then! {
            /// Source, destination and namespace that the project permits.
            "project-scope", project_scope: RuleSettings => ProjectScope;
            /// No use of the project `default`.
            "default-project", default_project: RuleSettings => DefaultProject;
            /// No automated sync on production.
            "prod-auto-sync", prod_auto_sync: RuleSettings => ProdAutoSync;
            /// Replicas left to the autoscaler on production.
            "replicas-ignored", replicas_ignored: ReplicasIgnoredSettings => ReplicasIgnored;
            /// No operation on production that differs from the spec.
            "operation-override", operation_override: RuleSettings => OperationOverride;
            /// No long-lived credentials in cluster Secrets.
            "cluster-credentials", cluster_credentials: ClusterCredentialsSettings => ClusterCredentials;
            /// No target of another environment than the engine's.
            "engine-isolation", engine_isolation: RuleSettings => EngineIsolation;
            /// No project on production that permits everything.
            "project-too-wide", project_too_wide: RuleSettings => ProjectTooWide;
            /// No image updater on production.
            "image-updater", image_updater: RuleSettings => ImageUpdater;
            /// No deletion that takes the Applications of production along.
            "cascade-delete", cascade_delete: RuleSettings => CascadeDelete;
            /// No moving revision on production.
            "unpinned-revision", unpinned_revision: RuleSettings => UnpinnedRevision;
            /// An ApplicationSet that Argo CD can expand.
            "generated-applications", generated_applications: RuleSettings => GeneratedApplications;
            /// No change that deletes more Applications than allowed.
            "blast-radius", blast_radius: BlastRadiusSettings => BlastRadius;
            /// Fields and sync options that Argo CD knows.
            "unknown-fields", unknown_fields: UnknownFieldsSettings => UnknownFields;
        }
    };
}
pub(crate) use with_all_rules;
