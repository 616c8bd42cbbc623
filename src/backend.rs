//! What feeds the lane: AF_XDP, or DPDK.
//!
//! A [`Backend`] knows how its devices are found, how their packet memory is laid out, and what
//! stands ahead of the engine on them. The rest of a start (`run.rs`) and the lane are the same
//! for all. Everything that a backend changes on the host is undone when it is dropped.

pub(crate) mod af_xdp;
pub(crate) mod dpdk;

use std::fmt::Debug;

use anyhow::Result;
use ringroad_config::schema::Config;
use ringroad_engine::frame::FramePool;
use ringroad_engine::port::Port;
use ringroad_engine::stage::Gate;
use ringroad_engine::telemetry::Snapshot;

use crate::plan::Plan;

/// See the module. The methods are called once each, in the order in which they stand here.
pub(crate) trait Backend {
    type Port: Port + Send + 'static;
    type Gate: Gate + Send + 'static;

    /// Whether interfaces are new to Linux, so that the operator is still to give them addresses.
    fn awaits_addresses(&self) -> bool {
        false
    }

    /// Refuses what does not fit these devices, before anything is touched.
    fn check(&mut self, config: &Config, plan: &Plan) -> Result<()>;

    /// Opens the ports over packet memory of their own. What arrives is still Linux's.
    fn open(&mut self, config: &Config, plan: &Plan) -> Result<(FramePool, Vec<Self::Port>)>;

    /// Lets the engine have what is its own.
    fn put_in_front(&mut self, plan: &Plan, ports: &[Self::Port]) -> Result<Self::Gate>;

    /// Where to read what the shield decided, if not from the lane.
    fn counts(&self) -> Result<Box<dyn ShieldCounts>>;
}

/// What the shield counted outside of the lane; read from any thread.
pub(crate) trait ShieldCounts: Debug + Send + Sync {
    /// Adds it to what the lane has just counted.
    fn add_to(&self, snapshot: &mut Snapshot) -> Result<()>;
}
