//! What ApplicationSets generate, beyond the vectors: traps, limits, and matrix and merge against a
//! naive formulation.

use std::collections::BTreeMap;

use golang::work::Work;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::Cluster;
use crate::fleet::{Fleet, Parts};
use crate::names::RESOURCES_FINALIZER;

fn cluster(name: &str, labels: &[(&str, &str)]) -> Cluster {
    Cluster {
        name: name.to_owned(),
        server: format!("https://{name}.example.com"),
        labels: labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        ..Cluster::default()
    }
}

fn fleet(clusters: Vec<Cluster>) -> Fleet {
    Fleet::new(Parts {
        control_plane_namespace: "argocd".to_owned(),
        clusters,
        ..Parts::default()
    })
}

fn set(spec: &Value) -> ApplicationSet<'static> {
    let json =
        json!({"metadata": {"name": "set", "namespace": "argocd"}, "spec": spec}).to_string();
    ApplicationSet::from_json(&json).unwrap().into_owned()
}

/// An ApplicationSet whose Applications are named by a template.
fn named(go_template: bool, name: &str, generators: &Value) -> ApplicationSet<'static> {
    set(&json!({
        "goTemplate": go_template,
        "generators": generators,
        "template": {
            "metadata": {"name": name},
            "spec": {"project": "p", "destination": {}, "source": {"repoURL": "r", "path": "p"}},
        },
    }))
}

fn expand(set: &ApplicationSet<'_>, fleet: &Fleet) -> Result<Vec<Value>, ExpansionError> {
    expand_within(set, fleet, &NoCheckouts, &Limits::default())
}

fn expand_within(
    set: &ApplicationSet<'_>,
    fleet: &Fleet,
    checkouts: &dyn Checkouts,
    limits: &Limits,
) -> Result<Vec<Value>, ExpansionError> {
    let expansion = set.expand(&fleet.clusters, checkouts, limits)?;
    expansion
        .applications()
        .map(|generated| match generated? {
            Generated::Application(application) => {
                Ok(serde_json::from_str(application.json()).unwrap())
            }
            Generated::Undecided(undecided) => {
                Ok(json!({"undecided": undecided.lacks.to_string()}))
            }
        })
        .collect()
}

