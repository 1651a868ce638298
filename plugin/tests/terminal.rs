//! What others wrote acts on no terminal: not in a table, not in a document, not in an error.

mod support;

use support::{Folder, Ran};

/// As YAML and JSON escape it: what clears a screen, by both ways to write it; what rings; what
/// reorders, hides, or ends a line.
const HOSTILE: &str = r"a\u001b[2J\u009b31m\u0007\u202e\u2066\u200b\u2028\ud83d\ude92\n";

fn application(name: &str) -> String {
    let document = serde_json::json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "NAME", "namespace": "argocd"},
        "spec": {
            "project": "default",
            "source": {"repoURL": "https://git.example.com/HOSTILE", "path": "HOSTILE", "targetRevision": "HOSTILE"},
            "destination": {"name": "prod-HOSTILE", "namespace": "HOSTILE"},
            "syncPolicy": {"automated": {}},
        },
    });
    let text = document.to_string();
    text.replace("HOSTILE", HOSTILE).replace("NAME", name)
}

fn application_set() -> String {
    let document = serde_json::json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": "HOSTILE", "namespace": "argocd"},
        "spec": {
            "generators": [
                {"list": {"elements": [{"name": "one", "project": "HOSTILE"}]}},
                {"git": {"repoURL": "https://git.example.com/HOSTILE", "revision": "HOSTILE", "directories": [{"path": "*"}]}},
            ],
            "template": {
                "metadata": {"name": "{{name}}-HOSTILE"},
                "spec": {
                    "project": "{{project}}",
                    "source": {"repoURL": "https://git.example.com/HOSTILE", "path": "x", "targetRevision": "v1"},
                    "destination": {"name": "prod-HOSTILE", "namespace": "x"},
                },
            },
        },
    });
    document.to_string().replace("HOSTILE", HOSTILE)
}

fn is_fit(run: &Ran, arguments: &[&str]) {
    let text = run.transcript();
    let acts = text
        .chars()
        .find(|c| !policy::finding::is_printed(*c) && *c != '\n');
    assert_eq!(acts, None, "{arguments:?}: {text:?}");
}

#[test]
fn nothing_that_others_wrote_acts_on_a_terminal() {
    let hostile_file = "a\u{1b}[2Jb\u{202e}.yaml";
    let folder = Folder::with(&[
        ("application.yaml", &application(HOSTILE)),
        ("set.yaml", &application_set()),
        (hostile_file, &application("x")),
        (
            "broken/a\u{9b}31m.yaml",
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: [}\n",
        ),
    ]);
    for arguments in [
        &["check"][..],
        &["check", "-o", "wide"],
        &["check", "-o", "json"],
        &["check", "-o", "yaml"],
        &["check", "-o", "name"],
        &["check", hostile_file],
        &["check", "absent\u{1b}[2J\u{202e}"],
        &["check", "--policy", "absent\u{1b}[2J\u{9b}"],
        &["check", "--no\u{1b}[2Jsuch"],
        &["explain", "no\u{1b}[2J\u{202e}such"],
        &["preview", "-f", "set.yaml", "--against", "application.yaml"],
        &[
            "preview",
            "-f",
            "set.yaml",
            "--against",
            "application.yaml",
            "-o",
            "wide",
        ],
        &[
            "preview",
            "-f",
            "set.yaml",
            "--against",
            "application.yaml",
            "-o",
            "json",
        ],
        &[
            "preview",
            "-f",
            "set.yaml",
            "--against",
            "application.yaml",
            "-o",
            "yaml",
        ],
        &[
            "preview",
            "-f",
            "set.yaml",
            "--against",
            "application.yaml",
            "-o",
            "name",
        ],
        &[
            "preview",
            "-f",
            hostile_file,
            "--against",
            "application.yaml",
        ],
        &["no\u{1b}[2Jsuch\u{202e}"],
    ] {
        is_fit(&folder.run(arguments), arguments);
    }
}

#[test]
fn a_document_says_the_same_with_what_would_act_escaped() {
    let folder = Folder::with(&[("application.yaml", &application(HOSTILE))]);
    let json = folder.run(&["check", "-o", "json"]).json();
    let expected: String = serde_json::from_str(&format!("\"{HOSTILE}\"")).unwrap();
    assert_eq!(json["findings"][0]["object"]["name"], expected);
    let yaml = folder.run(&["check", "-o", "yaml"]).stdout();
    assert_eq!(golang::yaml::value(&yaml).unwrap(), json);
}
