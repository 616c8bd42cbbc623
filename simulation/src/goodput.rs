//! What the engine's TCP makes of a path: connections over a bottleneck, in virtual time.
//!
//! [`host`] is one end of a connection with its application, [`dumbbell`] joins pairs of hosts by
//! one [`crate::link`]. On these, [`scenario`] describes an experiment and runs it, [`matrix`] lists
//! those whose outcome is kept, and [`snapshot`] and [`tables`] keep and show them.
//!
//! No floating point where it could decide anything: the same experiment has the same outcome on
//! any machine, so outcomes are compared exactly.

pub mod dumbbell;
pub mod host;
pub mod matrix;
pub mod scenario;
pub mod snapshot;
pub mod tables;
