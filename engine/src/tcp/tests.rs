//! Packet scripts: segments in, segments out, in virtual time. See [`host`] for how they read.

mod attacks;
mod blind;
mod close;
mod cookie;
mod dormant;
mod ecn;
mod fast_open;
mod handshake;
mod host;
mod loss;
mod memory;
mod pair;
mod path;
mod patience;
mod random;
mod reassembly;
mod recovery;
mod rfc6298;
mod rfc7323;
mod rfc9293;
mod scoreboard;
mod scripts;
mod states;
mod transfer;
mod window;
mod window_attacks;
