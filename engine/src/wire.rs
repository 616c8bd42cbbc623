//! Typed views over packet bytes.
//!
//! Everything a packet claims is checked once, here; what comes out cannot be wrong about where
//! its bytes are. No input makes this room panic.
//!
//! A received frame enters at [`packet::parse`], which says whether it is for us (TCP, or an ICMP
//! error about TCP), for the kernel, or [`Malformed`]. The headers themselves are values that are
//! read by `parse` and written by `emit`, one file each.

pub mod checksum;
pub mod ethernet;
#[cfg(any(test, fuzzing))]
pub mod exercise;
pub mod icmp;
pub mod ip;
pub mod ipv4;
pub mod ipv6;
mod malformed;
pub mod packet;
pub mod tcp;

pub use malformed::Malformed;
