//! Words that a kubeconfig or a cluster has, for whoever is on the way to typing them.

use std::ffi::{OsStr, OsString};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use argocd::names::CLUSTER_SECRETS;
use clap::{Arg, Args, Command, FromArgMatches};
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate};
use kube::config::Kubeconfig;
use policy::Kind;

use crate::args::{ClusterArgs, NamespaceArgs, flags_among, rule_names, target};
use crate::kubernetes::{ApiServer, Objects, block_on, objects_of, of_all_namespaces, resource};

/// How long somebody who has pressed a key is kept waiting for a cluster.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was typed so far says which kubeconfig, cluster and namespace are meant.
#[derive(Debug, Default)]
struct Line {
    cluster: ClusterArgs,
    namespaces: NamespaceArgs,
}

/// The command with the candidates for those of its arguments that name something elsewhere.
/// `words` are those before the one to complete.
pub(super) fn attach(command: Command, words: Vec<OsString>) -> Command {
    let line = Arc::new(Line::of(words));
    attach_all(command, &line)
}

fn attach_all(command: Command, line: &Arc<Line>) -> Command {
    command
        .mut_subcommands(|command| attach_all(command, line))
        .mut_args(|argument| attach_to(argument, line))
}

fn attach_to(argument: Arg, line: &Arc<Line>) -> Arg {
    let line = Arc::clone(line);
    match argument.get_id().as_str() {
        "context" => argument.add(line.of_kubeconfig(contexts)),
        "cluster" => argument.add(line.of_kubeconfig(clusters)),
        "user" => argument.add(line.of_kubeconfig(users)),
        "namespace" | "argocd_namespace" => argument.add(ArgValueCandidates::new(move || {
            candidates(line.namespaces_of_cluster())
        })),
        "applications" => argument.add(completer(move |_| {
            candidates(line.names_of(Kind::Application))
        })),
        "target" => argument.add(completer(move |word| {
            let mut names = line.objects(word);
            if !word.contains('/') {
                names.extend(line.names_of(Kind::Application));
            }
            candidates(names)
        })),
        "question" => argument.add(completer(move |word| {
            let rules = rule_names().into_iter().map(|rule| {
                CompletionCandidate::new(rule.get_name()).help(rule.get_help().cloned())
            });
            rules.chain(candidates(line.objects(word))).collect()
        })),
        _ => argument,
    }
}

fn contexts(kubeconfig: Kubeconfig) -> Vec<String> {
    let contexts = kubeconfig.contexts.into_iter();
    contexts.map(|context| context.name).collect()
}

fn clusters(kubeconfig: Kubeconfig) -> Vec<String> {
    let clusters = kubeconfig.clusters.into_iter();
    clusters.map(|cluster| cluster.name).collect()
}

fn users(kubeconfig: Kubeconfig) -> Vec<String> {
    let users = kubeconfig.auth_infos.into_iter();
    users.map(|user| user.name).collect()
}

/// A candidate is a line of the answer.
fn candidates(names: Vec<String>) -> Vec<CompletionCandidate> {
    let names = names.into_iter();
    names
        .filter(|name| !name.chars().any(char::is_control))
        .map(CompletionCandidate::new)
        .collect()
}

/// Those of the candidates that begin with the word.
fn completer(
    complete: impl Fn(&str) -> Vec<CompletionCandidate> + Send + Sync + 'static,
) -> ArgValueCompleter {
    ArgValueCompleter::new(move |word: &OsStr| {
        let word = word.to_string_lossy();
        let mut candidates = complete(&word);
        candidates.retain(|candidate| candidate.get_value().to_string_lossy().starts_with(&*word));
        candidates
    })
}

impl Line {
    /// What else was typed may be wrong, or not complete yet.
    fn of(words: Vec<OsString>) -> Self {
        let command = Command::new("flags").no_binary_name(true);
        let command = NamespaceArgs::augment_args(ClusterArgs::augment_args(command));
        let flags = flags_among(&command, words);
        let command = command.args_override_self(true).ignore_errors(true);
        let Ok(matches) = command.try_get_matches_from(flags) else {
            return Line::default();
        };
        Line {
            cluster: ClusterArgs::from_arg_matches(&matches).unwrap_or_default(),
            namespaces: NamespaceArgs::from_arg_matches(&matches).unwrap_or_default(),
        }
    }

    fn of_kubeconfig(self: Arc<Self>, names: fn(Kubeconfig) -> Vec<String>) -> ArgValueCandidates {
        ArgValueCandidates::new(move || {
            let kubeconfig = self.cluster.kubeconfig().unwrap_or_default();
            candidates(names(kubeconfig))
        })
    }

    fn namespaces_of_cluster(self: &Arc<Self>) -> Vec<String> {
        self.ask(None, |_, _| {
            of_all_namespaces(resource("", "v1", "Namespace", "namespaces"))
        })
    }

    /// `KIND/NAME`, or `KIND/` where no kind is typed.
    fn objects(self: &Arc<Self>, word: &str) -> Vec<String> {
        match word.split_once('/') {
            None => target::kinds().map(|kind| format!("{kind}/")).collect(),
            Some((typed, _)) => {
                let names = match target::kind_of(typed) {
                    Ok(kind) => self.names_of(kind),
                    Err(_) => Vec::new(),
                };
                let names = names.into_iter();
                names.map(|name| format!("{typed}/{name}")).collect()
            }
        }
    }

    fn names_of(self: &Arc<Self>, kind: Kind) -> Vec<String> {
        let labels = (kind == Kind::ClusterSecret).then(|| CLUSTER_SECRETS.to_owned());
        self.ask(labels, move |namespaces, server| {
            objects_of(kind, namespaces.of_objects(server.namespace()))
        })
    }

    /// The names of objects of the cluster. Where that fails, or takes too long, there are none:
    /// nobody wants to read about that between two words.
    fn ask(
        self: &Arc<Self>,
        labels: Option<String>,
        objects: impl FnOnce(&NamespaceArgs, &ApiServer) -> Objects + Send + 'static,
    ) -> Vec<String> {
        let (sender, receiver) = mpsc::channel();
        let line = Arc::clone(self);
        // A credential plugin holds its thread up for as long as it likes.
        let asking = thread::Builder::new().spawn(move || {
            let names = block_on(async {
                let server = line.cluster.connect(None).await?;
                let objects = objects(&line.namespaces, &server);
                Ok(server.names(&objects, labels.as_deref()).await?)
            });
            // Nobody listens any more where it took too long.
            let _ = sender.send(names.unwrap_or_default());
        });
        match asking {
            Ok(_) => receiver.recv_timeout(PATIENCE).unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }
}
