//! Break-glass on a real API server: who may, who may not, and what is found of it afterwards.

mod incident;
mod misuse;
mod records;
mod world;
