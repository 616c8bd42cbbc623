//! What the twin has to ask Linux.

use std::fmt;

use super::bucket::Bucket;
use crate::flow::FlowKey;
use crate::limits::KERNEL_QUESTIONS_PER_SECOND;
use crate::time::Instant;

/// The connections that Linux has.
pub trait LinuxSockets: fmt::Debug + Send {
    /// Whether Linux has a connection between these ends that may still have something to say: any but
    /// one in TIME-WAIT. Asked of SYNs alone, and only between the ends of connections that it was given.
    fn has(&mut self, flow: &FlowKey) -> bool;
}

/// Linux, as far as it can be asked, and no oftener than it may be.
#[derive(Debug)]
pub(super) struct Linux {
    sockets: Option<Box<dyn LinuxSockets>>,
    questions: Bucket,
}

impl Linux {
    /// Of one that cannot be asked, and so has nothing.
    pub(super) fn unknown() -> Self {
        Linux { sockets: None, questions: Bucket::new(KERNEL_QUESTIONS_PER_SECOND) }
    }

    pub(super) fn ask(&mut self, sockets: Box<dyn LinuxSockets>) {
        self.sockets = Some(sockets);
    }

    /// Whether Linux has a connection; in doubt, it has.
    pub(super) fn has(&mut self, now: Instant, flow: &FlowKey) -> bool {
        match &mut self.sockets {
            None => false,
            Some(sockets) => !self.questions.take(now) || sockets.has(flow),
        }
    }
}
