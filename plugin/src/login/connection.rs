//! What an API server answers to a token, and why it does not.

use std::error::Error;
use std::io;

use kube::Client;

/// Why an API server was not asked, or did not answer. The token is in none of them.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerError {
    #[error("{0}")]
    Certificate(String),
    #[error("{0}")]
    Unreachable(String),
    #[error("the API server does not know who that is (401)")]
    Unauthorized,
    #[error("the API server answers {status}: {message}")]
    Refused { status: u16, message: String },
}

/// Asks for the version, which everybody may who is somebody.
pub(super) async fn version(client: &Client) -> Result<String, AnswerError> {
    let version = client
        .apiserver_version()
        .await
        .map_err(|error| answer_error(&error))?;
    Ok(version.git_version)
}

fn answer_error(error: &kube::Error) -> AnswerError {
    if let kube::Error::Api(status) = error {
        return match status.code {
            401 => AnswerError::Unauthorized,
            code => AnswerError::Refused {
                status: code,
                message: status.message.clone(),
            },
        };
    }
    match certificate_error(error) {
        Some(reason) => AnswerError::Certificate(reason),
        None => AnswerError::Unreachable(innermost(error)),
    }
}

/// What rustls says of a certificate, wherever in the causes that is.
fn certificate_error(error: &(dyn Error + 'static)) -> Option<String> {
    let mut causes = std::iter::successors(Some(error), |error| cause(*error));
    let told = causes.find_map(|error| error.downcast_ref::<rustls::Error>());
    told.map(ToString::to_string)
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| cause(*error));
    causes.last().unwrap_or(error).to_string()
}

/// What `source` of an I/O error leaves out is the error that it was made of.
fn cause<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    match error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        Some(inside) => Some(inside),
        None => error.source(),
    }
}