fn names(applications: &[Value]) -> Vec<&str> {
    let mut names: Vec<&str> = applications
        .iter()
        .map(|application| application["metadata"]["name"].as_str().unwrap_or("-"))
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn an_empty_selector_includes_the_cluster_that_argo_cd_runs_in() {
    let fleet = fleet(vec![cluster("a", &[("env", "prod")])]);
    let all = named(false, "{{name}}", &json!([{"clusters": {}}]));
    assert_eq!(names(&expand(&all, &fleet).unwrap()), ["a", "in-cluster"]);
    let selected = json!([{"clusters": {"selector": {"matchLabels": {"env": "prod"}}}}]);
    let selected = named(false, "{{name}}", &selected);
    assert_eq!(names(&expand(&selected, &fleet).unwrap()), ["a"]);
}

/// They were believed to be few, but each element is kept by the values of all of them.
#[test]
fn merge_keys_count_for_each_element() {
    let many = 9_000;
    let elements: Vec<Value> = (0..many).map(|id| json!({"id": id.to_string()})).collect();
    let list = json!({"list": {"elements": elements}});
    let merged = |keys: Vec<String>| {
        let merge = json!({"mergeKeys": keys, "generators": [list, list]});
        let set = named(false, "{{id}}", &json!([{"merge": merge}]));
        expand(&set, &fleet(Vec::new())).map(|applications| applications.len())
    };
    assert_eq!(merged(vec!["id".to_owned()]), Ok(many));
    let keys = (0..many).map(|key| format!("key-{key}"));
    let keys = keys.chain(["id".to_owned()]).collect();
    assert_eq!(merged(keys), Err(ExpansionError::TooMuchWork));
}

/// Finalizers that are there already were searched for one by one.
#[test]
fn finalizers_of_a_template_patch_are_looked_up() {
    let many = 100_000;
    let finalizers: Vec<String> = (0..many).map(|number| number.to_string()).collect();
    let set = set(&json!({
        "generators": [{"list": {"elements": [{"a": "b"}]}}],
        "template": {
            "metadata": {"name": "a", "finalizers": finalizers},
            "spec": {"project": "p", "destination": {}, "source": {"repoURL": "r", "path": "p"}},
        },
        "templatePatch": json!({"metadata": {"finalizers": finalizers}}).to_string(),
    }));
    let patched = expand(&set, &fleet(Vec::new())).unwrap();
    let patched = patched[0]["metadata"]["finalizers"].as_array();
    assert_eq!(patched.map(Vec::len), Some(many));
}

#[test]
fn that_cluster_has_no_metadata_and_stops_a_go_template_that_reads_it() {
    let fleet = fleet(Vec::new());
    let name = r#"{{ index .metadata.labels "env" }}"#;
    let go = named(true, name, &json!([{"clusters": {}}]));
    let error = expand(&go, &fleet).unwrap_err();
    assert_eq!(error.field(), "/spec/template/metadata/name");
    let flat = named(false, "{{metadata.labels.env}}", &json!([{"clusters": {}}]));
    assert_eq!(
        names(&expand(&flat, &fleet).unwrap()),
        ["{{metadata.labels.env}}"]
    );
}

#[test]
fn a_cluster_with_an_unreadable_config_is_generated_for_and_is_no_destination() {
    let broken = Cluster {
        has_unreadable_config: true,
        ..cluster("broken", &[("env", "prod")])
    };
    let fleet = fleet(vec![broken]);
    let selected = json!([{"clusters": {"selector": {"matchLabels": {"env": "prod"}}}}]);
    let set = named(false, "{{name}}", &selected);
    assert_eq!(names(&expand(&set, &fleet).unwrap()), ["broken"]);
    let destination = serde_json::from_str(r#"{"name": "broken"}"#).unwrap();
    assert!(fleet.clusters.resolve(&destination).is_err());
}

#[test]
fn without_parameters_the_template_is_not_rendered_and_gets_no_finalizer() {
    let empty = named(false, "{{name}}", &json!([{"list": {"elements": [{}]}}]));
    let generated = expand(&empty, &fleet(Vec::new())).unwrap();
    assert_eq!(names(&generated), ["{{name}}"]);
    assert_eq!(generated[0]["metadata"].get("finalizers"), None);
}

#[test]
fn the_finalizer_is_added_unless_resources_are_preserved() {
    let spec = |sync_policy: Value| {
        json!({
            "generators": [{"list": {"elements": [{"a": "b"}]}}],
            "syncPolicy": sync_policy,
            "template": {"metadata": {"name": "n"}, "spec": {}},
        })
    };
    let fleet = fleet(Vec::new());
    let deleting = expand(&set(&spec(json!({}))), &fleet).unwrap();
    assert_eq!(
        deleting[0]["metadata"]["finalizers"],
        json!([RESOURCES_FINALIZER])
    );
    let preserving = set(&spec(json!({"preserveResourcesOnDeletion": true})));
    let preserving = expand(&preserving, &fleet).unwrap();
    assert_eq!(preserving[0]["metadata"].get("finalizers"), None);
}

#[test]
fn the_namespace_is_that_of_the_application_set() {
    let spec = json!({
        "generators": [{"list": {"elements": [{"a": "b"}]}}],
        "template": {"metadata": {"name": "n", "namespace": "elsewhere"}, "spec": {}},
        "templatePatch": "metadata: {namespace: elsewhere}",
    });
    let generated = expand(&set(&spec), &fleet(Vec::new())).unwrap();
    assert_eq!(generated[0]["metadata"]["namespace"], "argocd");
}

#[test]
fn free_json_over_a_map_of_strings_makes_argo_cd_panic() {
    let fleet = fleet(vec![cluster("a", &[("env", "prod")])]);
    let clusters = json!({"clusters": {
        "selector": {"matchLabels": {"env": "prod"}},
        "values": {"size": "s"},
    }});
    let list = json!({"list": {"elements": [{"name": "a", "values": {"size": "l"}}]}});
    let matrix = |generators: [&Value; 2]| json!([{"matrix": {"generators": generators}}]);
    let panics = named(true, "x", &matrix([&list, &clusters]));
    let error = expand(&panics, &fleet).unwrap_err().to_string();
    assert!(error.contains("panics"), "{error}");
    let merge = json!([{"merge": {"mergeKeys": ["name"], "generators": [&clusters, &list]}}]);
    assert!(expand(&named(true, "x", &merge), &fleet).is_err());
    // The other way round it is a map of strings over free JSON, which goes well.
    let fine = named(true, "{{ .values.size }}", &matrix([&clusters, &list]));
    assert_eq!(names(&expand(&fine, &fleet).unwrap()), ["s"]);
}

#[test]
fn values_of_the_second_generator_keep_what_the_first_does_not_know() {
    let fleet = fleet(vec![cluster("a", &[("env", "prod")])]);
    let generators = json!([{"matrix": {"generators": [
        {"list": {"elements": [{"tier": "gold"}]}},
        {"clusters": {
            "selector": {"matchLabels": {"env": "prod"}},
            "values": {"own": "{{ .name }}", "first": "{{ .tier }}"},
        }},
    ]}}]);
    let set = named(true, "{{ .values.own }}-{{ .values.first }}", &generators);
    assert_eq!(names(&expand(&set, &fleet).unwrap()), ["a-gold"]);
}

#[test]
fn what_comes_from_outside_is_undecided_with_the_template() {
    let generators = json!([
        {"pullRequest": {"github": {"owner": "o", "repo": "r"}}},
        {"list": {"elements": [{"number": "1"}]}},
    ]);
    let set = named(false, "pr-{{number}}", &generators);
    let fleet = fleet(Vec::new());
    let limits = Limits::default();
    let expansion = set.expand(&fleet.clusters, &NoCheckouts, &limits).unwrap();
    assert_eq!(expansion.len(), 1);
    let [undecided] = expansion.undecided.as_slice() else {
        panic!("{expansion:?}");
    };
    assert_eq!(
        (undecided.entry, undecided.generator.as_str()),
        (0, "pullRequest")
    );
    let template = undecided.template().unwrap();
    assert_eq!(template.metadata.name, "pr-{{number}}");
    assert_eq!(template.spec.project(), "p");
}

#[test]
fn a_generator_that_is_not_known_is_undecided_with_the_template() {
    let own = json!({"metadata": {"name": "own"}, "spec": {"project": "", "destination": {}}});
    for (generator, name) in [
        (json!({"oci": {}}), "pr-{{number}}"),
        (json!({"oci": {"template": own}}), "own"),
        // Whatever it looks like.
        (json!({"oci": [1]}), "pr-{{number}}"),
        (json!({"oci": {"template": [1]}}), "pr-{{number}}"),
        (
            json!({"matrix": {"generators": [{"list": {"elements": [{"number": "1"}]}}, {"oci": {}}]}}),
            "pr-{{number}}",
        ),
    ] {
        let set = named(false, "pr-{{number}}", &json!([generator]));
        let fleet = fleet(Vec::new());
        let limits = Limits::default();
        let expansion = set.expand(&fleet.clusters, &NoCheckouts, &limits).unwrap();
        assert_eq!(set.spec.entries_without_generator().count(), 0);
        let [undecided] = expansion.undecided.as_slice() else {
            panic!("{generator}: {expansion:?}");
        };
        assert_eq!(undecided.generator, "oci");
        assert!(undecided.perhaps_misspelt);
        assert_eq!(undecided.template().unwrap().metadata.name, name);
    }
}

#[test]
fn a_child_with_several_names_that_are_not_known_is_undecided() {
    let list = json!({"list": {"elements": [{"number": "1"}]}});
    let child = json!({"oci": {}, "slector": {}});
    let set = named(
        false,
        "pr-{{number}}",
        &json!([{"matrix": {"generators": [list, child]}}]),
    );
    let fleet = fleet(Vec::new());
    let limits = Limits::default();
    let expansion = set.expand(&fleet.clusters, &NoCheckouts, &limits).unwrap();
    assert_eq!(expansion.undecided[0].generator, "oci");
}

#[test]
fn what_is_not_known_beside_a_generator_does_not_count() {
    let list = json!({"list": {"elements": [{"number": "1"}]}, "oci": {}, "slector": {}});
    let fleet = fleet(Vec::new());
    for generators in [
        json!([list]),
        json!([{"matrix": {"generators": [list, {"list": {"elements": [{}]}}]}}]),
    ] {
        let set = named(false, "pr-{{number}}", &generators);
        assert_eq!(names(&expand(&set, &fleet).unwrap()), ["pr-1"]);
    }
}

#[test]
fn an_entry_with_nothing_in_it_has_no_generator() {
    for entry in [
        json!({}),
        json!({"list": null}),
        json!({"oci": null}),
        json!({"selector": {}}),
    ] {
        let set = named(false, "pr", &json!([entry]));
        assert_eq!(set.spec.entries_without_generator().count(), 1, "{entry}");
    }
}

#[test]
fn a_change_of_a_generator_that_is_not_known_is_seen() {
    let of = |generator: Value| named(false, "pr", &json!([{"oci": generator}])).spec;
    let own = of(json!({"repoURL": "oci://one"}));
    let rewritten = json!({
        "repoURL": "oci://one",
        "template": {"metadata": {}, "spec": {"destination": {}, "project": ""}},
    });
    assert!(own.same_meaning(&of(rewritten)));
    assert!(!own.same_meaning(&of(json!({"repoURL": "oci://other"}))));
}

#[test]
fn a_function_with_another_result_each_time_leaves_its_application_undecided() {
    let set = named(
        true,
        "{{ uuidv4 }}",
        &json!([{"list": {"elements": [{"a": "b"}]}}]),
    );
    let generated = expand(&set, &fleet(Vec::new())).unwrap();
    assert!(generated[0]["undecided"].is_string(), "{generated:?}");
}

/// A repository that is a list of files with their content.
struct Files(BTreeMap<&'static str, &'static str>);

impl Checkout for Files {
    fn directories(&self) -> Vec<String> {
        let mut directories: Vec<String> = self
            .0
            .keys()
            .flat_map(|path| {
                path.match_indices('/')
                    .map(|(end, _)| path[..end].to_owned())
                    .collect::<Vec<_>>()
            })
            .collect();
        directories.sort();
        directories.dedup();
        directories
    }

    fn files(&self) -> Vec<String> {
        self.0.keys().map(|path| (*path).to_owned()).collect()
    }

    fn read(&self, path: &str) -> Option<String> {
        self.0.get(path).map(|text| (*text).to_owned())
    }
}

impl Checkouts for Files {
    fn checkout(&self, repository: &str, _: &str) -> Option<&dyn Checkout> {
        (repository == "https://git.example.com/r").then_some(self)
    }
}

fn repository() -> Files {
    Files(BTreeMap::from([
        ("apps/cart/config.yaml", "env: prod\nsize: {cpu: 2}\n"),
        ("apps/cart/deploy/a.yaml", "a: b"),
        (
            "apps/search/config.yaml",
            "- {env: staging}\n- {env: prod}\n",
        ),
        ("apps/old/config.yaml", "env: none"),
    ]))
}

fn git(go_template: bool, name: &str, git: &Value) -> Result<Vec<String>, ExpansionError> {
    let mut generator = json!({"repoURL": "https://git.example.com/r", "revision": "HEAD"});
    for (key, value) in git.as_object().unwrap() {
        generator[key] = value.clone();
    }
    let set = named(go_template, name, &json!([{"git": generator}]));
    let limits = Limits::default();
    let generated = expand_within(&set, &fleet(Vec::new()), &repository(), &limits)?;
    Ok(names(&generated).into_iter().map(str::to_owned).collect())
}

#[test]
fn git_directories_match_as_go_matches_paths() {
    let directories = json!({"directories": [
        {"path": "apps/*"},
        {"path": "apps/old", "exclude": true},
    ]});
    assert_eq!(
        git(false, "{{path.basename}}-{{path[0]}}", &directories).unwrap(),
        ["cart-apps", "search-apps"]
    );
    assert_eq!(
        git(
            true,
            "{{ .path.basename }}-{{ index .path.segments 0 }}",
            &directories
        )
        .unwrap(),
        ["cart-apps", "search-apps"]
    );
}

#[test]
fn git_files_give_their_content_and_their_path() {
    let files = json!({"files": [
        {"path": "apps/*/config.yaml"},
        {"path": "apps/old/*", "exclude": true},
    ]});
    assert_eq!(
        git(false, "{{path.basename}}-{{env}}-{{path.filename}}", &files).unwrap(),
        [
            "cart-prod-config.yaml",
            "search-prod-config.yaml",
            "search-staging-config.yaml"
        ]
    );
    assert_eq!(
        git(
            true,
            "{{ .path.path }}-{{ .env }}-{{ dig \"size\" \"cpu\" 0 . }}",
            &files
        )
        .unwrap(),
        [
            "apps/cart-prod-2",
            "apps/search-prod-0",
            "apps/search-staging-0"
        ]
    );
}

#[test]
fn the_path_parameters_can_have_a_prefix() {
    let prefixed = json!({"directories": [{"path": "apps/cart"}], "pathParamPrefix": "app"});
    assert_eq!(
        git(false, "{{app.path.basename}}", &prefixed).unwrap(),
        ["cart"]
    );
    assert_eq!(
        git(true, "{{ .app.path.basename }}", &prefixed).unwrap(),
        ["cart"]
    );
}

#[test]
fn a_repository_that_is_not_at_hand_is_undecided() {
    let generator = json!([{"git": {
        "repoURL": "https://git.example.com/other",
        "directories": [{"path": "*"}],
    }}]);
    let set = named(false, "{{path}}", &generator);
    let fleet = fleet(Vec::new());
    let limits = Limits::default();
    let expansion = set.expand(&fleet.clusters, &repository(), &limits).unwrap();
    assert_eq!(expansion.undecided[0].generator, "git");
    assert!(expansion.is_empty());
}

#[test]
fn more_applications_than_the_limit_are_an_error_before_they_are_there() {
    let elements: Vec<Value> = (0..2_000).map(|n| json!({"n": n.to_string()})).collect();
    let list = json!({"list": {"elements": elements}});
    let set = named(
        false,
        "{{n}}",
        &json!([{"matrix": {"generators": [
            &list,
            {"list": {"elements": (0..2_000).map(|m| json!({"m": m.to_string()})).collect::<Vec<_>>()}},
        ]}}]),
    );
    let error = expand(&set, &fleet(Vec::new())).unwrap_err();
    assert_eq!(
        error,
        ExpansionError::TooMuch {
            what: "generated Applications",
            limit: Limits::APPLICATIONS,
        }
    );
}

#[test]
fn a_large_element_in_every_combination_runs_out_of_work() {
    let large = "x".repeat(1 << 20);
    let many: Vec<Value> = (0..5_000).map(|n| json!({"n": n.to_string()})).collect();
    let set = named(
        true,
        "{{ .n }}",
        &json!([{"matrix": {"generators": [
            {"list": {"elements": [{"large": large}]}},
            {"list": {"elements": many}},
        ]}}]),
    );
    assert_eq!(
        expand(&set, &fleet(Vec::new())).unwrap_err(),
        ExpansionError::TooMuchWork
    );
}

/// `values: prod` had been taken for a parameter of that name.
#[test]
fn values_that_are_no_map_fail_without_go_templates() {
    for values in [
        json!("prod"),
        json!(null),
        json!(["prod"]),
        json!(1),
        json!(true),
    ] {
        let generators = json!([{"list": {"elements": [{"name": "one", "values": values}]}}]);
        let error = expand(&named(false, "{{name}}", &generators), &fleet(Vec::new()));
        let error = error.unwrap_err();
        assert!(
            matches!(&error, ExpansionError::Fails { field, .. } if field.ends_with("/list/elements/0/values")),
            "{values}: {error:?}"
        );
        let generated = expand(&named(true, "{{ .name }}", &generators), &fleet(Vec::new()));
        assert_eq!(names(&generated.unwrap()), ["one"], "{values}");
    }
}

/// Keys of half a megabyte with a thousand members each would be written out a thousand times.
#[test]
fn long_keys_are_not_multiplied_by_what_is_below_them() {
    let members: serde_json::Map<String, Value> =
        (0..20_000).map(|n| (format!("k{n}"), json!(1))).collect();
    let mut element = serde_json::Map::new();
    element.insert("x".repeat(500_000), Value::Object(members));
    let generators = json!([{
        "list": {"elements": [element]},
        "selector": {"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]},
    }]);
    let generated = expand(&named(true, "one", &generators), &fleet(Vec::new()));
    assert_eq!(names(&generated.unwrap()), ["one"]);
}

#[test]
fn many_entries_with_a_large_template_run_out_of_work() {
    let entries = vec![json!({"pullRequest": {}}); 20_000];
    let mut set = named(false, "x", &Value::Array(entries));
    let large = json!("x".repeat(500_000));
    set.spec.template.0["metadata"]["annotations"] = json!({"a": large});
    let limits = Limits::default();
    let fleet = fleet(Vec::new());
    let expansion = set.expand(&fleet.clusters, &NoCheckouts, &limits);
    assert_eq!(expansion.unwrap_err(), ExpansionError::TooMuchWork);
}

#[test]
fn a_selector_with_thousands_of_requirements_runs_out_of_work() {
    let many: Vec<Value> = (0..5_000)
        .map(|n| json!({"key": format!("k{n}"), "operator": "DoesNotExist"}))
        .collect();
    let elements: Vec<Value> = (0..100).map(|n| json!({"n": n.to_string()})).collect();
    let others: Vec<Value> = (0..100).map(|n| json!({"m": n.to_string()})).collect();
    let generators = json!([{
        "matrix": {"generators": [
            {"list": {"elements": elements}},
            {"list": {"elements": others}},
        ]},
        "selector": {"matchExpressions": many},
    }]);
    let set = named(false, "{{n}}-{{m}}", &generators);
    assert_eq!(
        expand(&set, &fleet(Vec::new())).unwrap_err(),
        ExpansionError::TooMuchWork
    );
}

#[test]
fn an_undecided_function_in_one_generator_leaves_the_others() {
    let generators = json!([
        {"clusters": {"values": {"now": "{{ now }}"}}},
        {"list": {"elements": [{"name": "listed"}]}},
    ]);
    let generated = expand(&named(true, "{{ .name }}", &generators), &fleet(Vec::new()));
    assert_eq!(names(&generated.unwrap()), ["listed"]);
}

#[test]
fn the_work_is_shared_by_all_expansions_with_the_same_limits() {
    let limits = Limits {
        applications: 10,
        work: Work::new(100_000),
    };
    let set = named(
        false,
        "{{n}}",
        &json!([{"list": {"elements": [{"n": "1"}]}}]),
    );
    let fleet = fleet(Vec::new());
    let once = || expand_within(&set, &fleet, &NoCheckouts, &limits);
    let mut expansions = 0;
    while once().is_ok() {
        expansions += 1;
        assert!(expansions < 2_000, "the work never ends");
    }
    assert!(expansions > 0);
}

#[test]
fn empty_values_that_argo_cd_writes_mean_nothing() {
    let before = json!({
        "generators": [{"list": {"elements": [{"a": "b"}]}}],
        "template": {"metadata": {"name": "n"}, "spec": {"project": "p", "destination": {}}},
    });
    let mut after = before.clone();
    after["generators"][0]["list"]["template"] =
        json!({"metadata": {}, "spec": {"destination": {}, "project": ""}});
    after["syncPolicy"] = json!({});
    assert!(set(&before).spec.same_meaning(&set(&after).spec));
    let matrix = |children: Value| {
        let mut matrix = before.clone();
        matrix["generators"] = json!([{"matrix": {"generators": children}}]);
        matrix
    };
    let empty = json!({"metadata": {}, "spec": {"destination": {}, "project": ""}});
    let written = matrix(json!([{"clusters": {}}, {"list": {"elements": [{"a": ""}]}}]));
    let rewritten = matrix(json!([
        {"clusters": {"selector": {}, "template": empty}},
        {"list": {"elements": [{"a": ""}], "template": empty}},
    ]));
    assert!(set(&written).spec.same_meaning(&set(&rewritten).spec));
    let other = matrix(json!([{"clusters": {}}, {"list": {"elements": [{"a": "b"}]}}]));
    assert!(!set(&written).spec.same_meaning(&set(&other).spec));
    let mut automated = before.clone();
    automated["template"]["spec"]["syncPolicy"] = json!({"automated": {}});
    assert!(!set(&before).spec.same_meaning(&set(&automated).spec));
    let mut selected = before.clone();
    selected["generators"][0]["selector"] = json!({"matchLabels": {"a": "b"}});
    assert!(!set(&before).spec.same_meaning(&set(&selected).spec));
}

#[test]
fn a_generators_template_fills_from_the_base() {
    let base = Template::new(json!({
        "metadata": {"name": "base", "labels": {"a": "base", "b": "base"}},
        "spec": {"source": {"helm": {"valueFiles": ["base"], "valuesObject": {"x": 1}}}},
    }))
    .unwrap();
    let own = Template::new(json!({
        "metadata": {"labels": {"a": "own"}},
        "spec": {"source": {"helm": {"valueFiles": ["own"], "valuesObject": {}}}},
    }))
    .unwrap();
    let filled = own.filled_from(&base).0;
    assert_eq!(filled["metadata"]["name"], "base");
    assert_eq!(
        filled["metadata"]["labels"],
        json!({"a": "own", "b": "base"})
    );
    assert_eq!(
        filled["spec"]["source"]["helm"]["valueFiles"],
        json!(["own"])
    );
    assert_eq!(filled["spec"]["source"]["helm"]["valuesObject"], json!({}));
}

/// Elements of a list: few keys and values, so that they collide.
fn elements() -> impl Strategy<Value = Vec<BTreeMap<String, String>>> {
    let element = prop::collection::btree_map("[abc]", "[xy]?", 0..3);
    prop::collection::vec(element, 0..4)
}

fn list_of(elements: &[BTreeMap<String, String>]) -> Value {
    json!({"list": {"elements": elements}})
}

/// Every parameter set that there is, by a name that shows all of it.
fn shown(go_template: bool, generators: &Value) -> Result<Vec<String>, ExpansionError> {
    let name = if go_template {
        "{{ toJson . }}"
    } else {
        "a={{a}} b={{b}} c={{c}}"
    };
    let generated = expand(&named(go_template, name, generators), &fleet(Vec::new()))?;
    Ok(names(&generated).into_iter().map(str::to_owned).collect())
}

fn show(go_template: bool, set: &BTreeMap<String, String>) -> String {
    // Without parameters nothing is rendered.
    if set.is_empty() {
        return if go_template {
            "{{ toJson . }}"
        } else {
            "a={{a}} b={{b}} c={{c}}"
        }
        .to_owned();
    }
    if go_template {
        return serde_json::to_string(set).unwrap();
    }
    let value = |key: &str| {
        set.get(key)
            .cloned()
            .unwrap_or_else(|| format!("{{{{{key}}}}}"))
    };
    format!("a={} b={} c={}", value("a"), value("b"), value("c"))
}

proptest! {
    #[test]
    fn a_matrix_is_every_pair(first in elements(), second in elements(), go_template: bool) {
        let generators = json!([{"matrix": {"generators": [list_of(&first), list_of(&second)]}}]);
        let mut expected = Vec::new();
        let mut conflict = false;
        for one in &first {
            for other in &second {
                let mut pair = other.clone();
                for (key, value) in one {
                    let replaced = pair.insert(key.clone(), value.clone());
                    conflict |= !go_template && replaced.is_some_and(|other| other != *value);
                }
                expected.push(show(go_template, &pair));
            }
        }
        expected.sort_unstable();
        match shown(go_template, &generators) {
            Ok(found) => {
                prop_assert!(!conflict);
                prop_assert_eq!(found, expected);
            }
            Err(error) => prop_assert!(conflict, "{}", error),
        }
    }

    #[test]
    fn a_merge_is_the_first_with_what_matches(
        base in elements(),
        second in elements(),
        third in elements(),
        go_template: bool,
    ) {
        let children = [&base, &second, &third].map(|child| list_of(child));
        let generators = json!([{"merge": {"mergeKeys": ["a", "b"], "generators": children}}]);
        let key = |set: &BTreeMap<String, String>| (set.get("a").cloned(), set.get("b").cloned());
        let repeated = [&base, &second, &third].iter().any(|child| {
            let mut keys: Vec<_> = child.iter().map(key).collect();
            keys.sort();
            keys.windows(2).any(|pair| pair[0] == pair[1])
        });
        let mut expected: Vec<String> = base
            .iter()
            .map(|set| {
                let mut merged = set.clone();
                for overriding in [&second, &third] {
                    for other in overriding.iter().filter(|other| key(other) == key(set)) {
                        merged.extend(other.clone());
                    }
                }
                show(go_template, &merged)
            })
            .collect();
        expected.sort_unstable();
        match shown(go_template, &generators) {
            Ok(found) => {
                prop_assert!(!repeated);
                prop_assert_eq!(found, expected);
            }
            Err(error) => prop_assert!(repeated, "{}", error),
        }
    }

    #[test]
    fn no_application_set_panics(
        generators in "\\PC{0,60}",
        name in "[{}a-z. |\"-]{0,30}",
        patch in "\\PC{0,40}",
        go_template: bool,
    ) {
        let generators: Value = serde_json::from_str(&generators)
            .unwrap_or_else(|_| json!([{"list": {"elements": [{"a": generators}]}}]));
        let spec = json!({
            "goTemplate": go_template,
            "generators": generators,
            "template": {"metadata": {"name": name}, "spec": {}},
            "templatePatch": patch,
        });
        let json = json!({"metadata": {"name": "set"}, "spec": spec}).to_string();
        if let Ok(set) = ApplicationSet::from_json(&json) {
            let _ = expand(&set, &fleet(Vec::new()));
        }
    }
}
