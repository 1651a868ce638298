//! Answers: of flags, of a person who is asked, or what is usual.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::str::FromStr;

use crate::bootstrap::Answers;
use crate::bootstrap::answers::{
    ArgoCdVersion, Channel, Environment, EnvironmentName, Region, RepositoryAddress, Revision,
    Team, TimeZone,
};
use crate::bootstrap::charts::{ARGO_CD_OF_CHART, Addon, NoAddon, OtherVersion};
use crate::context::Context;
use crate::error::{CommandError, chain};
use crate::repository::work_trees::origin_of;
use crate::streams::Streams;

/// What can be answered beforehand.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Answers")]
pub(super) struct AnswerArgs {
    /// URL of the repository [default: DIR's remote `origin`]
    ///
    /// It is as Argo CD reads it, without a credential.
    #[arg(long, value_name = "URL")]
    repository: Option<RepositoryAddress>,

    /// Branch that the devops cluster follows [default: main]
    #[arg(long, value_name = "REVISION", hide_short_help = true)]
    revision: Option<Revision>,

    /// Team, or TEAM=URL with a repository of its own [default: apps]
    ///
    /// It can be given several times. A team has an AppProject for each environment.
    #[arg(long = "team", value_name = "TEAM", value_delimiter = ',')]
    teams: Vec<Team>,

    /// Environment [default: staging, prod]
    ///
    /// It can be given several times. The clusters of an environment are called by its name, alone
    /// or with something behind a hyphen: `prod-eu`.
    #[arg(long = "environment", value_name = "NAME", value_delimiter = ',')]
    environments: Vec<EnvironmentName>,

    /// Environment that is production [default: prod, production]
    ///
    /// It can be given several times.
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        hide_short_help = true
    )]
    production: Vec<EnvironmentName>,

    /// The only environment that this Argo CD drives [default: all]
    ///
    /// The others are known to the policy, which keeps this Argo CD out of them.
    #[arg(long, value_name = "NAME")]
    engine: Option<EnvironmentName>,

    /// Addon, or `none` [default: all]
    ///
    /// It can be given several times. They are argo-cd, cert-manager, external-secrets, kyverno,
    /// kube-prometheus-stack and metrics-server. With argo-cd, Argo CD manages itself.
    #[arg(long = "addon", value_name = "NAME", value_delimiter = ',')]
    addons: Vec<Choice>,

    /// Version of an addon's chart, such as kyverno=3.9.1 [default: a pinned one]
    ///
    /// It can be given several times.
    #[arg(
        long = "chart",
        value_name = "ADDON=VERSION",
        value_delimiter = ',',
        hide_short_help = true
    )]
    charts: Vec<OtherVersion>,

    /// Version of Argo CD [default: that of its chart]
    #[arg(long, value_name = "VERSION", hide_short_help = true)]
    argocd_version: Option<ArgoCdVersion>,

    /// Region of AWS whose Secrets Manager has Argo CD's secrets [default: eu-central-1]
    #[arg(long, value_name = "REGION", hide_short_help = true)]
    region: Option<Region>,

    /// Channel of Slack that is told of failed syncs of production [default: deployments]
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    slack_channel: Option<Channel>,

    /// Time zone of the weekend, when production is not synced [default: UTC]
    #[arg(long, value_name = "ZONE", hide_short_help = true)]
    time_zone: Option<TimeZone>,
}

/// An addon, or that there is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Choice {
    None,
    Addon(Addon),
}

impl FromStr for Choice {
    type Err = NoAddon;

    fn from_str(text: &str) -> Result<Self, NoAddon> {
        match text {
            "none" => Ok(Choice::None),
            name => name.parse().map(Choice::Addon),
        }
    }
}

