//! An API server that has a few objects and answers no questions but these. What is written to it
//! is noted, not kept.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use super::port_forward::forward;

/// An answer: its status, and its body.
type Answer<Body = Value> = (u16, Body);

/// Answers requests until the test ends.
pub(crate) struct ApiServer {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// The last one of a path is given again and again.
    answers: Mutex<BTreeMap<String, VecDeque<Answer>>>,
    /// What is answered that is not JSON.
    texts: Mutex<BTreeMap<String, Answer<String>>>,
    /// The port of this machine that all ports of Pods are.
    forwards_to: Mutex<Option<u16>>,
    warnings: Mutex<BTreeMap<String, String>>,
    requests: Mutex<Vec<String>>,
    writes: Mutex<Vec<(String, Value)>>,
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
        answers.insert(path.to_owned(), VecDeque::from([(status, body)]));
    }

    /// What a path is answered with that is not JSON.
    pub(crate) fn says(&self, path: &str, status: u16, text: &str) {
        let mut texts = self.state.texts.lock().unwrap();
        texts.insert(path.to_owned(), (status, text.to_owned()));
    }

    /// Takes whatever is forwarded to a Pod to another server.
    pub(crate) fn forwards_to(&self, other: &ApiServer) {
        *self.state.forwards_to.lock().unwrap() = Some(other.port);
    }

    /// Where it is.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What a path is answered with after the answers that it has already.
    pub(crate) fn then_answers(&self, path: &str, status: u16, body: Value) {
        let mut answers = self.state.answers.lock().unwrap();
        let answers = answers.entry(path.to_owned()).or_default();
        answers.push_back((status, body));
    }

    /// What a request is answered with that is not a GET: its verb and path, such as
    /// `PATCH /api/v1/…`. There are no others.
    pub(crate) fn accepts(&self, request: &str, status: u16, body: Value) {
        self.answers(request, status, body);
    }

    /// The value of the header `Warning` that comes with the answer to a request.
    pub(crate) fn warns(&self, request: &str, value: &str) {
        let mut warnings = self.state.warnings.lock().unwrap();
        warnings.insert(request.to_owned(), value.to_owned());
    }

    /// All that was written so far: verb, path and query, and what was sent.
    pub(crate) fn writes(&self) -> Vec<(String, Value)> {
        self.state.writes.lock().unwrap().clone()
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

impl State {
    fn next_answer(&self, key: &str) -> Option<Answer> {
        let mut answers = self.answers.lock().unwrap();
        let answers = answers.get_mut(key)?;
        match answers.len() {
            0 | 1 => answers.front().cloned(),
            _ => answers.pop_front(),
        }
    }
}

/// The list of cluster Secrets.
pub(crate) const CLUSTERS: &str =
    "/api/v1/namespaces/argocd/secrets?argocd.argoproj.io/secret-type=cluster";
/// The list of repository Secrets.
pub(crate) const REPOSITORIES: &str =
    "/api/v1/namespaces/argocd/secrets?argocd.argoproj.io/secret-type=repository";

pub(crate) fn status(code: u16, reason: &str, message: &str) -> Value {
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
            let plain = value.replace("%2F", "/").replace("%3D", "=");
            key.push_str(&plain.replace("%2C", ","));
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
        let (verb, rest) = head.split_once(' ').unwrap_or_default();
        let target = rest.split(' ').next().unwrap_or_default();
        let key = match verb {
            "GET" => key(target),
            verb => format!("{verb} {}", key(target)),
        };
        let content = content(&head, &mut reader);
        let written = (verb != "GET").then(|| format!("{verb} {target}"));
        state.requests.lock().unwrap().push(head.clone());
        let answer = state.next_answer(&key);
        let forwards_to = *state.forwards_to.lock().unwrap();
        if let (Some(port), None) = (forwards_to, &answer)
            && key.ends_with("/portforward")
        {
            return forward(&mut stream, &head, port);
        }
        let warning = state.warnings.lock().unwrap().get(&key).cloned();
        if let Some(written) = written {
            assert!(answer.is_some(), "nothing may be written here: {written}");
            state.writes.lock().unwrap().push((written, content));
        }
        let text = state.texts.lock().unwrap().get(&key).cloned();
        let (code, body) = text.unwrap_or_else(|| {
            let none = || (404, status(404, "NotFound", "there is none"));
            let (code, body) = answer.unwrap_or_else(none);
            (code, body.to_string())
        });
        let warning = warning.map_or_else(String::new, |value| format!("warning: {value}\r\n"));
        let answer = format!(
            "HTTP/1.1 {code} .\r\ncontent-type: application/json\r\n{warning}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// What a request sends.
fn content(head: &str, reader: &mut impl Read) -> Value {
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<usize>().unwrap())
    });
    let mut content = vec![0; length.unwrap_or_default()];
    reader.read_exact(&mut content).unwrap();
    serde_json::from_slice(&content).unwrap_or_default()
}
