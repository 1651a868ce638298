//! An API server that has a few objects and answers no questions but these.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

/// An answer: its status, and its body.
type Answer = (u16, Value);

/// Answers requests until the test ends.
pub(crate) struct ApiServer {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    answers: Mutex<BTreeMap<String, Answer>>,
    requests: Mutex<Vec<String>>,
}

impl ApiServer {
    /// One on which Argo CD is installed, and nothing else.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = ApiServer {
            port: listener.local_addr().unwrap().port(),
            state: Arc::default(),
        };
        let state = Arc::clone(&server.state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let state = Arc::clone(&state);
                thread::spawn(move || serve(stream.unwrap(), &state));
            }
        });
        for path in [
            "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects",
            "/apis/argoproj.io/v1alpha1/applicationsets",
            CLUSTERS,
            REPOSITORIES,
        ] {
            server.lists(path, &[]);
        }
        server
    }

    /// The path of a list, and the objects in it.
    pub(crate) fn lists(&self, path: &str, objects: &[Value]) {
        self.answers(path, 200, json!({"kind": "List", "items": objects}));
    }

    /// What a path is answered with.
    pub(crate) fn answers(&self, path: &str, status: u16, body: Value) {
        let mut answers = self.state.answers.lock().unwrap();
        answers.insert(path.to_owned(), (status, body));
    }

    /// Refuses a path.
    pub(crate) fn forbids(&self, path: &str) {
        self.answers(
            path,
            403,
            status(403, "Forbidden", "User \"alice\" may not"),
        );
    }

    /// The heads of all requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.requests.lock().unwrap().clone()
    }

    /// A kubeconfig for it, with what a user logs in with as YAML.
    pub(crate) fn kubeconfig(&self, user: &str) -> String {
        format!(
            "\
apiVersion: v1
kind: Config
current-context: here
contexts:
  - {{name: here, context: {{cluster: here, user: me}}}}
clusters:
  - {{name: here, cluster: {{server: 'http://127.0.0.1:{}'}}}}
users:
  - name: me
    user: {user}
",
            self.port
        )
    }
}

/// The list of cluster Secrets.
pub(crate) const CLUSTERS: &str =
    "/api/v1/namespaces/argocd/secrets?argocd.argoproj.io/secret-type=cluster";
/// The list of repository Secrets.
pub(crate) const REPOSITORIES: &str =
    "/api/v1/namespaces/argocd/secrets?argocd.argoproj.io/secret-type=repository";

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure",
        "code": code, "reason": reason, "message": message,
    })
}

/// The path, the label selector that is asked for, and the page.
fn key(target: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut key = path.to_owned();
    for (parameter, mark) in [("labelSelector=", '?'), ("continue=", '#')] {
        let mut pairs = query.split('&');
        if let Some(value) = pairs.find_map(|pair| pair.strip_prefix(parameter)) {
            key.push(mark);
            key.push_str(&value.replace("%2F", "/").replace("%3D", "="));
        }
    }
    key
}

fn serve(mut stream: TcpStream, state: &State) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or_default() == 0 {
                return;
            }
        }
        let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
        assert!(head.starts_with("GET "), "only reading is allowed: {head}");
        state.requests.lock().unwrap().push(head);
        let answers = state.answers.lock().unwrap();
        let missing = || (404, status(404, "NotFound", "there is none"));
        let (code, body) = answers.get(&key(&target)).cloned().unwrap_or_else(missing);
        drop(answers);
        let body = body.to_string();
        let answer = format!(
            "HTTP/1.1 {code} .\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
