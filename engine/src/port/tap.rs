//! A port's interface in Linux, where Linux does not see the NIC: a TAP device.
//!
//! Linux has addresses, routes and neighbours on it, answers ARP and ICMP by it, and listens on it,
//! as if it were the NIC. What is written to the [`Tap`] arrives there; what Linux sends by it is
//! read. Each packet costs a system call, and its bytes are copied; so this is for what is Linux's,
//! not for what the engine does all day. Checksums are complete either way, and no packet is longer
//! than the interface's MTU.
//!
//! An interface of the operator's (`ip tuntap add dev NAME mode tap`) is joined, keeps its
//! settings, and stays. One that is not there is made, and goes with the [`Tap`]. `device.rs` makes
//! the calls.
//!
//! Of several lanes each writes by a [`Tap`] of its own ([`Tap::for_writing`]), and the first alone reads: so
//! what Linux sends keeps its order, and an operator's interface need not have several queues.

mod device;
mod error;

use std::fs::File;
use std::io::{self, IoSliceMut, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};

pub use error::OpenError;

use super::{Port, PortStats};
use crate::frame::{Burst, Frame, FramePool};
use crate::limits::BURST;
use crate::wire::ethernet::MacAddr;

/// How an interface in Linux is to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub interface: String,
    /// Of the port that it stands for. Set in any case: neighbours know the port by it.
    pub mac: MacAddr,
    /// Longest IP packet [octets]. Set only on an interface that we make; `None` leaves it at what
    /// Linux gives it.
    pub mtu: Option<u16>,
}

/// A TAP device; see the module.
#[derive(Debug)]
pub struct Tap {
    /// `None` once closed, or removed from Linux.
    device: Option<File>,
    interface: String,
    was_made: bool,
    reads: Reads,
    received: u64,
    sent: u64,
    rx_dropped: u64,
    tx_dropped: u64,
}

impl Tap {
    /// Joins the TAP device of that name, or makes one, which goes with the value, and brings it
    /// up.
    pub fn open(settings: &Settings) -> Result<Tap, OpenError> {
        let (device, was_made) = device::open(&settings.interface)?;
        let refused = |step| {
            let interface = settings.interface.clone();
            move |source| OpenError::from_step(interface, step, source)
        };
        device::set_mac(&device, settings.mac).map_err(refused("set its MAC address"))?;
        if was_made {
            if let Some(mtu) = settings.mtu {
                device::set_mtu(&settings.interface, mtu).map_err(refused("set its MTU"))?;
            }
            device::bring_up(&settings.interface).map_err(refused("bring it up"))?;
        }
        Ok(Self::over(device, &settings.interface, was_made, Reads::Yes))
    }

    /// Another way into the same interface, for another lane: nothing comes out by it. An interface that
    /// was made stays until the last of them is closed.
    pub fn for_writing(&self) -> io::Result<Tap> {
        match &self.device {
            Some(device) => {
                let device = device.try_clone()?;
                Ok(Self::over(device, &self.interface, self.was_made, Reads::No))
            }
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn over(device: File, interface: &str, was_made: bool, reads: Reads) -> Tap {
        Tap {
            device: Some(device),
            interface: interface.to_owned(),
            was_made,
            reads,
            received: 0,
            sent: 0,
            rx_dropped: 0,
            tx_dropped: 0,
        }
    }

    /// Whether there was no interface of that name.
    pub fn was_made(&self) -> bool {
        self.was_made
    }

    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// For whoever watches the wire while the lane has the port. An interface that was made stays
    /// until this is dropped, too.
    pub fn carrier(&self) -> io::Result<Carrier> {
        match &self.device {
            Some(device) => Ok(Carrier { device: device.try_clone()? }),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// The operator has removed the interface. Its descriptor would wake the lane for ever.
    fn lose(&mut self) {
        tracing::error!(
            "{}: the interface was removed from Linux, which gets nothing of the port any more; \
             make it again and restart the engine",
            self.interface
        );
        self.device = None;
    }
}

/// Whether what Linux sends is a [`Tap`]'s to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    Yes,
    No,
}

/// Whether Linux takes an interface's wire for connected.
#[derive(Debug)]
pub struct Carrier {
    device: File,
}

impl Carrier {
    /// Tells Linux whether the wire has a link; its routes follow.
    pub fn set(&self, up: bool) -> io::Result<()> {
        device::set_carrier(&self.device, up)
    }
}

impl Port for Tap {
    fn rx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        let Some(device) = &self.device else { return };
        if self.reads == Reads::No {
            return;
        }
        for _ in burst.len()..BURST {
            // Without a frame it waits in the interface's queue, which Linux bounds.
            let Some(mut frame) = pool.alloc() else { break };
            match read(device, pool, &mut frame) {
                Ok(Whole::Yes) => {
                    self.received += 1;
                    if let Err(frame) = burst.push(frame) {
                        debug_assert!(false, "no more than the burst has room for");
                        pool.free(frame);
                    }
                }
                Ok(Whole::No) => {
                    self.rx_dropped += 1;
                    pool.free(frame);
                }
                Err(error) => {
                    pool.free(frame);
                    // Else there is nothing more to read.
                    if error.raw_os_error() == Some(libc::EBADFD) {
                        self.lose();
                    }
                    break;
                }
            }
        }
    }

    fn tx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        let Some(mut device) = self.device.as_ref() else { return };
        for frame in burst.drain() {
            self.sent += 1;
            // The interface is down, or has no memory for more: Linux says so at once.
            if device.write(pool.bytes(&frame)).is_err() {
                self.tx_dropped += 1;
            }
            pool.free(frame);
        }
    }

    fn flush(&mut self, _pool: &mut FramePool) {}

    /// Between two calls no frame is held.
    fn close(&mut self, _pool: &mut FramePool) {
        self.device = None;
    }

    fn stats(&self) -> PortStats {
        PortStats {
            received: self.received,
            sent: self.sent,
            rx_dropped: self.rx_dropped,
            rx_checksum_errors: 0,
            tx_dropped: self.tx_dropped,
        }
    }

    fn wait_fd(&self) -> Option<BorrowedFd<'_>> {
        let device = self.device.as_ref().filter(|_| self.reads == Reads::Yes);
        device.map(|device| device.as_fd())
    }
}

/// Whether a packet fitted into the frame that it was read into.
enum Whole {
    Yes,
    No,
}

/// Reads one packet into an empty frame.
fn read(mut device: &File, pool: &mut FramePool, frame: &mut Frame) -> io::Result<Whole> {
    let room = pool.room_behind(frame);
    let bytes = pool.push_back(frame, room).unwrap_or_default();
    // What does not fit is cut off without a word. An octet here tells.
    let mut beyond = [0];
    let read = device.read_vectored(&mut [IoSliceMut::new(bytes), IoSliceMut::new(&mut beyond)])?;
    frame.truncate(read);
    Ok(if read > room { Whole::No } else { Whole::Yes })
}

#[cfg(test)]
mod tests;
