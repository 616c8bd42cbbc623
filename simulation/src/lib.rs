//! Simulation in virtual time: what the engine does, with everything around it simulated.
//!
//! [`link`] is one direction of a path (rate, delay, queue, loss). [`goodput`] runs the engine's TCP
//! over such paths and keeps what comes of it. [`appliance`] runs whole lanes between clients and
//! origins that share no code with the engine; [`actors`] are those of them who misbehave, [`internet`]
//! has the networks between them, [`faults`] is what goes wrong within and around them. [`sim`] makes
//! all of that one run, from a seed. [`crowd`] has more connections than there could be such hosts.
//!
//! Everything follows from the settings and their seed: no clock, no thread. What runs here is the
//! engine's code, unchanged.

pub mod actors;
pub mod appliance;
pub mod crowd;
pub mod faults;
pub mod goodput;
pub mod internet;
pub mod link;
pub mod sim;
