//! Whether every name in an expression means something. gojq finds that out when it compiles.

use super::JqError;
use super::syntax::{Definition, Fold, Key, Part, Pattern, Term};

/// gojq's functions (0.12.19, `builtins`), each with the numbers of arguments that it takes.
/// `input` and `inputs` are refused where nothing is read from outside.
const FUNCTIONS: &[(&str, &[usize])] = &[
    ("IN", &[1, 2]),
    ("INDEX", &[1, 2]),
    ("JOIN", &[2, 3, 4]),
    ("abs", &[0]),
    ("acos", &[0]),
    ("acosh", &[0]),
    ("add", &[0, 1]),
    ("all", &[0, 1, 2]),
    ("any", &[0, 1, 2]),
    ("arrays", &[0]),
    ("ascii_downcase", &[0]),
    ("ascii_upcase", &[0]),
    ("asin", &[0]),
    ("asinh", &[0]),
    ("atan", &[0]),
    ("atan2", &[2]),
    ("atanh", &[0]),
    ("booleans", &[0]),
    ("bsearch", &[1]),
    ("builtins", &[0]),
    ("capture", &[1, 2]),
    ("cbrt", &[0]),
    ("ceil", &[0]),
    ("combinations", &[0, 1]),
    ("contains", &[1]),
    ("copysign", &[2]),
    ("cos", &[0]),
    ("cosh", &[0]),
    ("del", &[1]),
    ("delpaths", &[1]),
    ("drem", &[2]),
    ("empty", &[0]),
    ("endswith", &[1]),
    ("env", &[0]),
    ("erf", &[0]),
    ("erfc", &[0]),
    ("error", &[0, 1]),
    ("exp", &[0]),
    ("exp10", &[0]),
    ("exp2", &[0]),
    ("explode", &[0]),
    ("expm1", &[0]),
    ("fabs", &[0]),
    ("fdim", &[2]),
    ("finites", &[0]),
    ("first", &[0, 1]),
    ("flatten", &[0, 1]),
    ("floor", &[0]),
    ("fma", &[3]),
    ("fmax", &[2]),
    ("fmin", &[2]),
    ("fmod", &[2]),
    ("format", &[1]),
    ("frexp", &[0]),
    ("from_entries", &[0]),
    ("fromdate", &[0]),
    ("fromdateiso8601", &[0]),
    ("fromjson", &[0]),
    ("fromstream", &[1]),
    ("gamma", &[0]),
    ("getpath", &[1]),
    ("gmtime", &[0]),
    ("group_by", &[1]),
    ("gsub", &[2, 3]),
    ("halt", &[0]),
    ("halt_error", &[0, 1]),
    ("has", &[1]),
    ("hypot", &[2]),
    ("implode", &[0]),
    ("in", &[1]),
    ("index", &[1]),
    ("indices", &[1]),
    ("infinite", &[0]),
    ("inside", &[1]),
    ("isempty", &[1]),
    ("isfinite", &[0]),
    ("isinfinite", &[0]),
    ("isnan", &[0]),
    ("isnormal", &[0]),
    ("iterables", &[0]),
    ("j0", &[0]),
    ("j1", &[0]),
    ("jn", &[2]),
    ("join", &[1]),
    ("keys", &[0]),
    ("last", &[0, 1]),
    ("ldexp", &[2]),
    ("length", &[0]),
    ("lgamma", &[0]),
    ("limit", &[2]),
    ("localtime", &[0]),
    ("log", &[0]),
    ("log10", &[0]),
    ("log1p", &[0]),
    ("log2", &[0]),
    ("logb", &[0]),
    ("ltrim", &[0]),
    ("ltrimstr", &[1]),
    ("map", &[1]),
    ("map_values", &[1]),
    ("match", &[1, 2]),
    ("max", &[0]),
    ("max_by", &[1]),
    ("min", &[0]),
    ("min_by", &[1]),
    ("mktime", &[0]),
    ("modf", &[0]),
    ("modulemeta", &[0]),
    ("nan", &[0]),
    ("nearbyint", &[0]),
    ("nextafter", &[2]),
    ("nexttoward", &[2]),
    ("normals", &[0]),
    ("not", &[0]),
    ("now", &[0]),
    ("nth", &[1, 2]),
    ("nulls", &[0]),
    ("numbers", &[0]),
    ("objects", &[0]),
    ("path", &[1]),
    ("paths", &[0, 1]),
    ("pick", &[1]),
    ("pow", &[2]),
    ("range", &[1, 2, 3]),
    ("recurse", &[0, 1, 2]),
    ("remainder", &[2]),
    ("repeat", &[1]),
    ("reverse", &[0]),
    ("rindex", &[1]),
    ("rint", &[0]),
    ("round", &[0]),
    ("rtrim", &[0]),
    ("rtrimstr", &[1]),
    ("scalars", &[0]),
    ("scalb", &[2]),
    ("scalbln", &[2]),
    ("scan", &[1, 2]),
    ("select", &[1]),
    ("setpath", &[2]),
    ("significand", &[0]),
    ("sin", &[0]),
    ("sinh", &[0]),
    ("skip", &[2]),
    ("sort", &[0]),
    ("sort_by", &[1]),
    ("split", &[1, 2]),
    ("splits", &[1, 2]),
    ("sqrt", &[0]),
    ("startswith", &[1]),
    ("strflocaltime", &[1]),
    ("strftime", &[1]),
    ("strings", &[0]),
    ("strptime", &[1]),
    ("sub", &[2, 3]),
    ("tan", &[0]),
    ("tanh", &[0]),
    ("test", &[1, 2]),
    ("tgamma", &[0]),
    ("to_entries", &[0]),
    ("toboolean", &[0]),
    ("todate", &[0]),
    ("todateiso8601", &[0]),
    ("tojson", &[0]),
    ("tonumber", &[0]),
    ("tostream", &[0]),
    ("tostring", &[0]),
    ("transpose", &[0]),
    ("trim", &[0]),
    ("trimstr", &[1]),
    ("trunc", &[0]),
    ("truncate_stream", &[1]),
    ("type", &[0]),
    ("unique", &[0]),
    ("unique_by", &[1]),
    ("until", &[2]),
    ("utf8bytelength", &[0]),
    ("values", &[0]),
    ("walk", &[1]),
    ("while", &[2]),
    ("with_entries", &[1]),
    ("y0", &[0]),
    ("y1", &[0]),
    ("yn", &[2]),
];

