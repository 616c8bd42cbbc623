//! Several queues of one device as one port: for a core that polls more than one.

use std::os::fd::{AsFd as _, BorrowedFd};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use super::{Port, PortStats};
use crate::frame::{Burst, FramePool};
use crate::time::Instant;

/// Receives by all its queues, and sends by the first.
#[derive(Debug)]
pub struct Queues<P> {
    queues: Vec<P>,
    /// Looked at first in the next turn, so that no queue starves the others.
    next: usize,
    /// Readable when any queue is; `None` if there is but one, or not all can be slept on.
    any: Option<Epoll>,
}

impl<P: Port> Queues<P> {
    /// # Panics
    /// If there is none.
    pub fn new(queues: Vec<P>) -> Self {
        assert!(!queues.is_empty(), "a port of no queues");
        let any = if queues.len() > 1 { watch(&queues) } else { None };
        Queues { queues, next: 0, any }
    }

    pub fn queues(&self) -> &[P] {
        &self.queues
    }
}

impl<P: Port> Port for Queues<P> {
    fn set_now(&mut self, now: Instant) {
        self.queues.iter_mut().for_each(|queue| queue.set_now(now));
    }

    #[inline]
    fn rx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        for _ in 0..self.queues.len() {
            if burst.is_full() {
                return;
            }
            let queue = self.next;
            self.next = if queue + 1 == self.queues.len() { 0 } else { queue + 1 };
            self.queues[queue].rx_burst(pool, burst);
        }
    }

    #[inline]
    fn waiting(&self) -> usize {
        self.queues.iter().map(Port::waiting).sum()
    }

    #[inline]
    fn tx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        self.queues[0].tx_burst(pool, burst);
    }

    #[inline]
    fn flush(&mut self, pool: &mut FramePool) {
        self.queues.iter_mut().for_each(|queue| queue.flush(pool));
    }

    fn close(&mut self, pool: &mut FramePool) {
        self.any = None;
        self.queues.iter_mut().for_each(|queue| queue.close(pool));
    }

    fn stats(&self) -> PortStats {
        self.queues.iter().map(Port::stats).fold(PortStats::default(), |all, one| PortStats {
            received: all.received + one.received,
            sent: all.sent + one.sent,
            rx_dropped: all.rx_dropped + one.rx_dropped,
            rx_checksum_errors: all.rx_checksum_errors + one.rx_checksum_errors,
            tx_dropped: all.tx_dropped + one.tx_dropped,
        })
    }

    fn wait_fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.queues[..] {
            [queue] => queue.wait_fd(),
            _ => self.any.as_ref().map(|any| any.0.as_fd()),
        }
    }

    fn verifies_checksums(&self) -> bool {
        self.queues.iter().all(Port::verifies_checksums)
    }
}

/// A descriptor that is readable whenever one of the queues' is. Without it the lane does not
/// sleep but naps, so that a kernel which refuses it costs no packet.
fn watch<P: Port>(queues: &[P]) -> Option<Epoll> {
    let any = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).ok()?;
    for queue in queues {
        any.add(queue.wait_fd()?, EpollEvent::new(EpollFlags::EPOLLIN, 0)).ok()?;
    }
    Some(any)
}

#[cfg(test)]
mod tests;
