//! `break-glass list`: the overrides that there are.

use jiff::Timestamp;
use policy::Inventory;

use super::known;
use crate::break_glass::{Grants, Judgement, Live, Override, Standing, State};
use crate::cluster_access::{ApiServer, ClusterArgs, block_on};
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::facts::live::{reference_of, resource_of};
use crate::namespaces::NamespaceArgs;
use crate::output;
use crate::output::break_glass::{self as shown, ListFormat};
use crate::repository::manifest::Kind;
use crate::selection::{Listed, Selection};

/// List the overrides
///
/// Applications, ApplicationSets, AppProjects and cluster Secrets with an override: which rules, until
/// when, why, and which of these rules the object violates now, overruled or not. One that expired
/// lets nothing pass any more; what it let pass stays until somebody changes it.
///
/// Who granted it is known from the webhook's Events, as long as there are some: one hour, unless the API server keeps them
/// longer. Whoever may write Events can forge them; the proof is in the audit log.
///
/// `-o wide` adds which program wrote the override last, as the API server keeps it in managedFields.
/// That is a name which the program gives itself, and no person.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # What is overruled in Argo CD's namespace
  kubectl gitops break-glass list

  # What was left behind, anywhere
  kubectl gitops break-glass list -A --expired

  # For a report
  kubectl gitops break-glass list -A -o json

Exit status:
  0  the list is complete
  2  something could not be read")]
pub(super) struct ListArgs {
    /// List the objects of all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,

    /// Label selector, as for `kubectl get`
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,

    /// Only the overrides that are over
    #[arg(long)]
    expired: bool,

    #[command(flatten)]
    namespaces: NamespaceArgs,

    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    output: ListFormat,

    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Reads, judges, prints.
pub(super) fn run(args: &ListArgs) -> Result<ExitStatus, CommandError> {
    let (Listed { made, left_out }, place) = block_on(list(args))?;
    if made.is_empty() {
        output::status(&args.nothing(&place, &left_out));
    }
    shown::list(&made, args.output)?;
    Ok(if left_out.is_empty() {
        ExitStatus::Clean
    } else {
        ExitStatus::Failed
    })
}

/// The overrides, the kinds and the objects that could not be read, and where it was looked, for people.
async fn list(args: &ListArgs) -> Result<(Listed<Standing>, String), CommandError> {
    let server = args.cluster.connect().await?;
    let inventory = known(&server, args.namespaces.argocd()).await?.inventory;
    let now = Timestamp::now();
    let read = |kind, json: &str| {
        let object = reference_of(&resource_of(kind), json);
        (object, standing(kind, json, &inventory, now))
    };
    let Listed { made, mut left_out } = args.selection(&server).list(&server, read).await?;
    let mut listed = Vec::new();
    for (object, standing) in made {
        match standing {
            Ok(standing) => listed.extend(standing),
            Err(reason) => {
                let object = object.short();
                output::error(&format!("{object}: {reason}"));
                left_out.push(object);
            }
        }
    }
    listed.retain(|standing| !args.expired || standing.state == State::Expired);
    if !listed.is_empty() {
        let namespace = (!args.all_namespaces).then(|| args.namespaces.of_objects(&server));
        let grants = Grants::of(&server, namespace).await;
        for standing in &mut listed {
            standing.granted_by = grants.granted_by(standing);
        }
    }
    let place = if args.all_namespaces {
        "any namespace".to_owned()
    } else {
        format!("namespace {}", args.namespaces.of_objects(&server))
    };
    let listed = Listed {
        made: listed,
        left_out,
    };
    Ok((listed, place))
}

impl ListArgs {
    fn selection<'s>(&'s self, server: &'s ApiServer) -> Selection<'s> {
        Selection {
            namespace: (!self.all_namespaces).then(|| self.namespaces.of_objects(server)),
            argocd_namespace: self.namespaces.argocd(),
            selector: self.selector.as_deref(),
        }
    }

    /// That there is none, as far as that is known.
    fn nothing(&self, place: &str, left_out: &[String]) -> String {
        let what = if self.expired {
            "no override that is over"
        } else {
            "no override"
        };
        if left_out.is_empty() {
            return format!("{what} in {place}");
        }
        format!(
            "{what} found in {place}, but not all of it is known: {} could not be read",
            left_out.join(", ")
        )
    }
}

/// The override on an object, if there is one, or why the object cannot be judged.
fn standing(
    kind: Kind,
    json: &str,
    inventory: &Inventory,
    now: Timestamp,
) -> Result<Option<Standing>, String> {
    let live = Live::read(kind, json)?;
    if live.written == Override::None {
        return Ok(None);
    }
    let judgement = Judgement::of(kind, json, inventory)?;
    let judgement = judgement.by(live.written.rules());
    let written = live.written.clone();
    Ok(Some(Standing::of(&live, written, judgement, now)))
}
