//! What holds of the whole: the API server with the manifests, the webhook behind them, the plugin.

mod application_sets;
mod argo_cd_versions;
mod by_hand;
mod demo;
mod ending;
mod offline;
mod passes;
mod policy;
mod preview;
mod readme;
mod rules;
mod secrets;
mod support;
mod webhook;
