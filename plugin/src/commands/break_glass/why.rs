//! `break-glass why`: who may overrule what.

use policy::break_glass::VERB;
use policy::{Kind, RuleId, registry};

use super::{application_set_of, tell_where_it_stands};
use crate::args::{Format, OUTPUT, Target, formats, rule_of, rule_parser};
use crate::break_glass::{Allowed, Answer, Live};
use crate::context::Context;
use crate::error::{CommandError, chain};
use crate::exit_status::ExitStatus;
use crate::fleet::Facts;
use crate::kubernetes::{
    ApiServer, Objects, Permission, User, block_on, may_i, objects_of, of_all_namespaces,
    resource_of, who_am_i,
};
use crate::report::break_glass::Review;

/// Tell whether you may overrule rules, and what permits it
///
/// Asks the API server the question that the admission webhook asks about you: whether you may use
/// the verb `break-glass` on `gitopspolicies.kubectl-gitops.io/RULE`. It answers with the role that
/// permits it and what binds that to you. As `gitopspolicies` are in no namespace, these are a
/// `ClusterRole` and a `ClusterRoleBinding`. A service account also has to be named in the policy
/// (spec.breakGlass).
///
/// With KIND/NAME it also asks whether you may write that object, which an override needs as well;
/// of an Application that an ApplicationSet generates it is the ApplicationSet that the override
/// stands on. What depends on something that you may not read is `unknown`. `--as` asks about
/// somebody else. `kubectl auth can-i break-glass gitopspolicies/RULE` asks the same of one rule,
/// without the policy.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # All rules
  kubectl gitops break-glass why

  # One rule
  kubectl gitops break-glass why prod-auto-sync

  # Whether an override can be written to an object
  kubectl gitops break-glass why app/orders --rule prod-auto-sync

Exit status:
  0  you may do all of it
  1  you may not
  2  the API server could not be asked, or something is unknown")]
pub(super) struct WhyArgs {
    /// Rule, or an object as KIND/NAME [default: all rules]
    #[arg(value_name = "RULE|KIND/NAME", value_parser = parse_question)]
    question: Option<Question>,

    /// Rule to overrule; can be given several times
    ///
    /// It is one of those that `kubectl gitops explain` lists.
    #[arg(long = "rule", value_name = "RULE", value_delimiter = ',', hide_possible_values = true, value_parser = rule_parser())]
    rules: Vec<RuleId>,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = formats(FORMATS), help_heading = OUTPUT)]
    output: Format,
}

const FORMATS: &[(Format, &str)] = &[
    (Format::Table, "A row for each permission"),
    (Format::Json, "The permissions in JSON"),
    (Format::Yaml, "The permissions in YAML"),
];

#[derive(Clone, Debug)]
enum Question {
    Rule(RuleId),
    Object(Target),
}

fn parse_question(text: &str) -> Result<Question, String> {
    if text.contains('/') {
        let target = text.parse::<Target>().map_err(|error| error.to_string())?;
        return Ok(Question::Object(target));
    }
    let rule = rule_of(text).map(Question::Rule);
    rule.ok_or_else(|| "expected a rule of `kubectl gitops explain`, or KIND/NAME".to_owned())
}

/// Asks, and prints the answers.
pub(super) fn run(args: &WhyArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let (user, answers) = block_on(ask(args, context))?;
    let report = Review {
        user: user.as_ref(),
        answers: &answers,
    };
    context.print(&report, args.output)?;
    if args.output.is_for_people() {
        if let Some(user) = &user {
            context.streams.status(&asked_as(user));
        }
        for hint in hints(&answers) {
            context.streams.hint(&hint);
        }
    }
    let is_any = |allowed| {
        let mut answers = answers.iter();
        answers.any(|answer| answer.allowed.known() == allowed)
    };
    Ok(if is_any(None) {
        ExitStatus::Failed
    } else if is_any(Some(false)) {
        ExitStatus::Denied
    } else {
        ExitStatus::Clean
    })
}

fn asked_as(user: &User) -> String {
    let groups = match user.groups.join(", ") {
        groups if groups.is_empty() => String::new(),
        groups => format!(" (groups {groups})"),
    };
    format!("asked as {}{groups}", user.username)
}

/// What is missing, each once. Whoever asks about many rules need not want all of them.
fn hints(answers: &[Answer]) -> Vec<String> {
    let is_denied_rule = |answer: &&Answer| answer.verb == VERB && answer.allowed == Allowed::No;
    let are_several = answers.iter().filter(is_denied_rule).count() > 1;
    let mut hints = Vec::new();
    for answer in answers {
        let hint = if are_several && is_denied_rule(&answer) {
            Some(EACH_RULE.to_owned())
        } else {
            answer.advice()
        };
        hints.extend(hint.filter(|hint| !hints.contains(hint)));
    }
    hints
}

const EACH_RULE: &str = "each rule that you may not overrule needs a ClusterRole, bound by a ClusterRoleBinding, that allows \
                         `break-glass` on gitopspolicies.kubectl-gitops.io/RULE";

