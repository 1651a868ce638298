//! Where Argo CD runs.

use clap::builder::NonEmptyStringValueParser;

/// The namespace that Argo CD runs in.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ArgoCdNamespace {
    /// Namespace that Argo CD runs in, where objects without a namespace count as being
    #[arg(
        short = 'n',
        long,
        visible_alias = "namespace",
        value_name = "NAMESPACE",
        default_value = "argocd",
        value_parser = NonEmptyStringValueParser::new()
    )]
    argocd_namespace: String,
}

impl ArgoCdNamespace {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.argocd_namespace
    }
}
