//! The webhook, from the outside: HTTP in, HTTP out, with an inventory made by hand.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that gets something else than it expects ends its test"
)]

mod answers;
mod api_server;
mod authorisation;
mod bounds;
mod break_glass;
mod events;
mod lease;
mod load;
mod malformed;
mod named_objects;
mod namespaces;
mod news;
mod recorded;
mod serving;
mod support;
mod watching;
