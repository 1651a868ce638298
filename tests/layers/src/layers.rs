//! The layers: which crate may depend on which, and which module of a crate may import from which.
//!
//! This is the file to change when a crate or a module comes or goes.
//!
//! All crates are held to all of it.

/// A crate whose imports are looked at.
#[derive(Clone, Copy, Debug)]
pub struct Crate {
    /// The folder that it is in, which is also its name here.
    pub folder: &'static str,
    /// The name by which others depend on it.
    pub package: &'static str,
    /// The modules at its top, lowest first. A module imports from those above it in this list;
    /// modules of one line may import from one another, but not in a circle.
    ///
    /// Empty where the modules at the top still form a circle (see `circles`).
    pub modules: &'static [&'static [&'static str]],
    /// Folders whose modules still form a circle and are not held to anything; `""` is the crate's
    /// top. The test fails if one of them no longer has a circle, so that its entry is taken out.
    pub circles: &'static [&'static str],
}

/// The crates, lowest first. A crate depends on those above it in this list; crates of one line do
/// not depend on one another.
///
/// The crates below `tests/` may depend on all of these; of them, only the harness is looked at.
pub const CRATES: &[&[Crate]] = &[
    &[
        Crate {
            folder: "golang",
            package: "golang",
            modules: &[
                &["fmt", "os", "strconv", "strings", "work"],
                &["json", "path", "pem", "url"],
                &["yaml"],
                &["template"],
            ],
            circles: &[],
        },
        Crate {
            folder: "certs",
            package: "certs",
            modules: &[
                &["names"],
                &["inject", "issue"],
                &["credentials"],
                &["secret"],
            ],
            circles: &[],
        },
    ],
    &[Crate {
        folder: "argocd",
        package: "argocd",
        modules: &[
            &["known_fields", "names", "tracking"],
            &["kubernetes", "limited", "pattern", "sync_options"],
            &["repository"],
            &["application"],
            &["cluster"],
            &["project"],
            &["comparison"],
            &["application_set"],
            &["settings"],
            &["fleet"],
            &["conditions"],
        ],
        circles: &[],
    }],
    &[Crate {
        folder: "policy",
        package: "policy",
        modules: &[
            &["kind", "rule_list"],
            &["finding"],
            &["terms"],
            &["request"],
            &["decode"],
            &["rules"],
            &["consequence"],
            &["verdict"],
        ],
        circles: &[],
    }],
    &[
        Crate {
            folder: "plugin",
            package: "kubectl-gitops",
            modules: &[
                &[
                    "exit_status",
                    "namespaces",
                    "plan",
                    "progress",
                    "temporary",
                    "text",
                    "wait",
                ],
                &["parallel", "streams"],
                &["error"],
                &["repository"],
                &["manifest_generation"],
                &["args"],
                &["kubernetes", "argocd_server"],
                &["fleet"],
                &[
                    "bootstrap",
                    "break_glass",
                    "check",
                    "drift",
                    "preview",
                    "terraform",
                    "versions",
                ],
                &["audit", "onboarding", "releases"],
                &["aws"],
                &["login"],
                &["addons", "clusters"],
                &["report"],
                &["render"],
                &["context"],
                &["commands"],
                &["cli"],
            ],
            circles: &[],
        },
        Crate {
            folder: "webhook",
            package: "gitops-webhook",
            modules: &[
                &["args", "clock", "labels", "limits"],
                &["failure"],
                &["authorisation", "telemetry"],
                &["admission_review"],
                &["metrics"],
                &["events", "watch"],
                &["state"],
                &["server"],
                &["health", "index"],
                &["admission", "trust"],
                &["expiry", "lease"],
                &["run"],
                &["process"],
            ],
            circles: &[],
        },
    ],
];

/// What tests start. It may depend on all crates.
pub const HARNESS: Crate = Crate {
    folder: "tests/harness",
    package: "harness",
    modules: &[
        &[
            "clock",
            "http",
            "port",
            "process",
            "programs",
            "progress",
            "transcript",
            "wait",
        ],
        &["go"],
        &["definitions", "go_programs"],
        &["control_plane"],
        &["opentofu", "plugin", "reverse_proxy", "webhook"],
        &["installation"],
        &["addon", "demo", "eks", "objects", "shared"],
        &["argo_cd"],
    ],
    circles: &[],
};
