//! A device in memory, for simulations and tests.
//!
//! A [`SimPort`] behaves as a NIC does where that matters to the engine: it needs free frames to
//! receive into and loses packets without; its rings are bounded; what is sent leaves at a flush;
//! and frames stay with it until they are completed, which may take as long as a test wants.
//! The other end of its cable is another port ([`SimPort::linked`]) or a [`SimPeer`] that deals
//! in plain bytes ([`SimPort::with_peer`]). There is no time in it: to delay, lose or reorder, put
//! [`super::impair`] around it.
//!
//! Packets on the cable are kept in buffers that are used again, so that in the long run nothing
//! is allocated per packet. A mutex joins the two ends; both belong to the same thread in a
//! simulation, where it is never waited for.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Port, PortStats};
use crate::frame::{Burst, FramePool};
use crate::limits::{BURST, DEVICE_RESERVE, PACKET_MIN, SIM_SPARE_BUFFERS};

/// How a simulated device behaves.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Packets that wait to be received; more are lost [packets].
    pub rx_entries: usize,
    /// Frames that are with the device to be sent, until completed [frames].
    pub tx_entries: usize,
    /// Longest packet that it sends; longer ones are dropped [octets].
    pub packet_max: usize,
    pub completion: Completion,
    /// Free frames that the pool keeps for it to receive into, from its first turn on: see
    /// [`FramePool::is_scarce`] [frames].
    pub reserve: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            rx_entries: 2048,
            tx_entries: 2048,
            packet_max: 1514,
            completion: Completion::AfterFlushes(0),
            reserve: DEVICE_RESERVE,
        }
    }
}

/// When a frame that was sent comes home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// This many flushes after the one that sent it.
    AfterFlushes(u64),
    /// When [`SimPeer::complete`] says so.
    OnRequest,
}

/// One queue pair of a simulated device.
#[derive(Debug)]
pub struct SimPort {
    end: End,
    settings: Settings,
    /// Taken but not flushed.
    queued: VecDeque<Sending>,
    /// Sent but not completed.
    on_the_way: VecDeque<Sending>,
    flushes: u64,
    open: bool,
    /// What was reserved with the pool [frames].
    reserved: Option<usize>,
    received: u64,
    sent: u64,
    rx_dropped: u64,
    tx_dropped: u64,
}

/// A frame that the device holds to send.
#[derive(Debug)]
struct Sending {
    /// Where the pool keeps it [octets].
    offset: u64,
    len: usize,
    /// The flush that sent it.
    flush: u64,
}

impl SimPort {
    /// A port and the bytes' end of its cable.
    pub fn with_peer(settings: Settings) -> (SimPort, SimPeer) {
        let cable = Cable::new([settings.rx_entries, usize::MAX]);
        let port = SimPort::new(End { cable: Arc::clone(&cable), side: 0 }, settings);
        (port, SimPeer { end: End { cable, side: 1 } })
    }

    /// Two ports on one cable.
    pub fn linked(one: Settings, other: Settings) -> (SimPort, SimPort) {
        let cable = Cable::new([one.rx_entries, other.rx_entries]);
        let port = SimPort::new(End { cable: Arc::clone(&cable), side: 0 }, one);
        (port, SimPort::new(End { cable, side: 1 }, other))
    }

    fn new(end: End, settings: Settings) -> Self {
        SimPort {
            end,
            settings,
            queued: VecDeque::with_capacity(settings.tx_entries),
            on_the_way: VecDeque::with_capacity(settings.tx_entries),
            flushes: 0,
            open: true,
            reserved: None,
            received: 0,
            sent: 0,
            rx_dropped: 0,
            tx_dropped: 0,
        }
    }

    /// Frames that the device holds, to be sent or completed [frames].
    pub fn sending(&self) -> usize {
        self.queued.len() + self.on_the_way.len()
    }
}

