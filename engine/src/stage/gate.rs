//! What stands in front of a lane and must know how it is.

use ringroad_ebpf::Control;

use crate::time::Instant;

/// What stands in front of the engine and must know how it is: the shield.
pub trait Gate {
    /// A sign of life.
    fn beat(&mut self, now: Instant);

    /// Whether new connections to a service are taken, or left to Linux.
    fn set_accepting(&mut self, service: usize, accepting: bool);
}

/// For lanes without a shield: simulation, tests.
#[derive(Clone, Copy, Debug)]
pub struct NoGate;

impl Gate for NoGate {
    fn beat(&mut self, _now: Instant) {}

    fn set_accepting(&mut self, _service: usize, _accepting: bool) {}
}

/// The shield in XDP.
#[derive(Debug)]
pub struct ShieldGate {
    control: Control,
    queue: u32,
}

impl ShieldGate {
    /// For the lane that serves `queue` of each port.
    pub fn new(control: Control, queue: u32) -> Self {
        ShieldGate { control, queue }
    }
}

impl Gate for ShieldGate {
    #[inline]
    fn beat(&mut self, now: Instant) {
        self.control.beat(self.queue, now.as_nanos());
    }

    fn set_accepting(&mut self, service: usize, accepting: bool) {
        self.control.set_accepting(service as u32, accepting);
    }
}
