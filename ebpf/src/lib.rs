//! The XDP shield: what ringroad serves goes to the engine's socket, all else to the kernel.
//!
//! The programs are in C (`bpf/`), compiled with the crate. [`Shield`] loads one, fills its
//! tables, attaches it to interfaces and lets go of them when it is dropped, or when the process
//! ends in whatever way: an attachment is a file descriptor, and the kernel closes those.
//! [`Control`] is what the polling threads hold: heartbeats and switches, plain stores into memory
//! that the program reads. [`CountersReader`] is what the ledger holds, [`SampleReader`] what shows
//! people packets that were dropped.
//!
//! Ahead of that it drops what is sent to us and cannot be right, comes from where the operator
//! denies ([`Lists`]), or is more than its source may send ([`RateLimits`]).
//! Where a service has cookies on ([`CookieService`], [`CookieMode`]), the program answers new connections itself,
//! before the engine remembers anything of them.
//!
//! It falls open: without a socket, a heartbeat or the engine's consent a new connection is the
//! kernel's, and stays there. What was answered by then opens there too: the [`Acceptor`] is a
//! second program, behind the shield, which has Linux's listeners accept the shield's cookies.
//!
//! Start reading at [`Shield`], and in C at `bpf/shield.bpf.c`. All `unsafe` is in `sys`,
//! `control`, `fingerprints`, `abi` and the generated skeletons.

mod abi;
mod acceptor;
mod attach;
mod control;
mod counters;
mod error;
mod fingerprints;
mod known_flows;
pub mod limits;
mod lists;
mod log;
mod proven_sources;
mod rate_limits;
mod redirector;
mod samples;
mod settings;
mod shield;
mod skeleton;
mod sys;

pub use acceptor::Acceptor;
pub use attach::{AttachMode, AttachedMode, vacant};
pub use control::Control;
pub use counters::{CountersReader, ShieldCounters, Verdict};
pub use error::ShieldError;
pub use fingerprints::{Fingerprint, FingerprintKey, Fingerprints, Found};
pub use known_flows::{FLOW_OCTETS, Known, KnownFlows};
pub use lists::Lists;
pub use proven_sources::ProvenSources;
pub use rate_limits::{Masks, OCTET_INTERVAL_BITS, RateLimit, RateLimits, SECOND_NS};
pub use redirector::Redirector;
pub use samples::{Sample, SampleReader};
pub use settings::{
    CookieMode, CookieService, EgressRange, PortSettings, ServiceAddress, ShieldSettings,
};
pub use shield::Shield;
pub use sys::DryRun;

/// The compiled shield, for loaders other than ours.
pub const SHIELD_OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/shield.bpf.o"));
