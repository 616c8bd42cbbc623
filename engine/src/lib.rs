//! The packet engine of ringroad: frames in, TCP, frames out.
//!
//! Rooms from the wire inward; each depends only on those above it:
//! [`frame`] (packet memory) → [`wire`] (views over bytes) → [`port`] (devices) → [`flow`] (who a
//! packet belongs to) → [`shield`] (what is Linux's, where no XDP program says so) → [`tcp`] (one connection, sans-I/O) → [`proxy`] (two connections, one
//! pair) → [`kernel`] (what Linux knows) → [`stage`] (the polling loop) → [`telemetry`].
//!
//! To follow one frame from the wire to the wire, start at `stage::lane`.

pub mod flow;
pub mod frame;
pub mod kernel;
pub mod limits;
pub mod planted;
pub mod port;
mod prefix_map;
pub mod proxy;
pub mod random;
pub mod shield;
pub mod stage;
pub mod tcp;
pub mod telemetry;
pub mod time;
pub mod wire;

#[cfg(test)]
mod fuzzed;
