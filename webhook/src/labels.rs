//! What metrics and the log tell apart, by names from closed sets.

use policy::Level;
use policy::break_glass::RecordKind;

/// A closed set of values. A metric that has it as a label has a series for each of them.
pub trait Label: Copy + Eq + Sized + 'static {
    /// All values, each at its [`Label::index`].
    const ALL: &'static [Self];

    /// The place of the value in [`Label::ALL`].
    fn index(self) -> usize;

    /// The value as metrics name it.
    fn name(self) -> &'static str;
}

/// Declares enums that are a [`Label`], each variant with its name.
macro_rules! labels {
    ($(
        $(#[$about:meta])*
        pub enum $label:ident {
            $($(#[$doc:meta])* $value:ident = $name:literal,)+
        }
    )+) => {$(
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum $label {
            $($(#[$doc])* $value,)+
        }

        impl $label {
            /// The value as metrics and the log name it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($label::$value => $name,)+
                }
            }
        }

        impl Label for $label {
            const ALL: &'static [Self] = &[$($label::$value,)+];

            fn index(self) -> usize {
                self as usize
            }

            fn name(self) -> &'static str {
                self.as_str()
            }
        }
    )+};
}

labels! {
    /// What becomes of a request, and why. Audit annotations have these names, too.
    pub enum Verdict {
        /// No finding denies it.
        Admitted = "admitted",
        /// At least one finding denies it.
        Denied = "denied",
        /// It changes nothing that a rule reads.
        Unchanged = "unchanged",
        /// No rule judges such an object, or not where it is.
        NotJudged = "not-judged",
        /// The object cannot be read, and so it is denied.
        Unreadable = "unreadable",
    }

    /// Why a request has no verdict. [`crate::failure::Failure`] has more about each.
    pub enum FailureReason {
        /// Another type than JSON.
        ContentType = "content-type",
        /// The body is too large.
        TooLarge = "too-large",
        /// The body did not arrive in time.
        BodyTimeout = "body-timeout",
        /// The body broke off.
        Body = "body",
        /// No room for another body, or no turn to be judged.
        Overloaded = "overloaded",
        /// Not a request for a verdict.
        Review = "review",
        /// The first lists are not complete.
        NotSynced = "not-synced",
        /// The answer could not be written.
        Answer = "answer",
        /// The caller had stopped waiting.
        Late = "late",
        /// The caller closed the connection.
        CallerGone = "caller-gone",
        /// A defect of ours.
        Defect = "defect",
    }

    /// Where the policy that counts comes from.
    pub enum PolicySource {
        /// No policy is there: the built-in defaults count.
        Defaults = "defaults",
        /// The GitOpsPolicy `default`, or the policy file.
        Given = "given",
        /// The GitOpsPolicy `default` is invalid: the last good one counts, else the defaults.
        Invalid = "invalid",
        /// The API server does not know GitOpsPolicy: the built-in defaults count.
        KindMissing = "kind-missing",
    }

    /// What is watched.
    pub enum WatchedKind {
        /// AppProjects.
        Project = "AppProject",
        /// Metadata of Applications, by the replica that leads.
        Application = "Application",
        /// ApplicationSets.
        ApplicationSet = "ApplicationSet",
        /// Cluster Secrets.
        Cluster = "cluster Secret",
        /// Repository Secrets.
        Repository = "repository Secret",
        /// The ConfigMap `argocd-cm`.
        Settings = "ConfigMap argocd-cm",
        /// The ConfigMap `argocd-cmd-params-cm`.
        Parameters = "ConfigMap argocd-cmd-params-cm",
        /// The definition of Application.
        ApplicationDefinition = "CustomResourceDefinition of Application",
        /// The definition of `ImageUpdater`.
        ImageUpdaterDefinition = "CustomResourceDefinition of ImageUpdater",
        /// The GitOpsPolicy.
        Policy = "GitOpsPolicy",
        /// The webhook's own configuration.
        WebhookConfiguration = "ValidatingWebhookConfiguration",
    }

    /// What the inventory counts.
    pub enum InventoryObject {
        /// AppProjects.
        Project = "AppProject",
        /// ApplicationSets.
        ApplicationSet = "ApplicationSet",
        /// Clusters of cluster Secrets.
        Cluster = "Cluster",
        /// Repositories that belong to a project.
        Repository = "Repository",
        /// Objects that were left out because they cannot be read.
        Unreadable = "unreadable",
    }

    /// What the installed API may have that older versions had not.
    pub enum Feature {
        /// Application keeps `spec.syncPolicy.automated.enabled`, as since Argo CD 3.1.
        AutomatedEnabled = "automated.enabled",
        /// Application has `directory.disableExtensionFilter`, as since Argo CD 3.6.
        DisableExtensionFilter = "directory.disableExtensionFilter",
        /// There is the kind `ImageUpdater`, as since version 1.0 of the image updater.
        ImageUpdater = "ImageUpdater",
    }

    /// What became of an Event.
    pub enum EventOutcome {
        /// The API server has it.
        Published = "published",
        /// The API server did not take it.
        Failed = "failed",
        /// Too many were waiting to be published.
        Dropped = "dropped",
    }
}

impl Verdict {
    /// Whether the request is admitted.
    pub fn is_allowed(self) -> bool {
        match self {
            Verdict::Admitted | Verdict::Unchanged | Verdict::NotJudged => true,
            Verdict::Denied | Verdict::Unreadable => false,
        }
    }
}

impl Label for Level {
    const ALL: &'static [Self] = &[Level::Deny, Level::Warn, Level::Undecided];

    fn index(self) -> usize {
        match self {
            Level::Deny => 0,
            Level::Warn => 1,
            Level::Undecided => 2,
        }
    }

    fn name(self) -> &'static str {
        self.as_str()
    }
}

impl Label for RecordKind {
    const ALL: &'static [Self] = &RecordKind::ALL;

    fn index(self) -> usize {
        self as usize
    }

    fn name(self) -> &'static str {
        self.as_str()
    }
}
