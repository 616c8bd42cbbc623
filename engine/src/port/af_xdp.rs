//! A NIC queue through AF_XDP: the kernel's driver, without its network stack.
//!
//! The packet memory is registered with the kernel once ([`Umem`]) and shared by the sockets of all
//! queues of all interfaces, so a frame that came in by one leaves by another uncopied, from
//! whatever start address its new headers gave it. Each is polled with the [`FramePool`] that
//! opened it: cores have pools of their own over that memory. Nothing here copies; whether the
//! kernel does is up to the driver ([`AfXdp::copying`]).
//!
//! A frame is with the device in one of two ways: in the fill ring (or the driver's hands) to be
//! received into, or in the transmit ring to be sent, until the completion ring brings it back.
//! [`custody`] keeps that record and believes nothing that contradicts it; [`rings`] moves the
//! entries; [`socket`] makes the calls. Start reading at the [`Port`] implementation below.
//!
//! The fill ring has the first call on free frames: it is topped up in every turn, before anybody
//! can allocate. What a socket needs of a program in the kernel (an XSKMAP entry for
//! [`AfXdp::fd`]) is the business of whoever loads that program.

mod custody;
mod error;
mod rings;
mod socket;
mod umem;

use std::os::fd::BorrowedFd;
use std::sync::Arc;

pub use error::OpenError;
pub use umem::{Umem, frame_size_for};

use self::custody::{Custody, Purpose};
use self::socket::{Socket, wait_until_released};
use super::{Port, PortStats};
use crate::frame::{Burst, FramePool};
use crate::limits::{BURST, DEVICE_RESERVE, KICKS_PER_FLUSH, PACKET_MIN};

/// How an AF_XDP port is to be opened.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For messages; [`Settings::ifindex`] is what counts.
    pub interface: String,
    pub ifindex: u32,
    /// Which of the interface's queues.
    pub queue: u32,
    pub mode: XdpMode,
    /// Size of the receive ring and of the fill ring [descriptors, a power of two].
    pub rx_entries: u32,
    /// Size of the transmit and completion rings [descriptors, a power of two].
    pub tx_entries: u32,
    /// Have our calls drive the device's polling instead of its interrupts, where the kernel can.
    pub busy_poll: Option<BusyPoll>,
}

impl Settings {
    /// Sensible settings for a queue of `interface`.
    pub fn new(interface: &str, ifindex: u32, queue: u32) -> Self {
        Settings {
            interface: interface.to_owned(),
            ifindex,
            queue,
            mode: XdpMode::Auto,
            rx_entries: 2048,
            tx_entries: 2048,
            busy_poll: None,
        }
    }
}

/// How packets are to get from the driver to us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum XdpMode {
    /// Zero-copy if the driver can, else copy.
    #[default]
    Auto,
    /// Zero-copy or nothing.
    ZeroCopy,
    /// The kernel copies, at the driver's hook.
    Copy,
    /// The kernel copies, behind its own packet buffers: for drivers without XDP. To a socket the
    /// same as [`XdpMode::Copy`]; it matters to how the program is attached.
    Generic,
}

/// Who moves the bytes between the NIC and our frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copying {
    /// The NIC itself.
    ZeroCopy,
    /// The kernel.
    Copy,
}

/// See `SO_BUSY_POLL` and `SO_BUSY_POLL_BUDGET` in socket(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusyPoll {
    /// How long one call may look for packets [µs].
    pub micros: u32,
    /// Packets handled per look.
    pub budget: u16,
}

/// One queue of one interface.
///
/// It has to be [closed](Port::close); one that is only dropped keeps its frames from the pool.
#[derive(Debug)]
pub struct AfXdp {
    /// `None` once closed.
    socket: Option<Socket>,
    umem: Arc<Umem>,
    custody: Custody,
    settings: Settings,
    copying: Copying,
    /// Something was queued that the kernel may not have been told of.
    unsent: bool,
    received: u64,
    sent: u64,
    /// Dropped here, not by the kernel: descriptors that make no sense, either way.
    rx_refused: u64,
    tx_refused: u64,
    /// What the kernel had counted when the socket was closed.
    last_kernel_counts: (u64, u64),
}

