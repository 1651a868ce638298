//! What Go does and Rust does not.
//!
//! Argo CD is written in Go, and what it makes of a text is often what a package of Go makes of
//! it: a template, a document of JSON or YAML, a URL, a pattern. Crates of Rust for the same
//! things follow other rules, and a difference in a corner is a difference in a verdict. So the
//! corners are here, after Go 1.26 and the versions that each module names.
//!
//! ```text
//!   template   text/template with Sprig's functions
//!   json       encoding/json: how a field is read, what null means, which name is a field's
//!   yaml       sigs.k8s.io/yaml and the go-yaml beneath it
//!   path       path.Match and filepath.Match
//!   url        net/url: parsed and printed
//!   pem        encoding/pem, as far as crypto/tls and crypto/x509 take what is in it
//!   os         os.Expand
//!   fmt, strconv, strings   numbers and letters
//!   work       how much may still be done, which all of it is counted against
//! ```
//!
//! It knows nothing of Argo CD, and does no I/O.

pub mod fmt;
pub mod json;
pub mod os;
pub mod path;
pub mod pem;
mod strconv;
pub mod strings;
pub mod template;
pub mod url;
pub mod work;
pub mod yaml;
