//! The whole appliance in virtual time: a lane with its worker, simulated devices, and hosts on
//! both sides that speak a TCP of their own ([`peer`]), strict about what they are sent.
//!
//! Every scenario ends in [`rig::World::finish`]: every frame is back in the pool, nothing is
//! held, the ledger balances. `RINGROAD_SEED=n` replays a seed, `RINGROAD_SEEDS=n` runs more.

#![allow(unreachable_pub, reason = "modules of a test have no other public")]

mod apps;
mod cookies;
mod ecn;
mod packet;
mod peer;
mod rig;

mod accept_cookie;
mod closing;
mod congested;
mod dormant;
mod fast_open;
mod hostile;
mod kernel_path;
mod limits;
mod malformed;
mod network;
mod path;
mod pressure;
mod proven_sources;
mod transfer;
