//! The page of `kubectl gitops drift -o html`, in a real Chromium.

#![expect(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test says why it is skipped, and one that cannot start has failed"
)]

mod support;

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use support::Folder;
use support::api_server::ApiServer;

/// Names that Chromium has on systems where tests run.
const PROGRAMS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];
/// How wide phones are, in CSS pixels.
const PHONE: u32 = 360;
const DESKTOP: u32 = 1280;

/// The browser; None, with a line that says so, where there is none.
fn chromium() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let all = PROGRAMS
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let found = all.into_iter().find(|program| program.is_file());
    if found.is_none() {
        eprintln!("skipped: none of {} is on the PATH", PROGRAMS.join(", "));
    }
    found
}

/// A report with two environments, three clusters and two people.
fn report() -> Value {
    let field = |path: &str, desired: Value, live: Value, manager: &str, person: Value| {
        json!({
            "path": path, "desired": desired, "live": live, "person": person, "masked": live == "***",
            "managers": [{"manager": manager, "operation": "Update", "subresource": null, "time": "2026-11-29T10:00:00Z"}],
        })
    };
    let resource = |kind: &str, name: &str, cause: &str, effect: &str, fields: Value| {
        json!({
            "group": "", "version": "v1", "kind": kind, "namespace": "shop", "name": name,
            "status": "OutOfSync", "cause": cause, "effect": effect, "fields": fields,
        })
    };
    let application = |name: &str,
                       cluster: &str,
                       environment: Value,
                       verdict: &str,
                       reason: Value,
                       resources: Value| {
        json!({
            "namespace": "argocd", "name": name, "project": "shop",
            "cluster": {"name": cluster, "server": format!("https://{cluster}.example.com")},
            "environment": environment, "sync": "OutOfSync", "health": "Healthy", "verdict": verdict,
            "reason": reason, "strategy": "three-way", "reconciledAt": "2026-11-30T10:00:00Z", "resources": resources,
        })
    };
    let image = field(
        "/spec/template/spec/containers/0/image",
        json!("registry.example.com/shop:1.4.0"),
        json!(format!(
            "registry.example.com/shop@sha256:{}",
            "0123456789abcdef".repeat(4)
        )),
        "kubectl-edit",
        json!("alice@example.com"),
    );
    let scaled = field(
        "/spec/replicas",
        json!(2),
        json!(5),
        "kubectl",
        json!("bob@example.com"),
    );
    let secret = field(
        "/data/password",
        json!("***"),
        json!("***"),
        "kubectl-patch",
        Value::Null,
    );
    let none = Value::Null;
    json!({
        "apiVersion": "kubectl-gitops.io/v1alpha1", "kind": "DriftReport", "source": "argocd",
        "applications": [
            application("shop-prod-eu", "prod-eu", json!("production"), "drifted", none.clone(), json!([
                resource("Deployment", "shop", "changed-by-hand", "restart", json!([image])),
                resource("Secret", "shop", "changed-by-hand", "in-place", json!([secret])),
            ])),
            application("shop-prod-us", "prod-us", json!("production"), "clean", none.clone(), json!([])),
            application("cart-prod-eu", "prod-eu", json!("production"), "stale",
                json!("not compared since 2026-11-28T10:00:00Z: its controller does not write"), json!([])),
            application("shop-staging", "staging", json!("staging"), "drifted", none.clone(), json!([
                resource("Deployment", "shop", "changed-by-hand", "in-place", json!([scaled])),
                resource("ConfigMap", "left-over", "extra", "nothing", json!([])),
            ])),
        ],
        "summary": {"applications": 4, "clean": 1, "drifted": 2, "stale": 1, "unknown": 0, "resources": 4},
        "problems": [],
    })
}

