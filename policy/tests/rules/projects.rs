//! AppProjects: how wide they are, what of it comes from global projects, what an update changes of
//! it, and why they refuse something.

use argocd::project::ProjectReading;
use policy::{Outcome, Subject, evaluate};
use serde_json::{Value, json};

use super::{World, app, app_project, judge_project, lines, nothing, project};

fn named(name: &str, labels: Value, spec: Value) -> Value {
    let mut project = json!({"metadata": {"name": name, "namespace": "argocd"}});
    project["metadata"]["labels"] = labels;
    project["spec"] = spec;
    project
}

fn judge_update(world: &World, old: &Value, new: &Value) -> (Outcome, Vec<String>) {
    let (old, new) = (old.to_string(), new.to_string());
    let subject = Subject::update(project(&new), project(&old));
    let verdict = evaluate(&subject, &world.inventory());
    (verdict.outcome, lines(&verdict))
}

/// The made-up names that were tried on patterns stand in the source, so that leaving out just
/// these made an unlimited project look narrow.
#[test]
fn patterns_that_leave_out_a_name_permit_everything_all_the_same() {
    let world = World::default();
    let found = |spec: Value| judge_project(&app_project(&json!({"spec": spec})), &world, "");
    for repositories in [
        json!(["*", "!**unheard-of.invalid**"]),
        json!(["*", "!**u**", "!**n**", "!**h**"]),
        json!(["[!u]**"]),
        json!(["*/*"]),
        json!(["?*/**", "https://git.example.com/*"]),
    ] {
        let found = found(json!({"sourceRepos": repositories}));
        assert!(
            found
                .iter()
                .any(|line| line.contains("permits any repository")),
            "{found:?}"
        );
    }
    for destination in [
        json!({"name": "[!u]*", "namespace": "shop"}),
        json!({"name": "?*", "namespace": "shop"}),
        json!({"server": "{https://a,{b,*}}", "namespace": "shop"}),
        json!({"server": "*/*", "name": "omega", "namespace": "shop"}),
    ] {
        let all = json!({"destinations": [destination, {"name": "!unheard-of", "namespace": "*"}]});
        let found = found(all);
        assert!(
            found
                .iter()
                .any(|line| line.contains("permits any cluster")),
            "{found:?}"
        );
    }
    for kind in ["[^a]*", "?*", "[A-Z]*"] {
        let found = found(json!({"clusterResourceWhitelist": [{"group": "*", "kind": kind}]}));
        assert!(
            found
                .iter()
                .any(|line| line.contains("any cluster-scoped kind")),
            "{found:?}"
        );
    }
    let narrow = json!({
        "sourceRepos": ["https://git.example.com/**", "https://*.example.com/shop/*"],
        "destinations": [{"name": "omega", "namespace": "shop"}, {"name": "eu-*", "namespace": "shop"}],
        "clusterResourceWhitelist": [{"group": "*.k8s.io", "kind": "Storage*"}, {"group": "", "kind": "*"}],
    });
    assert_eq!(found(narrow), nothing());
}

#[test]
fn a_cluster_is_reached_unless_every_namespace_of_it_is_excluded() {
    let world = World::default();
    let found = |exclusion: Value| {
        let project = app_project(&json!({"spec": {
            "sourceRepos": ["*"],
            "destinations": [{"server": "*", "namespace": "*"}, exclusion],
        }}));
        judge_project(&project, &world, "").len()
    };
    let server = "!https://omega.example.com";
    assert_eq!(found(json!({"server": server, "namespace": "*"})), 0);
    assert_ne!(
        found(json!({"server": server, "namespace": "unheard-of"})),
        0
    );
    assert_ne!(found(json!({"server": server, "namespace": "[!u]*"})), 0);
}

/// What is registered under that name later would never be asked about, as no project is judged
/// again.
#[test]
fn a_cluster_that_is_not_there_may_become_production() {
    let world = World::default();
    let wide = |destination: Value| {
        let spec = json!({"sourceRepos": ["*"], "destinations": [destination]});
        judge_project(&app_project(&json!({"spec": spec})), &world, "")
    };
    for destination in [
        json!({"name": "nowhere", "namespace": "shop"}),
        json!({"server": "https://nowhere.example.com", "namespace": "shop"}),
    ] {
        let found = wide(destination);
        assert!(
            found
                .iter()
                .any(|line| line.starts_with("deny ") && line.contains("there is no cluster")),
            "{found:?}"
        );
    }
    // A pattern names none.
    for destination in [
        json!({"name": "nowhere-*", "namespace": "shop"}),
        json!({"name": "alpha", "namespace": "shop"}),
    ] {
        let found = wide(destination.clone());
        assert!(
            !found.iter().any(|line| line.starts_with("deny ")),
            "{destination}: {found:?}"
        );
    }
}

