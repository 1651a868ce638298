//! Functions of jq that can be said in jq.
//!
//! What each of them does is jq's manual and gojq 0.12.19's; where paths are asked for it matters
//! in which order they look at things.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::syntax::{Definition, parse_definitions};

const DEFINITIONS: &str = r#"
def add(f): [f] | add;
def all: all(.);
def all(f): all(.[]; f);
def all(g; f): isempty(g | select(f | not));
def any: any(.);
def any(f): any(.[]; f);
def any(g; f): isempty(g | select(f)) | not;
def arrays: select(type == "array");
def booleans: select(type == "boolean");
def combinations: if length == 0 then [] else .[0][] as $x | [$x] + (.[1:] | combinations) end;
def combinations(n): [limit(n; repeat(.))] | combinations;
def del(f): delpaths([path(f)]);
def finites: select(isfinite);
def first: .[0];
def first(g): label $out | g | (., break $out);
def from_entries:
  map({(.key // .Key // .name // .Name): (if has("value") then .value else .Value end)}) | add // {};
def group_by(f): _group_by(map([f]));
def in(xs): . as $x | xs | has($x);
def isempty(g): label $out | (g | false, break $out), true;
def iterables: select(type | . == "array" or . == "object");
def last: .[-1];
def limit($n; g):
  if $n > 0 then
    label $out | foreach g as $x ($n; . - 1; $x, if . <= 0 then break $out else empty end)
  elif $n == 0 then empty
  else error("limit doesn't support negative count") end;
def map(f): [.[] | f];
def map_values(f): .[] |= f;
def max_by(f): _max_by(map([f]));
def min_by(f): _min_by(map([f]));
def not: if . then false else true end;
def nth($n): .[$n];
def nth($n; g):
  if $n >= 0 then first(skip($n; g)) else error("nth doesn't support negative index") end;
def nulls: select(. == null);
def numbers: select(type == "number");
def objects: select(type == "object");
def paths: path(..) | select(. != []);
def paths(f): path(.. | select(f)) | select(. != []);
def pick(f): . as $v | reduce path(f) as $p (null; setpath($p; $v | getpath($p)));
def range($to): range(0; $to; 1);
def range($from; $to): range($from; $to; 1);
def recurse(f): def r: ., (f | r); r;
def recurse(f; condition): def r: ., (f | select(condition) | r); r;
def repeat(f): def r: f, r; r;
def scalars: select(type | . != "array" and . != "object");
def select(f): if f then . else empty end;
def skip($n; g):
  if $n > 0 then foreach g as $x ($n; . - 1; if . < 0 then $x else empty end)
  elif $n == 0 then g
  else error("skip doesn't support negative count") end;
def sort_by(f): _sort_by(map([f]));
def strings: select(type == "string");
def test($re): test($re; null);
def to_entries: [keys[] as $k | {key: $k, value: .[$k]}];
def unique_by(f): _unique_by(map([f]));
def until(condition; f): def r: if condition then . else f | r end; r;
def values: select(. != null);
def walk(f):
  def r: if type == "array" then map(r) elif type == "object" then map_values(r) end | f;
  r;
def while(condition; f): def r: if condition then ., (f | r) else empty end; r;
def with_entries(f): to_entries | map(f) | from_entries;
def IN(s): any(s == .; .);
def IN(g; s): any(g == s; .);
def INDEX(f): INDEX(.[]; f);
def INDEX(g; f): reduce g as $x ({}; .[$x | f | tostring] = $x);
"#;

type Definitions = HashMap<(Box<str>, usize), Definition>;

static PRELUDE: LazyLock<Definitions> = LazyLock::new(|| {
    let definitions = parse_definitions(DEFINITIONS).unwrap_or_default();
    let key = |definition: &Definition| (definition.name.clone(), definition.parameters.len());
    definitions
        .into_iter()
        .map(|definition| (key(&definition), definition))
        .collect()
});

/// The definition of a function of so many parameters.
pub(super) fn find(name: &str, parameters: usize) -> Option<&'static Definition> {
    PRELUDE.get(&(name.into(), parameters))
}

#[cfg(test)]
mod tests {
    use super::super::names;
    use super::*;

    #[test]
    fn the_definitions_can_be_read_and_name_what_there_is() {
        let definitions = parse_definitions(DEFINITIONS).expect("valid jq");
        assert_eq!(definitions.len(), DEFINITIONS.matches("\ndef ").count());
        for definition in &definitions {
            let known = names::is_function(&definition.name, definition.parameters.len());
            assert!(known, "gojq has no {}", definition.name);
            assert_eq!(
                names::check_definition(definition),
                Ok(()),
                "{}",
                definition.name
            );
        }
    }
}
