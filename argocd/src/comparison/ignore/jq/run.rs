//! Running an expression, with all that it does counted.
//!
//! Follows gojq 0.12.19, `compiler.go` and `execute.go`. In jq an expression has any number of
//! results; here each is handed to whoever takes it, so that nothing has to be kept. Where paths
//! are asked for, gojq tracks them through everything that is not evaluated apart, arguments of
//! functions included, and compares what a step is made from with what the path has led to.

mod functions;

use std::cell::Cell;
use std::rc::Rc;

use super::prelude;
use super::syntax::{Definition, Fold, Key, Operator, Part, Pattern, Term, Update};
use super::value::{Entries, Number, Stop, Val};

/// What an expression is given, and what it results in.
#[derive(Clone)]
pub(super) struct State {
    pub(super) value: Val,
    pub(super) trail: Option<Trail>,
}

/// The path to what has been reached, where it is asked for.
#[derive(Clone)]
pub(super) struct Trail {
    path: Path,
    top: Val,
}

type Path = Option<Rc<Step>>;

struct Step {
    key: Val,
    before: Path,
    length: usize,
}

/// The longest path. Its steps are dropped recursively.
const PATH_LIMIT: usize = 256;

impl Trail {
    fn from(value: Val) -> Self {
        Trail {
            path: None,
            top: value,
        }
    }

    fn then(&self, key: Val, top: Val) -> Result<Self, Stop> {
        let length = self.path.as_ref().map_or(0, |step| step.length) + 1;
        if length > PATH_LIMIT {
            return Err(Stop::Unknown);
        }
        let before = self.path.clone();
        let path = Some(Rc::new(Step {
            key,
            before,
            length,
        }));
        Ok(Trail { path, top })
    }

    fn keys(&self) -> Vec<Val> {
        let mut keys = Vec::new();
        let mut path = &self.path;
        while let Some(step) = path {
            keys.push(step.key.clone());
            path = &step.before;
        }
        keys.reverse();
        keys
    }
}

/// What names mean, the last one first.
pub(super) type Scope<'t> = Option<Rc<Binding<'t>>>;

pub(super) struct Binding<'t> {
    name: &'t str,
    means: Meaning<'t>,
    outer: Scope<'t>,
}

enum Meaning<'t> {
    Variable(Val),
    Function(&'t Definition),
    /// A parameter that is not a value: an expression where it is called from.
    Argument(&'t Term, Scope<'t>),
    Label(u64),
}

pub(super) type Flow = Result<(), Stop>;
pub(super) type Take<'o> = &'o mut dyn FnMut(State) -> Flow;

/// What may be done, and how much of it has been.
pub(super) struct Run {
    conditions: Conditions,
    left: Cell<u64>,
    depth: Cell<usize>,
    labels: Cell<u64>,
}

/// Which way an expression goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::comparison::ignore) enum Conditions {
    /// As the object has it.
    AsTheyAre,
    /// Either way, as another object may have it.
    Either,
}

/// How deeply evaluations may stand in one another: a thread has two megabytes of stack.
const DEPTH_LIMIT: usize = 160;
/// What an evaluation costs; a byte that is read or written costs 1.
const STEP_COST: u64 = 16;

impl Run {
    pub(super) fn new(conditions: Conditions, work: u64) -> Self {
        Run {
            conditions,
            left: Cell::new(work),
            depth: Cell::new(0),
            labels: Cell::new(0),
        }
    }

    /// What is left of the work.
    pub(super) fn left(&self) -> u64 {
        self.left.get()
    }

    pub(super) fn spend(&self, work: u64) -> Flow {
        let left = self.left.get().checked_sub(work);
        self.left.set(left.unwrap_or_default());
        left.map(|_| ()).ok_or(Stop::Unknown)
    }

    pub(super) fn read(&self, value: &Val) -> Flow {
        self.spend(value.size() as u64)
    }

    pub(super) fn read_whole(&self, value: &Val) -> Flow {
        let size = value.whole_size() as u64;
        self.spend(size)
    }

