//! A whole appliance in a box: clients, the shield's twin, the engine, origins and a bad network in
//! one thread, in virtual time, from one seed.
//!
//! [`Scenario::case`] makes a [`Case`] from a seed: all of a run as plain data. [`run`] plays it, with
//! oracles that look on: octets out are octets in, what ends early has a reason, the ledger balances,
//! every frame is home, what can finish does. What comes of it is a [`Report`] or a [`Failure`];
//! [`shrink`] cuts a case that fails down to what it takes.
//!
//! A run is told by its scenario and seed alone: [`Report::fingerprint`] is the same whenever it is
//! played, as long as neither the engine nor the scenario has changed.

pub mod case;
mod dice;
mod failure;
mod highlights;
mod judge;
mod make;
mod report;
mod run;
mod scenario;
mod shrink;
mod watch;

pub use case::Case;
pub use failure::{Failure, Oracle};
pub use judge::Tally;
pub use report::Report;
pub use run::run;
pub use scenario::Scenario;
pub use shrink::{Shrunk, shrink};
pub use watch::Watch;