#[test]
fn entries_that_permit_a_part_each_are_told_together() {
    let each: Vec<Value> = ('a'..='z')
        .map(|letter| json!({"name": format!("{letter}*"), "namespace": "shop"}))
        .collect();
    let found = judge_project(
        &app_project(&json!({"spec": {"destinations": each}})),
        &World::default(),
        "",
    );
    insta::assert_snapshot!(found.join("\n"), @"deny project-too-wide: spec.destinations: together they permit any cluster (labels of cluster omega); list the clusters it needs");
}

fn global_world(more_projects: Vec<Value>) -> World {
    let mut world = World {
        more_projects,
        ..World::default()
    };
    world.settings.insert(
        "globalProjects".to_owned(),
        "[{projectName: common, labelSelector: {matchLabels: {tier: live}}}]".to_owned(),
    );
    world
}

fn common(spec: Value) -> Value {
    named("common", json!({}), spec)
}

fn narrow(labels: Value) -> Value {
    named(
        "shop-live",
        labels,
        json!({
            "sourceRepos": ["https://git.example.com/shop/*"],
            "destinations": [{"name": "omega", "namespace": "shop"}],
        }),
    )
}

fn everything() -> Value {
    json!({"sourceRepos": ["*"], "clusterResourceWhitelist": [{"group": "*", "kind": "*"}]})
}