    /// Evaluates an expression.
    pub(super) fn term<'t>(
        &self,
        term: &'t Term,
        scope: &Scope<'t>,
        state: State,
        take: Take<'_>,
    ) -> Flow {
        self.spend(STEP_COST)?;
        if self.depth.get() == DEPTH_LIMIT {
            return Err(Stop::Unknown);
        }
        self.depth.set(self.depth.get() + 1);
        let flow = self.dispatch(term, scope, state, take);
        self.depth.set(self.depth.get() - 1);
        flow
    }

    fn dispatch<'t>(
        &self,
        term: &'t Term,
        scope: &Scope<'t>,
        state: State,
        take: Take<'_>,
    ) -> Flow {
        match term {
            Term::Identity => take(state),
            Term::Null => constant(state, Val::Null, take),
            Term::Bool(value) => constant(state, Val::Bool(*value), take),
            Term::Number(number) => constant(state, Val::Number(*number), take),
            Term::Text(text) => constant(state, Val::text(text), take),
            Term::HugeNumber => Err(Stop::Unknown),
            Term::Interpolation(format, parts) => {
                self.parts(format.as_deref(), parts, scope, &state, take)
            }
            Term::Format(name) => {
                let text = functions::format(self, name, &state.value)?;
                constant(state, text, take)
            }
            Term::Index(way, key) => self.index(way, key, scope, &state, take),
            Term::Slice(way, start, end) => {
                self.slice(way, start.as_deref(), end.as_deref(), scope, &state, take)
            }
            Term::Iterate(way) => {
                self.term(way, scope, state, &mut |state| self.iterate(&state, take))
            }
            Term::Try(body, handler) => self.attempt(body, handler.as_deref(), scope, state, take),
            Term::Pipe(left, right) => self.term(left, scope, state, &mut |state| {
                self.term(right, scope, state, take)
            }),
            Term::Comma(left, right) => {
                self.term(left, scope, state.clone(), take)?;
                self.term(right, scope, state, take)
            }
            Term::Alternative(left, right) => self.alternative(left, right, scope, state, take),
            Term::And(left, right) => self.both(left, right, false, scope, &state, take),
            Term::Or(left, right) => self.both(left, right, true, scope, &state, take),
            Term::Binary(operator, left, right) => {
                self.binary(*operator, left, right, scope, &state, take)
            }
            Term::Update(update, left, right) => {
                self.update(*update, left, right, scope, &state, take)
            }
            Term::Plus(term) => self.term(term, scope, state, &mut |state| match state.value {
                Val::Number(_) => take(state),
                _ => Err(Stop::FAILS),
            }),
            Term::Negate(term) => self.term(term, scope, state, &mut |state| match state.value {
                Val::Number(Number::Int(i64::MIN)) => Err(Stop::Unknown),
                Val::Number(number) => constant(state, Val::Number(number.negated()), take),
                _ => Err(Stop::FAILS),
            }),
            Term::If(condition, then, otherwise) => {
                self.conditional(condition, then, otherwise.as_deref(), scope, state, take)
            }
            Term::Reduce(fold) => self.reduce(fold, scope, &state, take),
            Term::Foreach(fold, extract) => {
                self.foreach(fold, extract.as_deref(), scope, &state, take)
            }
            Term::Bind(term, patterns, body) => {
                let [pattern] = &patterns[..] else {
                    // The next pattern is tried whatever fails, also behind the body.
                    return Err(Stop::Unknown);
                };
                self.apart(term, scope, &state.value, &mut |value| {
                    self.bind(pattern, scope, apart(value), &mut |_, scope| {
                        self.term(body, scope, state.clone(), take)
                    })
                })
            }
            Term::Label(name, body) => self.label(name, body, scope, state, take),
            Term::Break(name) => Err(break_at(name, scope)),
            Term::Define(definition, rest) => {
                let scope = Some(bound(
                    &definition.name,
                    Meaning::Function(definition),
                    scope,
                ));
                self.term(rest, &scope, state, take)
            }
            Term::Call(name, arguments) => self.call(name, arguments, scope, state, take),
            Term::Variable(name) => constant(state, variable(name, scope)?, take),
            Term::List(None) => constant(state, Val::list(Vec::new())?, take),
            Term::List(Some(items)) => {
                let mut list = Vec::new();
                self.term(items, scope, state.clone(), &mut |state| {
                    self.spend(STEP_COST)?;
                    list.push(state.value);
                    Ok(())
                })?;
                constant(state, Val::list(list)?, take)
            }
            Term::Map(members) => {
                let mut pairs = Vec::new();
                self.members(
                    members,
                    scope,
                    &state.value,
                    state.trail.clone(),
                    &mut pairs,
                    take,
                )
            }
        }
    }

    fn conditional<'t>(
        &self,
        condition: &'t Term,
        then: &'t Term,
        otherwise: Option<&'t Term>,
        scope: &Scope<'t>,
        state: State,
        take: Take<'_>,
    ) -> Flow {
        if self.conditions == Conditions::Either {
            self.either(then, scope, state.clone(), take)?;
            return match otherwise {
                Some(term) => self.either(term, scope, state, take),
                None => take(state),
            };
        }
        self.apart(
            condition,
            scope,
            &state.value,
            &mut |value| match (value.is_true(), otherwise) {
                (true, _) => self.term(then, scope, state.clone(), take),
                (false, Some(term)) => self.term(term, scope, state.clone(), take),
                (false, None) => take(state.clone()),
            },
        )
    }

    fn label<'t>(
        &self,
        name: &'t str,
        body: &'t Term,
        scope: &Scope<'t>,
        state: State,
        take: Take<'_>,
    ) -> Flow {
        let label = self.labels.get();
        self.labels.set(label + 1);
        let scope = Some(bound(name, Meaning::Label(label), scope));
        match self.term(body, &scope, state, take) {
            Err(Stop::Break(broken)) if broken == label => Ok(()),
            flow => flow,
        }
    }

    /// One of several ways; that it fails says nothing of the others.
    fn either<'t>(&self, term: &'t Term, scope: &Scope<'t>, state: State, take: Take<'_>) -> Flow {
        match self.term(term, scope, state, take) {
            Err(Stop::Fails(_)) => Ok(()),
            flow => flow,
        }
    }

    /// The results of what is evaluated apart from the path.
    fn apart<'t>(
        &self,
        term: &'t Term,
        scope: &Scope<'t>,
        value: &Val,
        take: &mut dyn FnMut(Val) -> Flow,
    ) -> Flow {
        self.term(term, scope, apart(value.clone()), &mut |state| {
            take(state.value)
        })
    }

    fn index<'t>(
        &self,
        way: &'t Term,
        key: &'t Term,
        scope: &Scope<'t>,
        state: &State,
        take: Take<'_>,
    ) -> Flow {
        self.apart(key, scope, &state.value, &mut |key| {
            self.term(way, scope, state.clone(), &mut |reached| {
                take(self.step(&reached, key.clone())?)
            })
        })
    }

    fn slice<'t>(
        &self,
        way: &'t Term,
        start: Option<&'t Term>,
        end: Option<&'t Term>,
        scope: &Scope<'t>,
        state: &State,
        take: Take<'_>,
    ) -> Flow {
        self.optional(start, scope, &state.value, &mut |start| {
            self.optional(end, scope, &state.value, &mut |end| {
                let bounds = [("start".into(), start.clone()), ("end".into(), end)];
                let key = Val::map(bounds.into_iter().collect())?;
                self.term(way, scope, state.clone(), &mut |reached| {
                    take(self.step(&reached, key.clone())?)
                })
            })
        })
    }

    fn optional<'t>(
        &self,
        term: Option<&'t Term>,
        scope: &Scope<'t>,
        value: &Val,
        take: &mut dyn FnMut(Val) -> Flow,
    ) -> Flow {
        match term {
            Some(term) => self.apart(term, scope, value, take),
            None => take(Val::Null),
        }
    }

    /// What is at a key of what has been reached.
    fn step(&self, reached: &State, key: Val) -> Result<State, Stop> {
        if !matches!((&reached.value, &key), (Val::Map(_), Val::Text(_))) {
            self.read(&reached.value)?;
        }
        let value = reached.value.at(&key)?;
        let trail = match &reached.trail {
            Some(trail) if !reached.value.is_still(&trail.top) => return Err(Stop::FAILS),
            Some(trail) => Some(trail.then(key, value.clone())?),
            None => None,
        };
        Ok(State { value, trail })
    }

    fn iterate(&self, state: &State, take: Take<'_>) -> Flow {
        if let (Val::List(_) | Val::Map(_), Some(trail)) = (&state.value, &state.trail)
            && !state.value.is_still(&trail.top)
        {
            return Err(Stop::FAILS);
        }
        let mut reach = |key: Val, value: &Val| {
            self.spend(STEP_COST)?;
            let trail = match &state.trail {
                Some(trail) => Some(trail.then(key, value.clone())?),
                None => None,
            };
            take(State {
                value: value.clone(),
                trail,
            })
        };
        match &state.value {
            Val::List(list) => {
                let mut items = list.inner.iter().enumerate();
                items.try_for_each(|(index, item)| reach(Val::int(index), item))
            }
            Val::Map(map) => {
                let mut members = map.inner.iter();
                members.try_for_each(|(name, value)| reach(Val::Text(Rc::clone(name)), value))
            }
            _ => Err(Stop::FAILS),
        }
    }

    /// `..`: the value itself and everything below it.
    fn recurse(&self, state: &State, take: Take<'_>) -> Flow {
        if self.depth.get() == DEPTH_LIMIT {
            return Err(Stop::Unknown);
        }
        self.depth.set(self.depth.get() + 1);
        let flow = take(state.clone()).and_then(|()| match &state.trail {
            Some(trail) if !state.value.is_still(&trail.top) => Ok(()),
            _ if matches!(state.value, Val::List(_) | Val::Map(_)) => {
                self.iterate(state, &mut |state| self.recurse(&state, take))
            }
            _ => Ok(()),
        });
        self.depth.set(self.depth.get() - 1);
        flow
    }

    fn attempt<'t>(
        &self,
        body: &'t Term,
        handler: Option<&'t Term>,
        scope: &Scope<'t>,
        state: State,
        take: Take<'_>,
    ) -> Flow {
        let mut behind = None;
        let flow = self.term(body, scope, state.clone(), &mut |state| {
            take(state).map_err(|stop| {
                behind = Some(stop);
                Stop::Passed
            })
        });
        if let Some(stop) = behind {
            return Err(stop);
        }
        let failure = match flow {
            Err(Stop::Fails(failure)) => failure,
            flow => return flow,
        };
        let Some(handler) = handler else {
            return Ok(());
        };
        let value = match failure {
            Some(value) => value,
            // What gojq's own errors say is not known here.
            None if reads_input(handler) => return Err(Stop::Unknown),
            None => Val::Null,
        };
        let trail = state.trail;
        self.term(handler, scope, State { value, trail }, take)
    }

    fn alternative<'t>(
        &self,
        left: &'t Term,
        right: &'t Term,
        scope: &Scope<'t>,
        state: State,
        take: Take<'_>,
    ) -> Flow {
        let mut found = false;
        self.term(left, scope, state.clone(), &mut |state| {
            if !state.value.is_true() {
                return Ok(());
            }
            found = true;
            take(state)
        })?;
        if found && self.conditions == Conditions::AsTheyAre {
            return Ok(());
        }
        self.term(right, scope, state, take)
    }

    /// `and` and `or`; `decides` is what makes the right side needless.
    fn both<'t>(
        &self,
        left: &'t Term,
        right: &'t Term,
        decides: bool,
        scope: &Scope<'t>,
        state: &State,
        take: Take<'_>,
    ) -> Flow {
        let input = &state.value;
        self.apart(left, scope, input, &mut |value| {
            if value.is_true() == decides {
                return constant(state.clone(), Val::Bool(decides), take);
            }
            self.apart(right, scope, input, &mut |value| {
                constant(state.clone(), Val::Bool(value.is_true()), take)
            })
        })
    }

    fn binary<'t>(
        &self,
        operator: Operator,
        left: &'t Term,
        right: &'t Term,
        scope: &Scope<'t>,
        state: &State,
        take: Take<'_>,
    ) -> Flow {
        self.term(right, scope, state.clone(), &mut |right| {
            let left_state = State {
                value: state.value.clone(),
                trail: right.trail.clone(),
            };
            self.term(left, scope, left_state, &mut |left| {
                let value = functions::binary(self, operator, &left.value, &right.value)?;
                constant(left, value, take)
            })
        })
    }

    fn parts<'t>(
        &self,
        format: Option<&str>,
        parts: &'t [Part],
        scope: &Scope<'t>,
        state: &State,
        take: Take<'_>,
    ) -> Flow {
        // The last part is evaluated first, as it is the right side of a sum.
        let Some((part, before)) = parts.split_last() else {
            return constant(state.clone(), Val::text(""), take);
        };
        let mut join = |end: &str, trail: Option<Trail>| {
            let state = State {
                value: state.value.clone(),
                trail,
            };
            self.parts(format, before, scope, &state, &mut |start| {
                let Val::Text(start_text) = &start.value else {
                    return Err(Stop::Unknown);
                };
                self.spend((start_text.len() + end.len()) as u64)?;
                let text = Val::text(&format!("{start_text}{end}"));
                constant(start, text, take)
            })
        };
        match part {
            Part::Text(text) => join(text, state.trail.clone()),
            Part::Term(term) => self.term(term, scope, state.clone(), &mut |part| {
                let text = functions::format(self, format.unwrap_or("@text"), &part.value)?;
                let Val::Text(text) = text else {
                    return Err(Stop::Unknown);
                };
                join(&text, part.trail)
            }),
        }
    }

    fn members<'t>(
        &self,
        members: &'t [(Key, Option<Term>)],
        scope: &Scope<'t>,
        input: &Val,
        trail: Option<Trail>,
        pairs: &mut Vec<(Val, Val)>,
        take: Take<'_>,
    ) -> Flow {
        let Some(((key, value), rest)) = members.split_first() else {
            return self.map(pairs, trail, take);
        };
        let at = |trail: Option<Trail>| State {
            value: input.clone(),
            trail,
        };
        let mut next = |key: Val, value: Val, trail: Option<Trail>, take: Take<'_>| {
            pairs.push((key, value));
            let flow = self.members(rest, scope, input, trail, pairs, take);
            pairs.pop();
            flow
        };
        let mut with_key = |key: State, take: Take<'_>| {
            let Some(value) = value else {
                let value = self.step(&at(key.trail), key.value.clone())?;
                return next(key.value, value.value, value.trail, take);
            };
            self.term(value, scope, at(key.trail), &mut |value| {
                next(key.value.clone(), value.value, value.trail, take)
            })
        };
        match key {
            Key::Name(name) => {
                let key = State {
                    value: Val::text(name),
                    trail,
                };
                with_key(key, take)
            }
            Key::Term(term) => self.term(term, scope, at(trail), &mut |key| with_key(key, take)),
            Key::Variable(name) => {
                let found = find(scope, |binding| {
                    matches!(binding.means, Meaning::Variable(_)) && binding.name == &**name
                });
                let variable = match found.map(|binding| &binding.means) {
                    Some(Meaning::Variable(variable)) => variable.clone(),
                    _ => Val::map(Entries::new())?,
                };
                if value.is_some() {
                    let value = variable;
                    return with_key(State { value, trail }, take);
                }
                let name = name.strip_prefix('$').unwrap_or(name);
                next(Val::text(name), variable, trail, take)
            }
        }
    }

    /// Of several members of one name the last one counts.
    fn map(&self, pairs: &[(Val, Val)], trail: Option<Trail>, take: Take<'_>) -> Flow {
        self.spend(pairs.len() as u64 * STEP_COST)?;
        let member = |(key, value): &(Val, Val)| match key {
            Val::Text(name) => Ok((Rc::clone(name), value.clone())),
            _ => Err(Stop::FAILS),
        };
        let members = pairs.iter().map(member).collect::<Result<_, _>>()?;
        let value = Val::map(members)?;
        take(State { value, trail })
    }

    fn reduce<'t>(&self, fold: &'t Fold, scope: &Scope<'t>, state: &State, take: Take<'_>) -> Flow {
        self.term(&fold.start, scope, state.clone(), &mut |start| {
            let mut result = start.value;
            let source = State {
                value: state.value.clone(),
                trail: start.trail.clone(),
            };
            self.term(&fold.source, scope, source, &mut |item| {
                self.bind(&fold.pattern, scope, item, &mut |trail, scope| {
                    let state = State {
                        value: result.clone(),
                        trail,
                    };
                    self.term(&fold.update, scope, state, &mut |updated| {
                        result = updated.value;
                        Ok(())
                    })
                })
            })?;
            take(State {
                value: result,
                trail: start.trail,
            })
        })
    }

    fn foreach<'t>(
        &self,
        fold: &'t Fold,
        extract: Option<&'t Term>,
        scope: &Scope<'t>,
        state: &State,
        take: Take<'_>,
    ) -> Flow {
        self.term(&fold.start, scope, state.clone(), &mut |start| {
            let mut result = start.value;
            let source = State {
                value: state.value.clone(),
                trail: start.trail,
            };
            self.term(&fold.source, scope, source, &mut |item| {
                self.bind(&fold.pattern, scope, item, &mut |trail, scope| {
                    let value = result.clone();
                    self.term(
                        &fold.update,
                        scope,
                        State { value, trail },
                        &mut |updated| {
                            result = updated.value.clone();
                            match extract {
                                Some(extract) => self.term(extract, scope, updated, take),
                                None => take(updated),
                            }
                        },
                    )
                })
            })
        })
    }

    /// Binds variables, and hands on the path behind what they were found at.
    fn bind<'t>(
        &self,
        pattern: &'t Pattern,
        scope: &Scope<'t>,
        state: State,
        take: &mut dyn FnMut(Option<Trail>, &Scope<'t>) -> Flow,
    ) -> Flow {
        self.spend(STEP_COST)?;
        match pattern {
            Pattern::Variable(name) => {
                let scope = Some(bound(name, Meaning::Variable(state.value), scope));
                take(state.trail, &scope)
            }
            Pattern::List(items) => {
                if !matches!(state.value, Val::Null | Val::List(_)) {
                    return Err(Stop::FAILS);
                }
                self.bind_items(items, 0, scope, &state.value, state.trail, take)
            }
            Pattern::Map(members) => {
                self.bind_members(members, scope, &state.value, state.trail, take)
            }
        }
    }

    fn bind_items<'t>(
        &self,
        items: &'t [Pattern],
        index: usize,
        scope: &Scope<'t>,
        value: &Val,
        trail: Option<Trail>,
        take: &mut dyn FnMut(Option<Trail>, &Scope<'t>) -> Flow,
    ) -> Flow {
        let Some((pattern, rest)) = items.split_first() else {
            return take(trail, scope);
        };
        let from = State {
            value: value.clone(),
            trail,
        };
        let item = self.step(&from, Val::int(index))?;
        self.bind(pattern, scope, item, &mut |trail, scope| {
            self.bind_items(rest, index + 1, scope, value, trail, take)
        })
    }

    fn bind_members<'t>(
        &self,
        members: &'t [(Key, Option<Pattern>)],
        scope: &Scope<'t>,
        value: &Val,
        trail: Option<Trail>,
        take: &mut dyn FnMut(Option<Trail>, &Scope<'t>) -> Flow,
    ) -> Flow {
        let Some(((key, pattern), rest)) = members.split_first() else {
            return take(trail, scope);
        };
        let from = |trail| State {
            value: value.clone(),
            trail,
        };
        let mut with_key = |key: State, scope: &Scope<'t>, variable: Option<&'t str>| {
            let member = self.step(&from(key.trail), key.value)?;
            let scope = &match variable {
                Some(name) => Some(bound(name, Meaning::Variable(member.value.clone()), scope)),
                None => scope.clone(),
            };
            match pattern {
                Some(pattern) => self.bind(pattern, scope, member, &mut |trail, scope| {
                    self.bind_members(rest, scope, value, trail, take)
                }),
                None => self.bind_members(rest, scope, value, member.trail, take),
            }
        };
        let named = |name: &str, trail| State {
            value: Val::text(name),
            trail,
        };
        match key {
            Key::Name(name) => with_key(named(name, trail), scope, None),
            Key::Variable(name) => {
                let plain = name.strip_prefix('$').unwrap_or(name);
                with_key(named(plain, trail), scope, Some(name))
            }
            Key::Term(term) => self.term(term, scope, from(trail), &mut |key| {
                with_key(key, scope, None)
            }),
        }
    }

    fn update<'t>(
        &self,
        update: Update,
        left: &'t Term,
        right: &'t Term,
        scope: &Scope<'t>,
        state: &State,
        take: Take<'_>,
    ) -> Flow {
        match update {
            Update::Assign => self.apart(right, scope, &state.value, &mut |value| {
                let mut updated = state.value.clone();
                self.paths(left, scope, &state.value, &mut |path| {
                    updated = self.set(&updated, &path, &value)?;
                    Ok(())
                })?;
                constant(state.clone(), updated, take)
            }),
            Update::Modify => {
                let value = self.modify(left, scope, state, &mut |_, old, take| {
                    self.term(right, scope, old, take)
                })?;
                constant(state.clone(), value, take)
            }
            Update::With(operator) => self.term(right, scope, state.clone(), &mut |operand| {
                let at = State {
                    value: state.value.clone(),
                    trail: operand.trail.clone(),
                };
                let value = self.modify(left, scope, &at, &mut |run, old, take| {
                    let value = functions::binary(run, operator, &old.value, &operand.value)?;
                    constant(old, value, take)
                })?;
                constant(at, value, take)
            }),
        }
    }

    /// Puts the first result of `change` in the place of what is at each path, or deletes it.
    fn modify<'t>(
        &self,
        paths: &'t Term,
        scope: &Scope<'t>,
        state: &State,
        change: &mut dyn FnMut(&Self, State, Take<'_>) -> Flow,
    ) -> Result<Val, Stop> {
        let mut updated = state.value.clone();
        let mut gone = Vec::new();
        self.paths(paths, scope, &state.value, &mut |path| {
            let whole = State {
                value: updated.clone(),
                trail: state.trail.clone(),
            };
            let old = self.at_path(&whole, &path)?;
            let mut new = None;
            let flow = change(self, old, &mut |state| {
                new = Some(state.value);
                Err(Stop::Passed)
            });
            match (&new, flow) {
                (Some(new), Err(Stop::Passed)) => updated = self.set(&updated, &path, new)?,
                (_, Err(stop)) => return Err(stop),
                (_, Ok(())) => gone.push(path),
            }
            Ok(())
        })?;
        self.delete(&updated, &gone)
    }

    /// The paths that an expression leads to from a value.
    pub(super) fn paths<'t>(
        &self,
        term: &'t Term,
        scope: &Scope<'t>,
        value: &Val,
        take: &mut dyn FnMut(Vec<Val>) -> Flow,
    ) -> Flow {
        let from = State {
            value: value.clone(),
            trail: Some(Trail::from(value.clone())),
        };
        self.term(term, scope, from, &mut |state| match state.trail {
            Some(trail) if state.value.is_still(&trail.top) => {
                let keys = trail.keys();
                self.spend(keys.len() as u64 * STEP_COST)?;
                take(keys)
            }
            _ => Err(Stop::FAILS),
        })
    }

    pub(super) fn set(&self, value: &Val, path: &[Val], new: &Val) -> Result<Val, Stop> {
        self.read_whole(value)?;
        value.with(path, new)
    }

    pub(super) fn delete(&self, value: &Val, paths: &[Vec<Val>]) -> Result<Val, Stop> {
        if paths.is_empty() {
            return Ok(value.clone());
        }
        let mut marked = value.clone();
        for path in paths {
            marked = self.set(&marked, path, &Val::Gone)?;
        }
        marked.swept()
    }

    /// `getpath`.
    fn at_path(&self, state: &State, path: &[Val]) -> Result<State, Stop> {
        let mut value = state.value.clone();
        for key in path {
            if !matches!(value, Val::Null | Val::List(_) | Val::Map(_)) {
                return Err(Stop::FAILS);
            }
            self.spend(STEP_COST)?;
            self.read(&value)?;
            value = value.at(key)?;
        }
        let Some(trail) = &state.trail else {
            return Ok(apart(value));
        };
        if !state.value.is_still(&trail.top) {
            return Err(Stop::FAILS);
        }
        let mut trail = trail.clone();
        for key in path {
            trail = trail.then(key.clone(), value.clone())?;
        }
        Ok(State {
            value,
            trail: Some(trail),
        })
    }

    fn call<'t>(
        &self,
        name: &'t str,
        arguments: &'t [Term],
        scope: &Scope<'t>,
        state: State,
        take: Take<'_>,
    ) -> Flow {
        let mut level = scope;
        while let Some(binding) = level {
            if binding.name == name {
                match &binding.means {
                    Meaning::Function(definition)
                        if definition.parameters.len() == arguments.len() =>
                    {
                        return self.function(definition, level, arguments, scope, &state, take);
                    }
                    Meaning::Argument(term, scope) if arguments.is_empty() => {
                        return self.term(term, scope, state, take);
                    }
                    _ => {}
                }
            }
            level = &binding.outer;
        }
        if let Some(definition) = prelude::find(name, arguments.len()) {
            return self.function(definition, &None, arguments, scope, &state, take);
        }
        self.builtin(name, arguments, scope, state, take)
    }

    fn function<'t>(
        &self,
        definition: &'t Definition,
        outer: &Scope<'t>,
        arguments: &'t [Term],
        caller: &Scope<'t>,
        state: &State,
        take: Take<'_>,
    ) -> Flow {
        let parameters = definition.parameters.iter().zip(arguments);
        let mut scope = outer.clone();
        for (parameter, argument) in parameters.clone() {
            let name = parameter.strip_prefix('$').unwrap_or(parameter);
            scope = Some(bound(
                name,
                Meaning::Argument(argument, caller.clone()),
                &scope,
            ));
        }
        let values: Vec<_> = parameters
            .filter(|(parameter, _)| parameter.starts_with('$'))
            .map(|(parameter, argument)| (&**parameter, argument))
            .collect();
        self.with_values(&values, &definition.body, &scope, caller, state, take)
    }

    /// Evaluates a body once for each combination of its parameters that are values.
    fn with_values<'t>(
        &self,
        values: &[(&'t str, &'t Term)],
        body: &'t Term,
        scope: &Scope<'t>,
        caller: &Scope<'t>,
        state: &State,
        take: Take<'_>,
    ) -> Flow {
        let Some(((name, argument), rest)) = values.split_first() else {
            return self.term(body, scope, state.clone(), take);
        };
        self.apart(argument, caller, &state.value, &mut |value| {
            let scope = Some(bound(name, Meaning::Variable(value), scope));
            self.with_values(rest, body, &scope, caller, state, take)
        })
    }

    fn builtin<'t>(
        &self,
        name: &str,
        arguments: &'t [Term],
        scope: &Scope<'t>,
        state: State,
        take: Take<'_>,
    ) -> Flow {
        match (name, arguments) {
            ("empty", []) => Ok(()),
            ("error", []) => Err(Stop::Fails(Some(state.value))),
            ("error", [message]) => self.term(message, scope, state, &mut |message| {
                Err(Stop::Fails(Some(message.value)))
            }),
            ("halt" | "halt_error", []) => Err(Stop::Halts),
            ("env", []) => constant(state, Val::map(Entries::new())?, take),
            ("recurse", []) => self.recurse(&state, take),
            ("path", [term]) => self.paths(term, scope, &state.value.clone(), &mut |path| {
                constant(state.clone(), Val::list(path)?, take)
            }),
            ("getpath", [path]) => self.apart(path, scope, &state.value, &mut |path| match path {
                Val::List(path) => take(self.at_path(&state, &path.inner)?),
                _ => Err(Stop::FAILS),
            }),
            ("last", [term]) => {
                let mut last = None;
                self.term(term, scope, state.clone(), &mut |state| {
                    last = Some(state.value);
                    Ok(())
                })?;
                last.map_or(Ok(()), |last| constant(state, last, take))
            }
            ("range", [from, to, by]) => self.apart(from, scope, &state.value, &mut |from| {
                self.apart(to, scope, &state.value, &mut |to| {
                    self.apart(by, scope, &state.value, &mut |by| {
                        self.range(&from, &to, &by, &state, take)
                    })
                })
            }),
            _ => {
                let function = functions::find(name, arguments.len()).ok_or(Stop::Unknown)?;
                let mut given = Vec::new();
                self.arguments(arguments, scope, &state, &mut given, &mut |given, trail| {
                    self.read(&state.value)?;
                    let value = function(self, &state.value, given)?;
                    take(State { value, trail })
                })
            }
        }
    }

    /// The last argument is evaluated first, and the path goes through all of them.
    fn arguments<'t>(
        &self,
        arguments: &'t [Term],
        scope: &Scope<'t>,
        state: &State,
        given: &mut Vec<Val>,
        take: &mut dyn FnMut(&[Val], Option<Trail>) -> Flow,
    ) -> Flow {
        let Some((argument, before)) = arguments.split_last() else {
            let in_order: Vec<Val> = given.iter().rev().cloned().collect();
            return take(&in_order, state.trail.clone());
        };
        self.term(argument, scope, state.clone(), &mut |value| {
            let next = State {
                value: state.value.clone(),
                trail: value.trail,
            };
            given.push(value.value);
            let flow = self.arguments(before, scope, &next, given, take);
            given.pop();
            flow
        })
    }

    fn range(&self, from: &Val, to: &Val, by: &Val, state: &State, take: Take<'_>) -> Flow {
        let numbers = [from, to, by].map(|value| matches!(value, Val::Number(_)));
        if numbers.contains(&false) {
            return Err(Stop::FAILS);
        }
        let zero = Val::int(0);
        let mut value = from.clone();
        loop {
            let ahead = match by.order(&zero) {
                std::cmp::Ordering::Greater => value.order(to).is_lt(),
                std::cmp::Ordering::Less => value.order(to).is_gt(),
                std::cmp::Ordering::Equal => false,
            };
            if !ahead {
                return Ok(());
            }
            self.spend(STEP_COST)?;
            constant(state.clone(), value.clone(), take)?;
            value = functions::binary(self, Operator::Add, &value, by)?;
        }
    }
}