/// The page as the command prints it, with another report in it.
fn page(report: &Value) -> String {
    let cluster = ApiServer::start();
    cluster.lists(
        "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications",
        &[],
    );
    let folder = Folder::with(&[("kubeconfig", &cluster.kubeconfig("{token: a}"))]);
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-gitops"))
        .args(["drift", "--source", "status", "-o", "html"])
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .env("KUBECONFIG", folder.path().join("kubeconfig"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let page = String::from_utf8(output.stdout).unwrap();
    let start = "id=\"report\">";
    let (before, rest) = page.split_once(start).unwrap_or_else(|| panic!("{page}"));
    let (_, after) = rest.split_once("</script>").unwrap();
    let report = report.to_string().replace('<', "\\u003c");
    format!("{before}{start}{report}</script>{after}")
}

/// What a browser does with files.
struct Browser {
    program: PathBuf,
    folder: Folder,
}

impl Browser {
    fn with(page: &str) -> Option<Self> {
        let program = chromium()?;
        // The page in a frame of some width tells the one around it what it measures: a window of
        // Chromium is never narrower than 500 pixels.
        let probe = "<script>parent.postMessage(JSON.stringify({\
            width: innerWidth, needs: document.documentElement.scrollWidth, title: document.title,\
            small: [...document.querySelectorAll('p,dd,dt,td,th,code,summary,label')]\
              .filter((one) => parseFloat(getComputedStyle(one).fontSize) < 12).length,\
            html: document.getElementById('page').innerHTML}), '*')</script></body>";
        let probed = page.replace("</body>", probe);
        let frame = "<!doctype html><body><iframe id=f></iframe><pre id=told></pre><script>\
            addEventListener('message', (event) => { told.textContent = event.data; });\
            const [width, fragment] = location.hash.slice(1).split(',');\
            f.style.width = width + 'px'; f.style.height = '4000px'; f.style.border = 0;\
            f.src = 'page.html#' + decodeURIComponent(fragment);</script>";
        let folder = Folder::with(&[("page.html", &probed), ("frame.html", frame)]);
        Some(Browser { program, folder })
    }

    fn run(&self, arguments: &[&str], file: &str) -> String {
        let folder = self.folder.path();
        let output = Command::new(&self.program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ])
            .args(["--hide-scrollbars", "--virtual-time-budget=5000"])
            .arg(format!(
                "--user-data-dir={}",
                folder.join("profile").display()
            ))
            .args(arguments)
            .arg(format!("file://{}/{file}", folder.display()))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{told}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a page of some width is, with these filters.
    fn page(&self, width: u32, fragment: &str) -> Page {
        let fragment = fragment
            .replace('%', "%25")
            .replace('&', "%26")
            .replace('=', "%3D");
        let file = format!("frame.html#{width},{fragment}");
        let text = self.run(&["--window-size=1600,1200", "--dump-dom"], &file);
        let (_, told) = text
            .split_once("<pre id=\"told\">")
            .unwrap_or_else(|| panic!("{text}"));
        let (told, _) = told.split_once("</pre>").unwrap();
        let told = told
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&");
        let told: Value = serde_json::from_str(&told).unwrap_or_else(|_| panic!("{text}"));
        Page { told }
    }
}

/// What was measured.
struct Page {
    told: Value,
}

impl Page {
    fn html(&self) -> &str {
        self.told["html"].as_str().unwrap()
    }

    /// The Applications that are shown, and how many there are.
    fn shown(&self) -> (Vec<&str>, &str) {
        let cards = self.html().split("<summary><strong>").skip(1);
        let names = cards.map(|card| card.split_once('<').unwrap().0).collect();
        let (_, count) = self.html().split_once("role=\"status\">").unwrap();
        (names, count.split_once('<').unwrap().0)
    }

    /// The matrix: clusters, then a row an Application.
    fn matrix(&self) -> (Vec<&str>, Vec<&str>) {
        let of = |start: &str| {
            let parts = self.html().split(start).skip(1);
            parts.map(|part| part.split_once('<').unwrap().0).collect()
        };
        (of("<th scope=\"col\">"), of("<th scope=\"row\">"))
    }
}

#[test]
fn the_page_is_searched_and_filtered_and_is_read_on_a_phone() {
    let mut report = report();
    let hostile = "<img src=x onerror=\"document.title='owned'\">";
    report["applications"][3]["resources"][1]["name"] = json!(hostile);
    let Some(browser) = Browser::with(&page(&report)) else {
        return;
    };
    for width in [DESKTOP, PHONE] {
        let page = browser.page(width, "");
        assert_eq!(page.told["width"], width);
        // Nothing is wider than the screen; the matrix scrolls in its own frame.
        assert_eq!(page.told["needs"], width, "{}", page.html());
        assert_eq!(page.told["small"], 0);
        let (names, count) = page.shown();
        assert_eq!(names, ["shop-prod-eu", "cart-prod-eu", "shop-staging"]);
        assert_eq!(count, "4 of 4 Applications");
        let (clusters, rows) = page.matrix();
        assert_eq!(clusters, ["Application", "prod-eu", "prod-us", "staging"]);
        assert_eq!(rows, ["cart", "shop"]);
        // What others wrote is text.
        assert_eq!(page.told["title"], "Drift");
        assert!(page.html().contains("ConfigMap &lt;img"), "{}", page.html());
        assert!(page.html().contains("*** (different)"));
    }
    for (fragment, expected, count) in [
        ("environment=staging", &["shop-staging"][..], "1 of 4"),
        (
            "environment=production",
            &["shop-prod-eu", "cart-prod-eu"],
            "3 of 4",
        ),
        ("cluster=prod-us", &[], "1 of 4"),
        ("person=bob@example.com", &["shop-staging"], "1 of 4"),
        ("person=kubectl-patch", &["shop-prod-eu"], "1 of 4"),
        ("verdict=stale", &["cart-prod-eu"], "1 of 4"),
        ("text=SHA256:0123", &["shop-prod-eu"], "1 of 4"),
        ("text=replicas&environment=production", &[], "0 of 4"),
        (
            "cluster=nowhere",
            &["shop-prod-eu", "cart-prod-eu", "shop-staging"],
            "4 of 4",
        ),
    ] {
        let page = browser.page(DESKTOP, fragment);
        let (names, told) = page.shown();
        assert_eq!(names, expected, "{fragment}");
        assert_eq!(told, format!("{count} Applications"), "{fragment}");
    }
}

/// Where the documentation has a picture of the page, and which page that is.
const PICTURE: &str = "../docs/src/images/drift.png";
const DOCUMENT: &str = "../docs/src/drift.md";

#[test]
fn the_picture_in_the_documentation_is_of_this_page() {
    let page = page(&report());
    let mut hash = String::new();
    for byte in Sha256::digest(&page) {
        let _ = write!(hash, "{byte:02x}");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = root.join(DOCUMENT);
    let text = fs::read_to_string(&document).unwrap();
    let (start, end) = ("<!-- the page in the picture has the SHA-256 ", " -->");
    let (before, rest) = text.split_once(start).unwrap();
    let (written, after) = rest.split_once(end).unwrap();
    if env::var_os("UPDATE_DOCS").is_some() && (written != hash || !root.join(PICTURE).is_file()) {
        let browser = Browser::with(&page).expect("a picture takes a Chromium on the PATH");
        let picture = browser.folder.path().join("drift.png");
        let screenshot = format!("--screenshot={}", picture.display());
        browser.run(&["--window-size=1000,1250", &screenshot], "page.html");
        fs::create_dir_all(root.join(PICTURE).parent().unwrap()).unwrap();
        fs::copy(&picture, root.join(PICTURE)).unwrap();
        fs::write(&document, format!("{before}{start}{hash}{end}{after}")).unwrap();
        return;
    }
    assert_eq!(written, hash, "UPDATE_DOCS=1 makes the picture anew");
    let picture = fs::read(root.join(PICTURE)).unwrap();
    assert!(picture.starts_with(b"\x89PNG\r\n"));
    assert!(text.contains("(images/drift.png)"));
}