impl AfXdp {
    /// Opens a queue over the memory of `pool`, and gives it frames to receive into. Packets come
    /// once [`AfXdp::fd`] is in the XSKMAP of a program attached to the interface.
    ///
    /// # Panics
    /// If `umem` is not that of `pool`.
    pub fn open(
        pool: &mut FramePool,
        umem: &Arc<Umem>,
        settings: Settings,
    ) -> Result<Self, OpenError> {
        assert!(umem.is_of(pool), "the memory of another pool");
        let wanted = settings.rx_entries as usize;
        if pool.free_count() < wanted + DEVICE_RESERVE {
            return Err(OpenError::TooFewFrames {
                interface: settings.interface,
                free: pool.free_count(),
                wanted: wanted + DEVICE_RESERVE,
            });
        }
        let socket = Socket::open(umem, &settings)?;
        let mut port = AfXdp {
            copying: socket.copying,
            socket: Some(socket),
            umem: Arc::clone(umem),
            custody: Custody::new(umem.frames, umem.frame_size),
            settings,
            unsent: false,
            received: 0,
            sent: 0,
            rx_refused: 0,
            tx_refused: 0,
            last_kernel_counts: (0, 0),
        };
        pool.add_device_reserve(DEVICE_RESERVE);
        port.refill(pool);
        Ok(port)
    }

    /// The socket, for the XSKMAP. `None` once closed.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(Socket::as_fd)
    }

    /// Whether zero-copy or copying is in force.
    pub fn copying(&self) -> Copying {
        self.copying
    }

    /// Whether busy polling was asked for and the kernel agreed.
    pub fn busy_polling(&self) -> bool {
        self.socket.as_ref().is_some_and(|s| s.busy_polling)
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Frames that the device has to receive into [frames].
    pub fn fill_level(&self) -> usize {
        self.custody.receiving()
    }

    /// Tops the fill ring up from what is free.
    #[inline]
    fn refill(&mut self, pool: &mut FramePool) {
        let Some(socket) = &mut self.socket else { return };
        // The ring has room for all that the device may have, wherever it has them.
        let missing = (self.settings.rx_entries as usize).saturating_sub(self.custody.receiving());
        if missing == 0 {
            return;
        }
        let mut room = socket.fill.room(missing as u32);
        while room > 0 {
            let Some(frame) = pool.alloc() else { break };
            match self.custody.give(pool, frame, Purpose::Receive) {
                Ok(address) => socket.fill.write(address),
                Err(frame) => {
                    // A free frame cannot be with a device.
                    debug_assert!(false, "frame {} was free and with the device", frame.index());
                    pool.free(frame);
                    break;
                }
            }
            room -= 1;
        }
        socket.fill.publish();
    }

    /// Brings home what was sent.
    #[inline]
    fn reclaim(&mut self, pool: &mut FramePool) {
        let Some(socket) = &mut self.socket else { return };
        let done = socket.completion.available(self.custody.sending() as u32);
        if done == 0 {
            return;
        }
        for _ in 0..done {
            let address = socket.completion.read();
            match self.custody.take(pool, address, 0, Purpose::Send) {
                Some(frame) => pool.free(frame),
                None => self.tx_refused += 1,
            }
        }
        socket.completion.release();
    }
}

