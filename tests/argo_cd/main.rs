//! What holds of the whole with the real Argo CD.

mod agreement;
mod bearer_tokens;
mod bootstrap;
mod command_line;
mod demo;
mod drift;
mod ending;
mod generated;
mod incident;
mod known_fields;
mod kubectl;
mod names;
mod offboarding;
mod old_violations;
mod on_eks;
mod operations;
mod outage;
mod redis;
mod refusals;
mod registration;
mod resumed;
mod server_side_diff;
mod support;
mod unguarded;
mod user_interface;
mod writes;