async fn ask(
    args: &WhyArgs,
    context: &Context,
) -> Result<(Option<User>, Vec<Answer>), CommandError> {
    let server = context.connect().await?;
    let user = who_am_i(&server).await;
    let unnamed = match &user {
        Some(user) => unnamed(&server, user, context).await?,
        None => None,
    };
    let mut answers = Vec::new();
    for rule in args.rules() {
        let policies = of_all_namespaces(resource_of(Kind::Policy));
        let mut answer = answer(&server, VERB, policies, rule.as_str()).await?;
        if answer.allowed == Allowed::Yes
            && let Some((allowed, reason)) = &unnamed
        {
            answer.allowed = *allowed;
            answer.reason.clone_from(reason);
        }
        answers.push(answer);
    }
    if let Some(Question::Object(target)) = &args.question {
        answers.push(writes(&server, target, context).await?);
    }
    Ok((user, answers))
}

impl WhyArgs {
    fn rules(&self) -> Vec<RuleId> {
        let named = match self.question {
            Some(Question::Rule(rule)) => Some(rule),
            _ => None,
        };
        let named: Vec<RuleId> = named
            .into_iter()
            .chain(self.rules.iter().copied())
            .collect();
        if named.is_empty() {
            registry::all().map(|rule| rule.id).collect()
        } else {
            named
        }
    }
}

async fn answer(
    server: &ApiServer,
    verb: &'static str,
    objects: Objects,
    name: &str,
) -> Result<Answer, CommandError> {
    let Permission { allowed, reason } = may_i(server, verb, &objects, name).await?;
    Ok(Answer {
        verb,
        objects,
        name: name.to_owned(),
        allowed: if allowed { Allowed::Yes } else { Allowed::No },
        reason,
    })
}

/// Whether an override for an object could be written.
async fn writes(
    server: &ApiServer,
    target: &Target,
    context: &Context,
) -> Result<Answer, CommandError> {
    let verb = "patch";
    let namespace = context.namespace_of(server);
    let Some(target) = &stands_on(server, target, context).await? else {
        return Ok(Answer {
            verb,
            objects: objects_of(target.kind, namespace),
            name: target.name.clone(),
            allowed: Allowed::Unknown,
            reason: "unknown whether an ApplicationSet generates it".to_owned(),
        });
    };
    let mut answer = answer(
        server,
        verb,
        objects_of(target.kind, namespace),
        &target.name,
    )
    .await?;
    if answer.allowed == Allowed::Yes && is_being_deleted(server, target, namespace).await? {
        answer = Answer {
            allowed: Allowed::OfNoUse,
            reason: "it is being deleted, and an override on it counts for nothing".to_owned(),
            ..answer
        };
    }
    Ok(answer)
}

/// Whether an object has been asked to go. Of one that may not be read, or is not there, it is not
/// known.
async fn is_being_deleted(
    server: &ApiServer,
    target: &Target,
    namespace: &str,
) -> Result<bool, CommandError> {
    let read = |json: &str| Live::read(target.kind, json);
    let objects = objects_of(target.kind, namespace);
    match server.get(&objects, &target.name, read).await {
        Err(error) if error.is_forbidden() => Ok(false),
        found => Ok(found?.is_some_and(|live| live.is_ok_and(|live| live.is_being_deleted))),
    }
}

/// The object that an override would stand on; None if the user may not read what tells that.
async fn stands_on(
    server: &ApiServer,
    target: &Target,
    context: &Context,
) -> Result<Option<Target>, CommandError> {
    if target.kind != Kind::Application {
        return Ok(Some(target.clone()));
    }
    let read = |json: &str| Live::read(target.kind, json);
    let objects = objects_of(target.kind, context.namespace_of(server));
    let live = match server.get(&objects, &target.name, read).await {
        Err(error) if error.is_forbidden() => {
            let error = chain(&error);
            context.streams.warning(&format!(
                "{error}: whether an ApplicationSet generates it is unknown"
            ));
            return Ok(None);
        }
        found => found?.transpose(),
    };
    let live = live.map_err(|reason| CommandError::new(format!("{target}: {reason}")))?;
    // It may still be to come.
    let Some(live) = live else {
        return Ok(Some(target.clone()));
    };
    let set = application_set_of(&live)?;
    if let Some(set) = &set {
        tell_where_it_stands(&live, set, context);
    }
    Ok(Some(set.unwrap_or_else(|| target.clone())))
}

/// Why the webhook does not even ask about a service account, or that nobody knows whether it does.
async fn unnamed(
    server: &ApiServer,
    user: &User,
    context: &Context,
) -> Result<Option<(Allowed, String)>, CommandError> {
    let Some(account) = user.service_account() else {
        return Ok(None);
    };
    let consequence = "whether it names the service account is unknown";
    let argocd_namespace = context.argocd_namespace();
    let (mut facts, lacking) = Facts::of_policy(server, argocd_namespace, consequence).await?;
    context.warn(facts.what_lacks(lacking));
    if !facts.knows_policy {
        let reason = format!("unknown whether the GitOpsPolicy names service account {account}");
        return Ok(Some((Allowed::Unknown, reason)));
    }
    let inventory = facts.inventory()?;
    let policy = inventory.policy();
    let terms = &policy.break_glass;
    let is_controller = policy
        .argocd
        .service_accounts
        .is_application_controller(&user.username, argocd_namespace);
    let is_named = terms.service_accounts.contains(&account) || terms.from_git && is_controller;
    let reason = format!(
        "the GitOpsPolicy names no service account {account} in spec.breakGlass.serviceAccounts"
    );
    Ok((!is_named).then_some((Allowed::TurnedAway, reason)))
}