impl Port for AfXdp {
    #[inline]
    fn rx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        debug_assert!(self.umem.is_of(pool));
        let Some(socket) = &mut self.socket else { return };
        let wanted = (BURST - burst.len()) as u32;
        let mut ready = socket.rx.available(wanted);
        if ready == 0 && socket.busy_polling {
            socket.kick_rx();
            ready = socket.rx.available(wanted);
        }
        if ready > 0 {
            for _ in 0..ready {
                let packet = socket.rx.read();
                match self.custody.take(pool, packet.addr, packet.len, Purpose::Receive) {
                    Some(frame) => match burst.push(frame) {
                        Ok(()) => self.received += 1,
                        Err(frame) => pool.free(frame),
                    },
                    None => self.rx_refused += 1,
                }
            }
            socket.rx.release();
        }
        self.refill(pool);
    }

    #[inline]
    fn waiting(&self) -> usize {
        self.socket.as_ref().map_or(0, |socket| socket.rx.unread() as usize)
    }

    #[inline]
    fn tx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        debug_assert!(self.umem.is_of(pool));
        let wanted = burst.len() as u32;
        if wanted == 0 {
            return;
        }
        // As many are out at most as the completion ring can bring home.
        let free_ends = |sending: usize, entries: u32| entries.saturating_sub(sending as u32);
        if free_ends(self.custody.sending(), self.settings.tx_entries) < wanted {
            self.reclaim(pool);
        }
        let free_ends = free_ends(self.custody.sending(), self.settings.tx_entries);
        let Some(socket) = &mut self.socket else { return };
        let room = socket.tx.room(wanted).min(free_ends);
        if room == 0 {
            return;
        }
        for frame in burst.drain().take(room as usize) {
            self.sent += 1;
            let len = frame.len();
            if len < PACKET_MIN {
                self.tx_refused += 1;
                pool.free(frame);
                continue;
            }
            match self.custody.give(pool, frame, Purpose::Send) {
                Ok(addr) => {
                    socket.tx.write(libc::xdp_desc { addr, len: len as u32, options: 0 });
                }
                Err(frame) => {
                    self.tx_refused += 1;
                    pool.free(frame);
                }
            }
        }
        socket.tx.publish();
        self.unsent = true;
    }

    #[inline]
    fn flush(&mut self, pool: &mut FramePool) {
        if let Some(socket) = &mut self.socket
            && self.unsent
        {
            self.unsent = false;
            // In copy mode nothing leaves without a call, and a call may leave some behind. A
            // zero-copy driver asks for one when it sleeps.
            if self.copying == Copying::Copy {
                let mut left = socket.tx.unconsumed();
                for _ in 0..KICKS_PER_FLUSH {
                    if left == 0 {
                        break;
                    }
                    socket.kick_tx();
                    let before = left;
                    left = socket.tx.unconsumed();
                    if left == before {
                        // The link is down or its queue full: again in the next turn.
                        break;
                    }
                }
                self.unsent = left > 0;
            } else {
                if socket.tx.needs_wakeup() {
                    socket.kick_tx();
                }
                // A driver may fall asleep just after we looked; so look again until it took all.
                self.unsent = socket.tx.unconsumed() > 0;
            }
        }
        if self.custody.sending() > 0 {
            self.reclaim(pool);
        }
        self.refill(pool);
        if let Some(socket) = &self.socket
            && socket.fill.needs_wakeup()
        {
            socket.kick_rx();
        }
    }

    fn close(&mut self, pool: &mut FramePool) {
        let Some(socket) = self.socket.take() else { return };
        let kernel = socket.statistics();
        self.last_kernel_counts = counts(&kernel);
        drop(socket);
        wait_until_released(&self.umem, self.settings.ifindex, self.settings.queue);
        self.custody.take_all(pool);
        pool.remove_device_reserve(DEVICE_RESERVE);
    }

    fn stats(&self) -> PortStats {
        let (rx_dropped, tx_dropped) =
            self.socket.as_ref().map_or(self.last_kernel_counts, |s| counts(&s.statistics()));
        PortStats {
            received: self.received,
            sent: self.sent,
            rx_dropped: rx_dropped + self.rx_refused,
            rx_checksum_errors: 0,
            tx_dropped: tx_dropped + self.tx_refused,
        }
    }

    fn wait_fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd()
    }
}

/// What the kernel dropped on the way in, and refused on the way out [packets].
fn counts(kernel: &libc::xdp_statistics) -> (u64, u64) {
    // An empty fill ring is not added: in copy mode the packet is among `rx_dropped` already.
    (kernel.rx_dropped + kernel.rx_ring_full, kernel.tx_invalid_descs)
}

#[cfg(test)]
mod tests;
