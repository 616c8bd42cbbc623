//! What goes wrong within the appliance and at its edges, as plain data: faults of devices and of
//! packet memory ([`port`]), of the cores that its workers run on ([`worker`]), of the host and of who
//! operates it ([`admin`]), and of the origins' hosts ([`origin`]).
//!
//! Each fault has a time, counted from the start of the world that it happens in, so that a run can
//! be written down, cut short and repeated.

pub mod admin;
pub mod origin;
pub mod port;
pub mod worker;

pub use admin::{AdminFault, AdminFaultKind, After, stop};
pub use origin::{OriginFault, OriginFaultKind, OriginFaults};
pub use port::{Faulty, PortFault, PortFaultKind};
pub use worker::WorkerStall;