#[test]
fn a_project_is_judged_with_the_global_projects_that_widen_it() {
    let world = global_world(vec![common(everything())]);
    let live = || narrow(json!({"tier": "live"}));
    insta::assert_snapshot!(judge_project(&live(), &world, "").join("\n"), @"
    deny project-too-wide: metadata.labels: by global project common, * permits any repository (labels of cluster omega); list in common what is needed, or do not select it
    deny project-too-wide: metadata.labels: by global project common, permits any cluster-scoped kind (labels of cluster omega); list in common what is needed, or do not select it
    ");
    assert_eq!(judge_project(&narrow(json!({})), &world, ""), nothing());
    let (outcome, _) = judge_update(&world, &narrow(json!({})), &live());
    assert_eq!(outcome, Outcome::Denied, "the label alone opens it");
    let mut more = live();
    more["spec"]["destinations"] =
        json!([{"name": "omega", "namespace": "shop"}, {"name": "alpha", "namespace": "shop"}]);
    let (outcome, _) = judge_update(&world, &live(), &more);
    assert_eq!(
        outcome,
        Outcome::Denied,
        "everything on more clusters is more"
    );
    let mut fewer = live();
    fewer["spec"]["sourceRepos"] = json!([]);
    let (outcome, found) = judge_update(&world, &live(), &fewer);
    assert_eq!(outcome, Outcome::Admitted, "{found:?}");
}

#[test]
fn a_global_project_is_judged_by_those_that_it_widens() {
    let live = narrow(json!({"tier": "live"}));
    let world = global_world(vec![live.clone(), common(json!({}))]);
    insta::assert_snapshot!(judge_project(&common(everything()), &world, "").join("\n"), @"
    deny project-too-wide: spec.sourceRepos[0]: in AppProject shop-live, * permits any repository (labels of cluster omega); list the repositories it needs
    deny project-too-wide: spec.clusterResourceWhitelist[0]: in AppProject shop-live, permits any cluster-scoped kind (labels of cluster omega); list the kinds it needs
    ");
    let (outcome, _) = judge_update(&world, &common(json!({})), &common(everything()));
    assert_eq!(outcome, Outcome::Denied);
    let (outcome, _) = judge_update(
        &world,
        &common(everything()),
        &common(json!({"sourceRepos": ["https://**"]})),
    );
    assert_eq!(outcome, Outcome::Admitted, "that is less");
    let elsewhere = global_world(vec![narrow(json!({"tier": "test"}))]);
    assert_eq!(
        judge_project(&common(everything()), &elsewhere, ""),
        nothing()
    );
}

#[test]
fn what_a_global_project_excluded_must_stay_excluded() {
    let kinds = json!([{"group": "*", "kind": "*"}]);
    let mut live = narrow(json!({"tier": "live"}));
    live["spec"]["clusterResourceWhitelist"] = kinds.clone();
    let world = global_world(vec![live]);
    let limited = common(json!({"clusterResourceBlacklist": kinds}));
    let (outcome, found) = judge_update(&world, &limited, &common(json!({})));
    assert_eq!(outcome, Outcome::Denied);
    assert!(
        found[0].contains("what it excluded is permitted in AppProject shop-live"),
        "{found:?}"
    );
    // What is too wide without it is not its doing.
    assert_eq!(judge_project(&common(json!({})), &world, ""), nothing());
}

#[test]
fn what_remains_too_wide_may_become_narrower_in_every_list() {
    let world = World::default();
    let with = |spec: Value| app_project(&json!({"spec": spec}));
    let steps = [
        (
            json!({"destinations": [{"server": "*", "namespace": "*"}]}),
            json!({"destinations": [{"server": "*", "namespace": "shop-*"}]}),
        ),
        (
            json!({"destinations": [{"server": "*", "namespace": "*"}]}),
            json!({"destinations": [{"server": "https://**", "namespace": "*"}]}),
        ),
        (
            json!({"destinations": [{"server": "*", "namespace": "*"}]}),
            json!({"destinations": [{"server": "*", "namespace": "*"}, {"server": "!https://omega.example.com", "namespace": "kube-*"}]}),
        ),
        (
            json!({"sourceRepos": ["*"]}),
            json!({"sourceRepos": ["https://**"]}),
        ),
        (
            json!({"sourceRepos": ["https://**"]}),
            json!({"sourceRepos": ["https://*/**"]}),
        ),
        (
            json!({"sourceRepos": ["*"]}),
            json!({"sourceRepos": ["*", "!https://evil.example.com/**"]}),
        ),
        (
            json!({"sourceRepos": ["!https://evil.example.com/a/*"]}),
            json!({"sourceRepos": ["!https://evil.example.com/**"]}),
        ),
        (
            json!({"clusterResourceWhitelist": [{"group": "*", "kind": "*"}]}),
            json!({"clusterResourceWhitelist": [{"group": "*.*", "kind": "[A-Z]*"}]}),
        ),
        (
            json!({"clusterResourceWhitelist": [{"group": "*", "kind": "*"}]}),
            json!({
                "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
                "clusterResourceBlacklist": [{"group": "rbac.*", "kind": "*"}],
            }),
        ),
        (
            json!({
                "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
                "clusterResourceBlacklist": [{"group": "rbac.*", "kind": "Cluster*"}],
            }),
            json!({
                "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
                "clusterResourceBlacklist": [{"group": "*", "kind": "Cluster*"}],
            }),
        ),
    ];
    for (wide, narrow) in steps {
        let (wide, narrow) = (with(wide), with(narrow));
        let (outcome, found) = judge_update(&world, &wide, &narrow);
        assert_eq!(outcome, Outcome::Admitted, "{narrow}: {found:?}");
        assert!(
            found.iter().any(|line| line.contains("as before")),
            "{narrow}: {found:?}"
        );
        let (outcome, _) = judge_update(&world, &narrow, &wide);
        assert_eq!(outcome, Outcome::Denied, "{narrow} to {wide}");
    }
}

#[test]
fn a_project_that_becomes_wider_by_an_upgrade_is_told_and_read_as_is_installed() {
    let mut world = World::default();
    let project = app_project(&json!({"spec": {
        "destinations": [{"name": "alpha", "namespace": "*"}, {"name": "omega", "namespace": "shop"}, {"name": "!omega"}],
        "sourceNamespaces": ["//"],
    }}));
    insta::assert_snapshot!(judge_project(&project, &world, "").join("\n"), @"
    warn project-scope: spec.destinations[2]: Argo CD 3.6 excludes omega only from '', 3.5 from every namespace: the upgrade makes the project wider; write namespace: \"*\" in it
    warn project-scope: spec.sourceNamespaces[0]: `//` permits every namespace until Argo CD 3.5, and none since 3.6; write `*`, or leave it out
    ");
    let both = json!([{"server": "*", "namespace": "*"}, {"name": "!omega", "namespace": "*"}]);
    let same = app_project(&json!({"spec": {"destinations": both}}));
    assert_eq!(judge_project(&same, &world, ""), nothing());
    let mut own = project;
    own["metadata"]["name"] = json!("upgraded");
    world.more_projects = vec![own];
    let of_it = app(&json!({"spec": {"project": "upgraded"}}));
    insta::assert_snapshot!(world.judge(&of_it).join("\n"), @"deny project-scope: spec.destination: AppProject upgraded does not permit namespace 'shop' on omega: !omega excludes it; use one of its destinations");
    let elsewhere = app(
        &json!({"metadata": {"namespace": "team"}, "spec": {"project": "upgraded", "destination": {"name": "alpha"}}}),
    );
    assert_eq!(world.judge(&elsewhere), nothing());
    world.reading = ProjectReading::Since36;
    assert_eq!(world.judge(&of_it), nothing());
    assert_eq!(world.judge(&elsewhere).len(), 1);
}

#[test]
fn a_repository_that_is_no_url_is_told() {
    let project = app_project(&json!({"spec": {
        "sourceRepos": ["https://{a,b}.example.com/*", "https://git.example.com:*/shop", "!*://h/x", "https://git.example.com/{a,b}"],
        "destinations": [{"name": "alpha", "namespace": "shop"}],
    }}));
    insta::assert_snapshot!(judge_project(&project, &World::default(), "").join("\n"), @"
    warn project-scope: spec.sourceRepos[0]: https://{a,b}.example.com/* cannot be parsed as a URL: it permits all that cannot be either; write one that can be parsed
    warn project-scope: spec.sourceRepos[1]: https://git.example.com:*/shop cannot be parsed as a URL: it permits all that cannot be either; write one that can be parsed
    warn project-scope: spec.sourceRepos[2]: !*://h/x cannot be parsed as a URL: it excludes all that cannot be either; write one that can be parsed
    ");
}

#[test]
fn a_refusal_names_the_entry_that_comes_nearest() {
    let world = World {
        more_projects: vec![
            named(
                "excludes",
                json!({}),
                json!({
                    "sourceRepos": ["https://git.example.com/shop/*", "!https://git.example.com/shop/old"],
                    "destinations": [{"name": "omega", "namespace": "*"}],
                }),
            ),
            named(
                "near",
                json!({}),
                json!({
                    "sourceRepos": [
                        "https://git.example.com/shop/*",
                        "https://charts.example.com/shop/", "registry.example.com/charts",
                    ],
                    "destinations": [
                        {"name": "omega", "namespace": "shop-*"}, {"server": "https://alpha.example.com/", "namespace": "*"},
                    ],
                }),
            ),
        ],
        ..World::default()
    };
    let excluded = json!({"project": "excludes", "source": {"repoURL": "https://git.example.com/shop/old.git"}});
    insta::assert_snapshot!(world.judge(&app(&json!({"spec": excluded}))).join("\n"), @"deny project-scope: spec.source.repoURL: AppProject excludes does not permit https://git.example.com/shop/old.git: !https://git.example.com/shop/old excludes it; use a repository of its sourceRepos");
    let of = |repository: &str| {
        let spec = json!({"project": "near", "source": {"repoURL": repository}, "destination": {"namespace": "shop-eu"}});
        world.judge(&app(&json!({"spec": spec}))).join("\n")
    };
    let all = [
        of("https://git.example.com/shop/eu/orders.git"),
        of("git@git.example.com:shop/orders.git"),
        of("https://charts.example.com/shop"),
        of("oci://registry.example.com/charts"),
        of("https://git.example.com/a/very/long/path/that/does/not/fit/into/one/line/orders"),
        of("https://git.example.com:port/shop/orders"),
    ];
    insta::assert_snapshot!(all.join("\n"), @"
    deny project-scope: spec.source.repoURL: AppProject near does not permit https://git.example…m/shop/eu/orders.git: `*` matches no `/` in https://git.example.com/shop/*; write `**` there, or use another
    deny project-scope: spec.source.repoURL: AppProject near does not permit git@git.example.com:shop/orders.git: by SSH one and by HTTPS the other: https://git.example.com/shop/*; write both alike
    deny project-scope: spec.source.repoURL: AppProject near does not permit https://charts.example.com/shop: only the `/` at the end differs from https://charts.example.com/shop/; write both alike
    deny project-scope: spec.source.repoURL: AppProject near does not permit oci://registry.example.com/charts: another scheme than registry.example.com/charts; write both alike
    deny project-scope: spec.source.repoURL: AppProject near does not permit https://git.example.com/a/ver…s/not/fit/into/one/line/orders; use a repository of its sourceRepos
    deny project-scope: spec.source.repoURL: AppProject near does not permit https://git.example.com:port/shop/orders, which cannot be parsed as a URL; write a URL that can be
    ");
    let to = |destination: Value| {
        let spec = json!({"project": "near", "destination": destination});
        world.judge(&app(&json!({"spec": spec}))).join("\n")
    };
    let all = [
        to(json!({"name": "omega", "namespace": "shop"})),
        to(json!({"name": "alpha", "namespace": "shop"})),
    ];
    insta::assert_snapshot!(all.join("\n"), @"
    deny project-scope: spec.destination: AppProject near does not permit namespace 'shop' on omega, but 'shop-*' there; use one of its destinations
    deny project-scope: spec.destination: AppProject near does not permit namespace 'shop' on alpha: https://alpha.example.com/ ends with `/`; take the slash off in its destinations
    ");
}