/// gojq's functions whose names are not meant for users, who can call them all the same.
const INTERNAL: &[(&str, &[usize])] = &[
    ("_add", &[2]),
    ("_alternative", &[2]),
    ("_assign", &[2]),
    ("_captures", &[0]),
    ("_divide", &[2]),
    ("_equal", &[2]),
    ("_greater", &[2]),
    ("_greatereq", &[2]),
    ("_group_by", &[1]),
    ("_index", &[2]),
    ("_last", &[1]),
    ("_less", &[2]),
    ("_lesseq", &[2]),
    ("_match", &[3]),
    ("_max_by", &[1]),
    ("_min_by", &[1]),
    ("_modify", &[2]),
    ("_modulo", &[2]),
    ("_multiply", &[2]),
    ("_negate", &[0]),
    ("_notequal", &[2]),
    ("_plus", &[0]),
    ("_range", &[3]),
    ("_slice", &[3]),
    ("_sort_by", &[1]),
    ("_subtract", &[2]),
    ("_tobase64", &[0]),
    ("_tobase64d", &[0]),
    ("_tocsv", &[0]),
    ("_tohtml", &[0]),
    ("_tosh", &[0]),
    ("_totsv", &[0]),
    ("_touri", &[0]),
    ("_tourid", &[0]),
    ("_unique_by", &[1]),
];

/// Whether gojq has a function of so many arguments.
pub(super) fn is_function(name: &str, arguments: usize) -> bool {
    let is_meant = |(own, numbers): &(&str, &[usize])| *own == name && numbers.contains(&arguments);
    FUNCTIONS.iter().any(is_meant) || INTERNAL.iter().any(is_meant)
}

/// Names that mean something, the last one first.
#[derive(Clone, Copy)]
struct Names<'n> {
    last: Option<&'n Known<'n>>,
}

