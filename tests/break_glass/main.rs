//! Break-glass on a real API server: who may, who may not, what is found of it afterwards,
//! and the commands for it.

mod commands;
mod incident;
mod misuse;
mod records;
mod world;
