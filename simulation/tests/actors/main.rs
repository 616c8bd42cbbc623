//! Those who misbehave, against the real engine: what others notice, which should be nothing.
//!
//! Every scenario ends in [`World::finish`]: every frame is back in the pool, nothing is held, the
//! ledger balances. `RINGROAD_SEED=n` replays a seed, `RINGROAD_SEEDS=n` runs more.

#![allow(unreachable_pub, reason = "modules of a test have no other public")]

mod all;
mod attacks;
mod behaviours;

use std::time::Duration;

use ringroad_simulation::actors::{Role, Script};
use ringroad_simulation::appliance::peer::{Peer, Settings, Status};

/// What became of a conversation at one end.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    Whole,
    /// It was told that the rest will not come.
    Cut,
    /// It has not been told.
    Open,
}

/// Judges what a host has heard of `script`.
pub fn end_of(peer: &Peer, role: Role, script: &Script) -> End {
    let said = script.octets(role.other());
    let heard = Script::behind_header(&peer.received).unwrap_or_default();
    assert!(said.starts_with(heard), "{:?} heard what nobody said", peer.local);
    match peer.status {
        Status::Finished if heard.len() == said.len() => End::Whole,
        Status::Finished | Status::Refused | Status::Reset | Status::Aborted => End::Cut,
        _ => End::Open,
    }
}

/// What everybody's TCP is like where packets are forged.
pub const AMONG_FORGERS: Settings = Settings {
    lossy: true,
    forged: true,
    patience: Some(Duration::from_secs(300)),
    ..Settings::MODERN
};
