//! `audit`: judges the objects that a cluster has.

use argocd::names::PARAMETERS_CONFIG_MAP;

use crate::args::{ArgoCdVersion, FindingsArgs, ScopeArgs};
use crate::audit::{Audited, audit};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::fleet::Facts;
use crate::kubernetes::block_on;
use crate::text::counted;

use super::findings;

/// Judge the Argo CD objects in a cluster
///
/// Reads Applications, ApplicationSets, AppProjects and cluster Secrets of the cluster of the
/// current context and says what the admission webhook would deny. They are judged by all that is
/// known there: a project or cluster that is not there does not exist. The last line says which
/// clusters count as production, and names those that look as if they should. Nothing is written to
/// the cluster.
///
/// It needs to list Applications, ApplicationSets, AppProjects, and Secrets in Argo CD's namespace;
/// a kind that may not be listed is reported and the others are judged. Secrets outside of Argo
/// CD's namespace are not judged: they are not clusters to it.
///
/// Each object is judged as if it were new, but for a sync that is under way. An override
/// (`break-glass`) that stands on one turns what its rules deny into warnings until it ends, and is
/// told with its reason and its end; that of an ApplicationSet does so for what it generates as
/// well. One that has expired, or that the policy does not allow, has no effect, and that is told
/// beside what it named.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # Judge what is in the cluster of the current context, in all namespaces
  kubectl gitops audit -A

  # The same of one team, and explain what is wrong
  kubectl gitops audit -A -l team=shop --explain

  # The names of what is denied in Argo CD's namespace
  kubectl gitops audit -n argocd -o name

Exit status:
  0  nothing is denied
  1  something is denied
  2  an object or a kind could not be read, or the command line is wrong

Called as a plugin of argocd, any status but 0 makes argocd print one more line to standard
output: `Error: exit status N`.")]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    pub(super) scope: ScopeArgs,

    #[command(flatten)]
    pub(super) version: ArgoCdVersion,

    #[command(flatten)]
    pub(super) findings: FindingsArgs,
}

/// Reads, judges, prints.
pub(crate) fn run(args: &AuditArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    findings::refuse_pages(&args.findings)?;
    let Audited {
        checked,
        left_out,
        others,
    } = block_on(judge(args, context))?;
    for left_out in &left_out {
        let reason = &left_out.reason;
        context.streams.error(&format!("left out: {reason}"));
    }
    if others > 0 {
        context.streams.note(&format!(
            "not judged: {} in namespaces in which this Argo CD has none, by {PARAMETERS_CONFIG_MAP}",
            counted(others, "object")
        ));
    }
    findings::tell_unread(&checked.problems, context);
    findings::print(&checked, &args.findings, context)
}

async fn judge(args: &AuditArgs, context: &Context) -> Result<Audited, CommandError> {
    let server = context.connect().await?;
    let namespace = context.argocd_namespace();
    let (mut facts, lacking) = Facts::of_cluster_as_far_as_permitted(&server, namespace).await?;
    context.warn(lacking);
    if let Some(reading) = args.version.project_reading() {
        facts.read_projects_by(reading);
    }
    let selection = context.selection(&args.scope, &server);
    let place = context.place(&args.scope, &server, "all namespaces");
    audit(
        &server,
        facts,
        selection,
        &place,
        context.now(),
        context.progress,
    )
    .await
}