/// Why there are no answers.
#[derive(Debug, thiserror::Error)]
enum NoAnswers {
    #[error("--repository: nobody can be asked for it, and {0} has no remote `origin`")]
    Repository(String),
    #[error("--addon: none is named beside others")]
    NoneAndOthers,
    #[error("a question was not answered: {0}")]
    Unanswered(&'static str),
    /// What is usual does not fit.
    #[error("{question}: {reason}")]
    Unusable {
        question: &'static str,
        reason: String,
    },
}

impl AnswerArgs {
    /// All answers. Nobody is asked who has agreed beforehand.
    ///
    /// # Errors
    /// One is missing, or they do not fit together.
    pub(super) fn answers(
        &self,
        folder: &Path,
        is_agreed: bool,
        context: &Context,
    ) -> Result<Answers, CommandError> {
        let streams = (!is_agreed && Streams::has_somebody()).then_some(&*context.streams);
        let person = Person {
            read: &|question| streams?.ask_for(question),
            tell: &|text| {
                if let Some(streams) = streams {
                    streams.error(text);
                }
            },
            is_there: streams.is_some(),
        };
        let namespace = context.argocd_namespace();
        self.asked(&person, folder, namespace)
    }

    fn asked(
        &self,
        person: &Person<'_>,
        folder: &Path,
        namespace: &str,
    ) -> Result<Answers, CommandError> {
        let repository = self.repository(person, folder).map_err(CommandError::new)?;
        let ask = || -> Result<_, NoAnswers> {
            Ok((
                person.one(
                    self.revision.as_ref(),
                    "branch that the devops cluster follows",
                    "main",
                )?,
                person.several(&self.teams, "teams, with commas between them", "apps")?,
                person.several(&self.environments, ENVIRONMENTS, "staging,prod")?,
            ))
        };
        let (revision, teams, environments) = ask().map_err(CommandError::new)?;
        let environments = self.environments(person, &environments)?;
        let addons = self.addons(person).map_err(CommandError::new)?;
        let ask = || -> Result<_, NoAnswers> {
            let region = "region of AWS whose Secrets Manager has Argo CD's secrets";
            let channel = "channel of Slack that is told of failed syncs of production";
            Ok((
                self.engine(person)?,
                self.argocd_version(person, &addons)?,
                person.if_so(addons.contains(&Addon::ExternalSecrets)).one(
                    self.region.as_ref(),
                    region,
                    "eu-central-1",
                )?,
                person.if_so(addons.contains(&Addon::ArgoCd)).one(
                    self.slack_channel.as_ref(),
                    channel,
                    "deployments",
                )?,
                person.one(self.time_zone.as_ref(), "time zone of the weekend", "UTC")?,
            ))
        };
        let (engine, argocd_version, region, channel, time_zone) =
            ask().map_err(CommandError::new)?;
        let answers = Answers {
            repository,
            revision,
            namespace: namespace.to_owned(),
            teams,
            environments,
            engine,
            addons,
            versions: self.charts.clone(),
            argocd_version,
            region,
            channel,
            time_zone,
        };
        answers.check().map_err(CommandError::new)?;
        Ok(answers)
    }

    fn repository(
        &self,
        person: &Person<'_>,
        folder: &Path,
    ) -> Result<RepositoryAddress, NoAnswers> {
        let question = "URL of the repository";
        // One with a credential in it is none to suggest.
        let origin = || origin_of(folder).filter(|url| url.parse::<RepositoryAddress>().is_ok());
        if let Some(given) = &self.repository {
            return Ok(given.clone());
        }
        match origin() {
            Some(url) => person.one(None, question, &url),
            None if person.is_there => person.one(None, question, ""),
            None => Err(NoAnswers::Repository(folder.display().to_string())),
        }
    }

    /// Which of them are production is asked only where their names do not tell.
    fn environments(
        &self,
        person: &Person<'_>,
        names: &[EnvironmentName],
    ) -> Result<Vec<Environment>, CommandError> {
        let environments = Environment::of_names(names, &self.production);
        if environments.is_ok() || !self.production.is_empty() || !person.is_there {
            return environments.map_err(CommandError::new);
        }
        let last = names.last().map_or("", EnvironmentName::as_str);
        let production = person.several(&[], "which of them are production", last);
        let production = production.map_err(CommandError::new)?;
        Environment::of_names(names, &production).map_err(CommandError::new)
    }

