//! Typed views over packet bytes.
//!
//! Everything a packet claims is checked once, here; what comes out cannot be wrong about where
//! its bytes are. No input makes this room panic.

pub mod checksum;
mod malformed;
pub mod tcp;

pub use malformed::Malformed;
