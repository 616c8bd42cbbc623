//! The polling loop: RX, worker, TX, on pinned cores.
//!
//! A [`Lane`] is one RX queue of each port with the [`Worker`] that owns its connections. Run to
//! completion: receive, process and send follow each other on one core. To follow a frame from
//! the wire to the wire, start at [`Lane::turn`].

mod absence;
mod arrivals;
mod bell;
mod board;
mod clock;
mod control;
mod gate;
mod hand_over;
mod hop;
mod idle;
mod io;
mod lane;
mod pipeline;
mod pressure;
mod rx;
mod stamped;
mod stopwatch;
mod told;
mod worker;

pub use bell::Bell;
pub use board::Board;
pub use clock::monotonic;
pub use control::{Command, Commands, Mailbox, Neighbours, mailbox};
pub use gate::{Gate, NoGate, ShieldGate, TwinGate};
pub use hand_over::HandOver;
pub use hop::Hop;
pub use idle::IdlePolicy;
pub use io::{IoSettings, IoStage, WorkerEnd};
pub use lane::{Cookies, Lane};
pub use pipeline::split_for_pipeline;
pub use pressure::{Load, Pressure, Thresholds};
pub use stamped::ReceivedAt;
pub use worker::{
    Departure, Outlet, Page, PortIdentity, Stray, Wanted, Worker, WorkerSettings, flow_hasher,
    flows_for, idle_connection_octets,
};
