//! DPDK: its environment, its memory for packets and its Ethernet devices.
//!
//! Bindings are generated from the system's headers, for what is used here and no more. On them
//! lies a small layer in which order cannot go wrong: a [`Device`] keeps its [`PacketPool`], and
//! both keep the [`Eal`], which ends when the last of them is dropped. What DPDK would print goes
//! to a callback, and what it refuses becomes an [`Error`] of one line.
//!
//! A pool is a DPDK mempool whose free objects are a stack of indices ([`FreeStack`]). Whoever
//! keeps frames by their index takes from the same stack as the drivers, so there is one place
//! where free frames are.
//!
//! Written for DPDK 22.11 (Debian 12), with which it was tried, and to the part of its API that is
//! the same up to 24.11, with which it was not.
//!
//! Start reading at [`Eal::init`], then [`PacketPool`] and [`Device`]; in C at `shim/shim.c`.

mod attach;
mod device;
mod eal;
mod error;
pub mod limits;
mod link;
mod log;
mod pci;
mod pool;
mod process;
mod raw;

pub use attach::{Capabilities, DeviceId};
pub use device::{Checksum, Device, DeviceSettings, DeviceStats, Packet, Rss};
pub use eal::{Eal, EalSettings, Memory, ThreadRegistration};
pub use error::{Error, Reason};
pub use link::{Link, LinkReader};
pub use log::Level;
pub use pool::{FreeStack, Layout, PacketPool};
