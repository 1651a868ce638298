//! What the API server admits and refuses, with the manifests and the webhook behind them.

mod application_sets;
mod argo_cd_versions;
mod by_hand;
mod ending;
mod isolation;
mod namespaces;
mod offline;
mod passes;
mod policy;
mod ratchet;
mod rules;
mod secrets;
mod webhook;
mod with_its_rights;
