//! The whole appliance in virtual time: see [`ringroad_simulation::appliance`].
//!
//! Every scenario ends in [`rig::World::finish`]: every frame is back in the pool, nothing is
//! held, the ledger balances. `RINGROAD_SEED=n` replays a seed, `RINGROAD_SEEDS=n` runs more.

#![allow(unreachable_pub, reason = "modules of a test have no other public")]

mod absence;
mod accept_cookie;
mod capture;
mod closing;
mod congested;
mod connections;
mod crowded;
mod dormant;
mod events;
mod fast_open;
mod hostile;
mod kernel_path;
mod limits;
mod malformed;
mod network;
mod owners;
mod path;
mod pipeline;
mod pressure;
mod proven_sources;
mod transfer;

use ringroad_simulation::appliance::{apps, cookies, ecn, packet, peer, rig};