fn constant(state: State, value: Val, take: Take<'_>) -> Flow {
    let trail = state.trail;
    take(State { value, trail })
}

pub(super) fn apart(value: Val) -> State {
    State { value, trail: None }
}

fn bound<'t>(name: &'t str, means: Meaning<'t>, outer: &Scope<'t>) -> Rc<Binding<'t>> {
    Rc::new(Binding {
        name,
        means,
        outer: outer.clone(),
    })
}

fn break_at(name: &str, scope: &Scope<'_>) -> Stop {
    let found = find(scope, |binding| {
        matches!(binding.means, Meaning::Label(_)) && binding.name == name
    });
    match found.map(|binding| &binding.means) {
        Some(Meaning::Label(label)) => Stop::Break(*label),
        _ => Stop::Unknown,
    }
}

fn variable(name: &str, scope: &Scope<'_>) -> Result<Val, Stop> {
    let found = find(scope, |binding| {
        matches!(binding.means, Meaning::Variable(_)) && binding.name == name
    });
    match found.map(|binding| &binding.means) {
        Some(Meaning::Variable(value)) => Ok(value.clone()),
        // The environment, which Argo CD gives nothing of.
        _ if name == "$ENV" => Val::map(Entries::new()),
        _ => Err(Stop::Unknown),
    }
}

fn find<'s, 't>(
    scope: &'s Scope<'t>,
    is_meant: impl Fn(&Binding<'t>) -> bool,
) -> Option<&'s Binding<'t>> {
    let mut level = scope;
    while let Some(binding) = level {
        if is_meant(binding) {
            return Some(binding);
        }
        level = &binding.outer;
    }
    None
}

/// Whether what a handler does may depend on what it is given.
fn reads_input(term: &Term) -> bool {
    match term {
        Term::Null | Term::Bool(_) | Term::Number(_) | Term::Text(_) | Term::Variable(_) => false,
        Term::Call(name, arguments) => !(&**name == "empty" && arguments.is_empty()),
        Term::List(items) => items.as_deref().is_some_and(reads_input),
        _ => true,
    }
}
