//! What holds of the whole with the real Argo CD.

mod ending;
mod refusals;
mod support;
mod unguarded;
mod writes;
