//! Packet scripts: segments in, segments out, in virtual time. See [`host`] for how they read.

mod attacks;
mod blind;
mod close;
mod cookie;
mod handshake;
mod host;
mod loss;
mod memory;
mod pair;
mod path;
mod patience;
mod random;
mod states;
mod transfer;
mod window;
mod window_attacks;