struct Known<'n> {
    name: Name<'n>,
    outer: Names<'n>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Name<'n> {
    Variable(&'n str),
    Function(&'n str, usize),
    Label(&'n str),
}

impl<'n> Names<'n> {
    fn has(mut self, name: Name<'_>) -> bool {
        while let Some(known) = self.last {
            if known.name == name {
                return true;
            }
            self = known.outer;
        }
        false
    }

    fn with<'i, T>(self, names: &[Name<'i>], then: impl FnOnce(Names<'_>) -> T) -> T
    where
        'n: 'i,
    {
        match names.split_first() {
            None => then(self),
            Some((name, rest)) => {
                let known = Known {
                    name: *name,
                    outer: self,
                };
                let names = Names { last: Some(&known) };
                names.with(rest, then)
            }
        }
    }
}

/// # Errors
/// A name means nothing.
pub(super) fn check(term: &Term) -> Result<(), JqError> {
    check_term(term, Names { last: None })
}

/// The same for a definition by itself.
#[cfg(test)]
pub(super) fn check_definition(own: &Definition) -> Result<(), JqError> {
    definition(own, Names { last: None })
}

fn known(is_known: bool) -> Result<(), JqError> {
    if is_known { Ok(()) } else { Err(JqError) }
}

fn check_term(term: &Term, names: Names<'_>) -> Result<(), JqError> {
    let all = |terms: &[&Term]| terms.iter().try_for_each(|term| check_term(term, names));
    let optional =
        |term: &Option<Box<Term>>| term.as_ref().map_or(Ok(()), |term| check_term(term, names));
    match term {
        Term::Identity
        | Term::Null
        | Term::Bool(_)
        | Term::Number(_)
        | Term::HugeNumber
        | Term::Text(_)
        | Term::Format(_)
        | Term::List(None) => Ok(()),
        Term::Interpolation(_, parts) => parts.iter().try_for_each(|part| match part {
            Part::Text(_) => Ok(()),
            Part::Term(term) => check_term(term, names),
        }),
        Term::Index(left, right)
        | Term::Pipe(left, right)
        | Term::Comma(left, right)
        | Term::Alternative(left, right)
        | Term::And(left, right)
        | Term::Or(left, right)
        | Term::Binary(_, left, right)
        | Term::Update(_, left, right) => all(&[left, right]),
        Term::Slice(way, start, end) => {
            all(&[way])?;
            optional(start)?;
            optional(end)
        }
        Term::Iterate(term) | Term::Plus(term) | Term::Negate(term) | Term::List(Some(term)) => {
            all(&[term])
        }
        Term::Try(body, handler) => {
            all(&[body])?;
            optional(handler)
        }
        Term::If(condition, then, otherwise) => {
            all(&[condition, then])?;
            optional(otherwise)
        }
        Term::Reduce(fold) => check_fold(fold, None, names),
        Term::Foreach(fold, extract) => check_fold(fold, extract.as_deref(), names),
        Term::Bind(term, patterns, body) => {
            all(&[term])?;
            let mut variables = Vec::new();
            for pattern in patterns {
                check_pattern(pattern, &mut variables, names)?;
            }
            names.with(&variables, |names| check_term(body, names))
        }
        Term::Label(name, body) => {
            names.with(&[Name::Label(name)], |names| check_term(body, names))
        }
        Term::Break(name) => known(names.has(Name::Label(name))),
        Term::Define(own, rest) => {
            definition(own, names)?;
            let name = Name::Function(&own.name, own.parameters.len());
            names.with(&[name], |names| check_term(rest, names))
        }
        Term::Call(name, arguments) => {
            let function = Name::Function(name, arguments.len());
            known(names.has(function) || is_function(name, arguments.len()))?;
            let mut arguments = arguments.iter();
            arguments.try_for_each(|argument| check_term(argument, names))
        }
        Term::Variable(name) => known(&**name == "$ENV" || names.has(Name::Variable(name))),
        Term::Map(members) => members.iter().try_for_each(|(key, value)| {
            match key {
                Key::Name(_) => Ok(()),
                Key::Variable(name) => known(&**name == "$ENV" || names.has(Name::Variable(name))),
                Key::Term(term) => check_term(term, names),
            }?;
            value
                .as_ref()
                .map_or(Ok(()), |value| check_term(value, names))
        }),
    }
}

fn definition(own: &Definition, names: Names<'_>) -> Result<(), JqError> {
    let mut inner = vec![Name::Function(&own.name, own.parameters.len())];
    for parameter in &own.parameters {
        match parameter.strip_prefix('$') {
            Some(name) => inner.extend([Name::Variable(parameter), Name::Function(name, 0)]),
            None => inner.push(Name::Function(parameter, 0)),
        }
    }
    names.with(&inner, |names| check_term(&own.body, names))
}

fn check_fold(fold: &Fold, extract: Option<&Term>, names: Names<'_>) -> Result<(), JqError> {
    check_term(&fold.start, names)?;
    check_term(&fold.source, names)?;
    let mut variables = Vec::new();
    check_pattern(&fold.pattern, &mut variables, names)?;
    names.with(&variables, |names| {
        check_term(&fold.update, names)?;
        extract.map_or(Ok(()), |extract| check_term(extract, names))
    })
}

/// A key of a pattern may name variables that stand before it.
fn check_pattern<'p>(
    pattern: &'p Pattern,
    variables: &mut Vec<Name<'p>>,
    names: Names<'_>,
) -> Result<(), JqError> {
    match pattern {
        Pattern::Variable(name) => {
            variables.push(Name::Variable(name));
            Ok(())
        }
        Pattern::List(items) => items
            .iter()
            .try_for_each(|item| check_pattern(item, variables, names)),
        Pattern::Map(members) => members.iter().try_for_each(|(key, pattern)| {
            match key {
                Key::Name(_) => {}
                Key::Variable(name) => variables.push(Name::Variable(name)),
                Key::Term(term) => names.with(variables, |names| check_term(term, names))?,
            }
            match pattern {
                Some(pattern) => check_pattern(pattern, variables, names),
                None => Ok(()),
            }
        }),
    }
}