    fn addons(&self, person: &Person<'_>) -> Result<BTreeSet<Addon>, NoAnswers> {
        let all = Addon::names().join(",");
        let choices = person.several(&self.addons, "addons, or none", &all)?;
        let addons: BTreeSet<Addon> = choices
            .iter()
            .filter_map(|choice| match choice {
                Choice::None => None,
                Choice::Addon(addon) => Some(*addon),
            })
            .collect();
        if choices.contains(&Choice::None) && !addons.is_empty() {
            return Err(NoAnswers::NoneAndOthers);
        }
        Ok(addons)
    }

    fn engine(&self, person: &Person<'_>) -> Result<Option<EnvironmentName>, NoAnswers> {
        if self.engine.is_some() {
            return Ok(self.engine.clone());
        }
        let question = "the only environment that this Argo CD drives, or all";
        let Named(engine) = person.one(None, question, ALL)?;
        Ok(engine)
    }

    /// The chart's own version is none that has to be said. Of another chart it is not known.
    fn argocd_version(
        &self,
        person: &Person<'_>,
        addons: &BTreeSet<Addon>,
    ) -> Result<Option<ArgoCdVersion>, NoAnswers> {
        let mut charts = self.charts.iter();
        let has_other_chart = charts.any(|other| other.addon == Addon::ArgoCd);
        if self.argocd_version.is_some() || has_other_chart || !addons.contains(&Addon::ArgoCd) {
            return Ok(self.argocd_version.clone());
        }
        let version: ArgoCdVersion = person.one(None, "version of Argo CD", ARGO_CD_OF_CHART)?;
        Ok((version.tag() != ARGO_CD_OF_CHART).then_some(version))
    }
}

const ENVIRONMENTS: &str = "environments, with commas between them";

/// No environment in particular.
const ALL: &str = "all";

/// An environment, or all.
#[derive(Clone, Debug)]
struct Named(Option<EnvironmentName>);

impl FromStr for Named {
    type Err = <EnvironmentName as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            ALL => Ok(Named(None)),
            name => name.parse().map(|name| Named(Some(name))),
        }
    }
}

/// Who is asked, if there is somebody.
struct Person<'p> {
    /// What is answered to a question; None where nobody answers.
    read: &'p dyn Fn(&str) -> Option<String>,
    /// Says what is wrong with an answer.
    tell: &'p dyn Fn(&str),
    is_there: bool,
}

