//! Packet scripts: segments in, segments out, in virtual time. See [`host`] for how they read.

mod attacks;
mod close;
mod cookie;
mod ecn;
mod fast_open;
mod handshake;
mod host;
mod loss;
mod memory;
mod pair;
mod random;
mod states;
mod transfer;
mod window;
