//! The whole appliance in virtual time: a lane with its worker, simulated devices, and hosts on
//! both sides that speak a TCP of their own ([`peer`]), strict about what they are sent.
//!
//! [`packet`] is how hosts write and read packets, [`peer`] one connection of a host and [`apps`]
//! what a host does with it, [`ecn`] its ECN, [`cookies`] a shield that answers for the engine.
//! [`side`] has all hosts of one side, [`linux`] what is known of those that stand for Linux, [`rig`] joins them: hosts, devices, the engine and a clock
//! that jumps.

#![expect(missing_debug_implementations, reason = "hosts hold closures")]

pub mod apps;
pub mod cookies;
pub mod ecn;
pub mod edge;
pub mod linux;
pub mod packet;
pub mod peer;
pub mod rig;
pub mod side;