impl Person<'_> {
    /// The same person, or nobody where the answer makes no difference.
    fn if_so(&self, matters: bool) -> Person<'_> {
        Person {
            read: self.read,
            tell: self.tell,
            is_there: self.is_there && matters,
        }
    }

    /// One answer: the given one, or what is asked for.
    fn one<T: Clone + FromStr<Err: Error>>(
        &self,
        given: Option<&T>,
        question: &'static str,
        usual: &str,
    ) -> Result<T, NoAnswers> {
        match given {
            Some(given) => Ok(given.clone()),
            None => self.answer(question, usual, str::parse),
        }
    }

    /// Several answers, likewise.
    fn several<T: Clone + FromStr<Err: Error>>(
        &self,
        given: &[T],
        question: &'static str,
        usual: &str,
    ) -> Result<Vec<T>, NoAnswers> {
        if given.is_empty() {
            let parts = |text: &str| text.split(',').map(|part| part.trim().parse()).collect();
            self.answer(question, usual, parts)
        } else {
            Ok(given.to_vec())
        }
    }

    /// Asks until there is an answer that can be used. No answer means what is usual.
    fn answer<T, E: Error>(
        &self,
        question: &'static str,
        usual: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, NoAnswers> {
        if !self.is_there {
            return parse(usual).map_err(|error| NoAnswers::Unusable {
                question,
                reason: chain(&error),
            });
        }
        let shown = match usual {
            "" => format!("{question}: "),
            usual => format!("{question} [{usual}]: "),
        };
        loop {
            let answer = (self.read)(&shown).ok_or(NoAnswers::Unanswered(question))?;
            let answer = match &*answer {
                "" => usual,
                answer => answer,
            };
            match parse(answer) {
                Ok(answer) => return Ok(answer),
                Err(error) => (self.tell)(&chain(&error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use clap::{Args as _, Command, FromArgMatches as _};

    use super::*;

    fn args(words: &[&str]) -> AnswerArgs {
        let command = AnswerArgs::augment_args(Command::new("test"));
        let words = ["test"].iter().chain(words);
        AnswerArgs::from_arg_matches(&command.get_matches_from(words)).unwrap()
    }

    /// What is asked, and the answers, where somebody gives these.
    fn talk(words: &[&str], given: &[&str]) -> (Vec<String>, Result<Answers, String>) {
        let folder = tempfile::tempdir().unwrap();
        let said = RefCell::new(Vec::new());
        let mut given = given.iter().map(|answer| (*answer).to_owned());
        let given = RefCell::new(&mut given);
        let person = Person {
            read: &|question| {
                said.borrow_mut().push(question.to_owned());
                given.borrow_mut().next()
            },
            tell: &|text| said.borrow_mut().push(format!("error: {text}")),
            is_there: true,
        };
        let answers = args(words).asked(&person, folder.path(), "argocd");
        let answers = answers.map_err(|error| format!("{error:?}"));
        (said.into_inner(), answers)
    }

    const URL: &str = "https://git.example.com/fleet.git";

    #[test]
    fn what_is_not_answered_is_what_is_usual() {
        let (asked, answers) = talk(&[], &[URL, "", "", "", "", "", "", "", "", ""]);
        let answers = answers.unwrap();
        assert_eq!(
            asked,
            [
                "URL of the repository: ",
                "branch that the devops cluster follows [main]: ",
                "teams, with commas between them [apps]: ",
                "environments, with commas between them [staging,prod]: ",
                "addons, or none [argo-cd,cert-manager,external-secrets,kyverno,kube-prometheus-stack,metrics-server]: ",
                "the only environment that this Argo CD drives, or all [all]: ",
                "version of Argo CD [v3.5.4]: ",
                "region of AWS whose Secrets Manager has Argo CD's secrets [eu-central-1]: ",
                "channel of Slack that is told of failed syncs of production [deployments]: ",
                "time zone of the weekend [UTC]: ",
            ]
        );
        assert_eq!(answers.repository.to_string(), URL);
        assert_eq!((answers.engine, answers.argocd_version), (None, None));
        assert_eq!(answers.addons.len(), Addon::ALL.len());
    }

    #[test]
    fn what_flags_say_is_not_asked() {
        let words = [
            "--repository",
            URL,
            "--revision",
            "trunk",
            "--team",
            "orders,payments",
            "--environment",
            "test,live",
            "--production",
            "live",
            "--engine",
            "live",
            "--addon",
            "none",
            "--time-zone",
            "Europe/Berlin",
        ];
        let (asked, answers) = talk(&words, &[]);
        assert_eq!(asked, [""; 0]);
        let answers = answers.unwrap();
        assert_eq!(answers.teams.len(), 2);
        assert!(answers.addons.is_empty());
        let live = &answers.environments[1];
        assert!(live.is_production && Some(&live.name) == answers.engine.as_ref());
    }

    #[test]
    fn an_answer_that_cannot_be_used_is_asked_for_again() {
        let words = [
            "--revision",
            "main",
            "--team",
            "apps",
            "--addon",
            "none",
            "--engine",
            "live",
        ];
        let given = [URL, "Live", "test,live", "", "UTC"];
        let (asked, answers) = talk(&words, &given);
        assert!(answers.unwrap().environments[1].is_production);
        assert_eq!(
            asked,
            [
                "URL of the repository: ",
                "environments, with commas between them [staging,prod]: ",
                "error: \"Live\": expected lower-case letters and digits, a letter first, at most 20, such as prod",
                "environments, with commas between them [staging,prod]: ",
                "which of them are production [live]: ",
                "time zone of the weekend [UTC]: ",
            ]
        );
    }

    #[test]
    fn somebody_who_goes_away_ends_it() {
        let (_, answers) = talk(&[], &[URL]);
        let error = answers.unwrap_err();
        assert!(
            error.contains("branch that the devops cluster follows"),
            "{error}"
        );
    }
}
