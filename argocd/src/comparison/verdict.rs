//! What comes of comparing a resource.

use serde_json::Value;

/// What Argo CD says of a resource, as argocd-server's `managed-resources` gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Whether the resource is out of sync. Argo CD does not call a live object without a manifest
    /// modified; whether it is to be pruned is another question.
    pub modified: bool,
    /// What a sync would make of the live object, `predictedLiveState`; null if there is no
    /// manifest.
    pub predicted: Value,
    /// The live object as it is compared, `normalizedLiveState`; null if there is none.
    pub live: Value,
    /// How they were compared.
    pub method: Method,
}

/// How two objects were compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// One of them is missing: nothing was compared.
    Existence,
    /// The manifest against the live object and what was applied last.
    ThreeWay,
    /// The manifest against the live object.
    TwoWay,
    /// Server-side apply, worked out from `managedFields`.
    Structured,
    /// What the API server answered to a dry run.
    ServerSide,
}

/// What is known of a resource.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// What Argo CD says of it.
    Compared(Box<Comparison>),
    /// Only the API server can tell, by a dry run of a server-side apply.
    NeedsDryRun(NeedsDryRun),
    /// What a jq path of `ignoreDifferences` selects is not worked out here.
    Undecided,
}

/// Why a dry run is needed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NeedsDryRun {
    /// That is how this resource is compared.
    ServerSideDiff,
    /// It is compared by its managed fields, and the schema of its kind is not known here.
    UnknownSchema,
    /// Its fields are managed in another version of its kind, and only the API server converts
    /// them.
    OtherVersion,
}

/// How Argo CD was told to compare a resource.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Strategy<'d> {
    /// Three-way with what was applied last, otherwise two-way.
    ClientSide,
    /// By managed fields, as a server-side apply (Argo CD up to 3.5).
    Structured,
    /// By a dry run of a server-side apply.
    ServerSide {
        /// What the API server answered, with its `managedFields`, if it was asked.
        dry_run: Option<&'d Value>,
        /// Whether what mutating webhooks change counts (`IncludeMutationWebhook=true`).
        mutation_webhooks: bool,
    },
}

/// Which versions of Argo CD compare in the same way.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Generation {
    /// 3.2 to 3.5: an Application that syncs by server-side apply is compared by managed fields.
    #[default]
    UpTo35,
    /// Since 3.6: it is compared by a dry run, and resources may ignore differences of their own.
    Since36,
}

/// What decides how an Application is compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct StrategyChoice<'a> {
    /// Its annotation `argocd.argoproj.io/compare-options`.
    pub compare_options: &'a str,
    /// Whether its sync options have `ServerSideApply=true`.
    pub server_side_apply: bool,
    /// `controller.diff.server.side` in `argocd-cmd-params-cm`.
    pub controller_server_side_diff: bool,
    /// Which Argo CD it is.
    pub generation: Generation,
}

impl StrategyChoice<'_> {
    /// How its resources are compared (Argo CD 3.5 `CompareAppState`, 3.6
    /// `shouldUseServerSideDiff`). A resource may ask for otherwise, which [`super::compare`]
    /// heeds.
    pub fn strategy(self) -> Strategy<'static> {
        let has = |option: &str| has_option(self.compare_options, option);
        let since_36 = self.generation == Generation::Since36;
        let wanted = self.controller_server_side_diff
            || has("ServerSideDiff=true")
            || since_36 && self.server_side_apply;
        if wanted && !has("ServerSideDiff=false") {
            Strategy::ServerSide {
                dry_run: None,
                mutation_webhooks: has("IncludeMutationWebhook=true"),
            }
        } else if self.server_side_apply && !since_36 {
            Strategy::Structured
        } else {
            Strategy::ClientSide
        }
    }
}

/// Whether options, separated by commas, have one (gitops-engine `HasAnnotationOption`).
pub(super) fn has_option(options: &str, option: &str) -> bool {
    options.split(',').any(|one| one.trim() == option)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strategy(options: &str, apply: bool, controller: bool, since_36: bool) -> &'static str {
        let choice = StrategyChoice {
            compare_options: options,
            server_side_apply: apply,
            controller_server_side_diff: controller,
            generation: if since_36 {
                Generation::Since36
            } else {
                Generation::UpTo35
            },
        };
        match choice.strategy() {
            Strategy::ClientSide => "client",
            Strategy::Structured => "structured",
            Strategy::ServerSide {
                mutation_webhooks, ..
            } => {
                if mutation_webhooks {
                    "server, webhooks"
                } else {
                    "server"
                }
            }
        }
    }

    #[test]
    fn the_annotation_beats_the_controller_and_server_side_diff_beats_the_sync_option() {
        assert_eq!(strategy("", false, false, false), "client");
        assert_eq!(strategy("", true, false, false), "structured");
        assert_eq!(strategy("", true, false, true), "server");
        assert_eq!(strategy("", true, true, false), "server");
        assert_eq!(
            strategy("ServerSideDiff=false", true, true, false),
            "structured"
        );
        assert_eq!(strategy("ServerSideDiff=false", true, true, true), "client");
        assert_eq!(
            strategy(" ServerSideDiff=true ,x", false, false, false),
            "server"
        );
        assert_eq!(
            strategy("serversidediff=true", false, false, false),
            "client"
        );
        assert_eq!(
            strategy(
                "IncludeMutationWebhook=true,ServerSideDiff=true",
                false,
                false,
                false
            ),
            "server, webhooks"
        );
    }
}
