//! Workers that stand still: their core is taken away for a while, or is busy with something else.

use std::time::Duration;

/// Which worker stands still, and when: from `from` on and before `to`, both counted from the start of
/// the world. One that shares its core with the devices takes the whole appliance with it, which is
/// what [`super::PortFaultKind::Stalled`] is like; so it is for workers on cores of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerStall {
    pub from: Duration,
    pub to: Duration,
    /// Modulo how many there are.
    pub worker: usize,
}
