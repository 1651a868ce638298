//! What holds of the whole: the API server with the manifests, the webhook behind them, the plugin.

mod application_sets;
mod argo_cd_versions;
mod break_glass;
mod break_glass_commands;
mod by_hand;
mod check_live;
mod clusters;
mod demo;
mod ending;
mod facts;
mod isolation;
mod namespaces;
mod offline;
mod passes;
mod policy;
mod preview;
mod ratchet;
mod readme;
mod rules;
mod secrets;
mod support;
mod webhook;
mod with_its_rights;