impl Port for SimPort {
    fn rx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        if !self.open {
            return;
        }
        if self.reserved.is_none() {
            pool.add_device_reserve(self.settings.reserve);
            self.reserved = Some(self.settings.reserve);
        }
        let mut cable = self.end.cable();
        for _ in burst.len()..BURST {
            let Some(packet) = cable.towards[self.end.side].packets.pop_front() else { break };
            // What a device does: it writes the packet into a free frame, if it has one.
            if let Some(mut frame) = pool.alloc() {
                let written = match pool.push_back(&mut frame, packet.len()) {
                    Some(bytes) => {
                        bytes.copy_from_slice(&packet);
                        burst.push(frame)
                    }
                    None => Err(frame),
                };
                match written {
                    Ok(()) => self.received += 1,
                    Err(frame) => {
                        self.rx_dropped += 1;
                        pool.free(frame);
                    }
                }
            } else {
                self.rx_dropped += 1;
            }
            cable.recycle(packet);
        }
    }

    fn waiting(&self) -> usize {
        self.end.cable().towards[self.end.side].packets.len()
    }

    fn tx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        if !self.open {
            return;
        }
        let room = self.settings.tx_entries.saturating_sub(self.sending());
        for frame in burst.drain().take(room) {
            self.sent += 1;
            let len = frame.len();
            if (PACKET_MIN..=self.settings.packet_max).contains(&len) {
                let offset = pool.give_to_device(frame);
                self.queued.push_back(Sending { offset, len, flush: 0 });
            } else {
                self.tx_dropped += 1;
                pool.free(frame);
            }
        }
    }

    fn flush(&mut self, pool: &mut FramePool) {
        if !self.open {
            return;
        }
        let mut cable = self.end.cable();
        while let Some(mut sending) = self.queued.pop_front() {
            cable.carry(self.end.other(), pool.device_bytes(sending.offset, sending.len));
            sending.flush = self.flushes;
            self.on_the_way.push_back(sending);
        }
        let mut requested = std::mem::take(&mut cable.complete[self.end.side]);
        drop(cable);
        while let Some(first) = self.on_the_way.front() {
            match self.settings.completion {
                Completion::AfterFlushes(flushes) if first.flush + flushes <= self.flushes => {}
                Completion::OnRequest if requested > 0 => requested -= 1,
                Completion::AfterFlushes(_) | Completion::OnRequest => break,
            }
            let frame = pool.take_from_device(first.offset, first.len);
            self.on_the_way.pop_front();
            if let Some(frame) = frame {
                pool.free(frame);
            }
        }
        self.flushes += 1;
    }

    fn close(&mut self, pool: &mut FramePool) {
        self.open = false;
        if let Some(reserved) = self.reserved.take() {
            pool.remove_device_reserve(reserved);
        }
        for sending in self.queued.drain(..).chain(self.on_the_way.drain(..)) {
            if let Some(frame) = pool.take_from_device(sending.offset, sending.len) {
                pool.free(frame);
            }
        }
    }

    fn stats(&self) -> PortStats {
        PortStats {
            received: self.received,
            sent: self.sent,
            rx_dropped: self.rx_dropped + self.end.cable().towards[self.end.side].lost,
            rx_checksum_errors: 0,
            tx_dropped: self.tx_dropped,
        }
    }
}

/// The end of a cable where packets are plain bytes: a test's, or a simulated host's.
#[derive(Debug)]
pub struct SimPeer {
    end: End,
}

impl SimPeer {
    /// Sends a packet to the port; lost, and counted there, if its ring is full.
    pub fn send(&mut self, packet: &[u8]) {
        self.end.cable().carry(self.end.other(), packet);
    }

    /// The next packet that the port has sent.
    pub fn receive(&mut self) -> Option<Vec<u8>> {
        self.end.cable().towards[self.end.side].packets.pop_front()
    }

    /// Gives the buffer of a received packet back to be used again; otherwise it is just freed.
    pub fn recycle(&mut self, packet: Vec<u8>) {
        self.end.cable().recycle(packet);
    }

    /// Packets that the port has sent and nobody has taken yet.
    pub fn waiting(&self) -> usize {
        self.end.cable().towards[self.end.side].packets.len()
    }

    /// Has the port complete up to `frames` more at its next flush, oldest first, if it waits to
    /// be asked ([`Completion::OnRequest`]).
    pub fn complete(&mut self, frames: usize) {
        let other = self.end.other();
        self.end.cable().complete[other] += frames;
    }
}

#[derive(Debug)]
struct End {
    cable: Arc<Mutex<Cable>>,
    /// Which end this is, 0 or 1.
    side: usize,
}

impl End {
    fn other(&self) -> usize {
        1 - self.side
    }

    fn cable(&self) -> MutexGuard<'_, Cable> {
        self.cable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Cable {
    towards: [Queue; 2],
    /// Completions asked of the port at each end.
    complete: [usize; 2],
    /// Buffers to be used again.
    spare: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Queue {
    packets: VecDeque<Vec<u8>>,
    limit: usize,
    /// Packets that found it full.
    lost: u64,
}

impl Cable {
    fn new(limits: [usize; 2]) -> Arc<Mutex<Self>> {
        let towards = limits.map(|limit| Queue { packets: VecDeque::new(), limit, lost: 0 });
        Arc::new(Mutex::new(Cable { towards, complete: [0; 2], spare: Vec::new() }))
    }

    fn carry(&mut self, side: usize, packet: &[u8]) {
        let queue = &mut self.towards[side];
        if queue.packets.len() >= queue.limit {
            queue.lost += 1;
            return;
        }
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.extend_from_slice(packet);
        queue.packets.push_back(buffer);
    }

    fn recycle(&mut self, mut packet: Vec<u8>) {
        if self.spare.len() < SIM_SPARE_BUFFERS {
            packet.clear();
            self.spare.push(packet);
        }
    }
}

#[cfg(test)]
mod tests;
