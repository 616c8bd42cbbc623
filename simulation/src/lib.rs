//! Simulation in virtual time: what the engine does, with everything around it simulated.
//!
//! [`link`] is one direction of a path (rate, delay, queue, loss). [`goodput`] runs the engine's TCP
//! over such paths and keeps what comes of it. [`appliance`] runs whole lanes between clients and
//! origins that share no code with the engine.
//!
//! Everything follows from the settings and their seed: no clock, no thread. What runs here is the
//! engine's code, unchanged.

pub mod actors;
pub mod appliance;
pub mod goodput;
pub mod link;
