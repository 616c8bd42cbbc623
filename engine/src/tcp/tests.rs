//! Packet scripts: segments in, segments out, in virtual time. See [`host`] for how they read.

mod attacks;
mod close;
mod cookie;
mod ecn;
mod dormant;
mod handshake;
mod host;
mod loss;
mod memory;
mod pair;
mod random;
mod scripts;
mod rfc6298;
mod rfc7323;
mod rfc9293;
mod reassembly;
mod states;
mod transfer;
mod window;
