//! What the engine's TCP makes of a path: connections over simulated links, in virtual time.
//!
//! From the wire upward: [`link`] is one direction of a path (rate, delay, queue, loss), [`host`] is
//! one end of a connection with its application, [`dumbbell`] joins pairs of hosts by one
//! bottleneck. On these, [`scenario`] describes an experiment and runs it, [`matrix`] lists those
//! whose outcome is kept, and [`snapshot`] and [`tables`] keep and show them.
//!
//! Everything follows from the settings and their seed: no clock, no thread, no floating point
//! where it could decide anything. The same experiment has the same outcome on any machine, so
//! outcomes are compared exactly.

pub mod dumbbell;
pub mod host;
pub mod link;
pub mod matrix;
pub mod scenario;
pub mod snapshot;
pub mod tables;
