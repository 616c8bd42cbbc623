//! Packets to and from capture files, as tcpdump and Wireshark read them.
//!
//! [`Recorder`] is a port around another that writes down what passes; [`Replay`] is a port whose
//! packets come from a file. Neither reads a clock: both go by [`Port::set_now`]. Trouble with a
//! file ends the recording or the replay with one line in the log, and never touches the traffic.

use std::io::{BufReader, BufWriter, Read, Write};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use pcap_file::pcap::{PcapHeader, PcapPacket, PcapReader, PcapWriter};
use pcap_file::{DataLink, PcapError, TsResolution};

use super::{Port, PortStats};
use crate::frame::{Burst, FramePool};
use crate::limits::{BURST, FRAME_SIZE_MAX};
use crate::time::Instant;

/// Records what a port receives, and what it accepts to send.
#[derive(Debug)]
pub struct Recorder<P, W: Write> {
    inner: P,
    /// `None` once the recording has ended.
    file: Option<PcapWriter<BufWriter<W>>>,
    /// Octets that may still be written.
    octets_left: u64,
    /// Unix time at [`Instant::ZERO`].
    epoch: Duration,
    now: Instant,
    /// Packets about to be sent, one after another: once the device has accepted them, their
    /// frames are no longer ours to read.
    sending: Vec<u8>,
    recorded: u64,
}

/// What a packet costs in the file besides its bytes [octets].
const PACKET_HEADER: u64 = 16;

impl<P: Port, W: Write> Recorder<P, W> {
    /// Records `inner` to `file`, up to `octets_max` in all. `epoch` is the Unix time at
    /// [`Instant::ZERO`], so that the file shows the time of day.
    pub fn new(inner: P, file: W, octets_max: u64, epoch: Duration) -> Result<Self, PcapError> {
        let header = PcapHeader {
            snaplen: FRAME_SIZE_MAX as u32,
            datalink: DataLink::ETHERNET,
            ts_resolution: TsResolution::NanoSecond,
            ..PcapHeader::default()
        };
        Ok(Recorder {
            inner,
            file: Some(PcapWriter::with_header(BufWriter::new(file), header)?),
            octets_left: octets_max,
            epoch,
            now: Instant::ZERO,
            sending: Vec::with_capacity(BURST * FRAME_SIZE_MAX),
            recorded: 0,
        })
    }

    /// Packets written so far.
    pub fn recorded(&self) -> u64 {
        self.recorded
    }

    /// Ends the recording and returns the port within.
    pub fn into_inner(mut self) -> P {
        self.finish();
        self.inner
    }

    fn write(&mut self, packet: &[u8]) {
        let Some(file) = &mut self.file else { return };
        let octets = PACKET_HEADER + packet.len() as u64;
        if octets > self.octets_left {
            tracing::info!(packets = self.recorded, "recording ended: it has the size asked for");
            return self.finish();
        }
        let time = self.epoch.saturating_add(self.now.since(Instant::ZERO));
        match file.write_packet(&PcapPacket::new(time, packet.len() as u32, packet)) {
            Ok(_) => {
                self.recorded += 1;
                self.octets_left -= octets;
            }
            Err(error) => {
                tracing::warn!(packets = self.recorded, cause = %why(error), "recording ended");
                self.file = None;
            }
        }
    }

    fn finish(&mut self) {
        if let Some(file) = self.file.take()
            && let Err(error) = file.into_writer().into_inner()
        {
            tracing::warn!(packets = self.recorded, cause = %error, "recording ended early");
        }
    }
}

impl<P: Port, W: Write> Port for Recorder<P, W> {
    fn set_now(&mut self, now: Instant) {
        self.now = now;
        self.inner.set_now(now);
    }

    fn rx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        let before = burst.len();
        self.inner.rx_burst(pool, burst);
        for frame in burst.iter().skip(before) {
            self.write(pool.bytes(frame));
        }
    }

    fn waiting(&self) -> usize {
        self.inner.waiting()
    }

    fn tx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        if self.file.is_none() {
            return self.inner.tx_burst(pool, burst);
        }
        let mut sending = std::mem::take(&mut self.sending);
        let mut lengths = [0; BURST];
        for (frame, len) in burst.iter().zip(&mut lengths) {
            sending.extend_from_slice(pool.bytes(frame));
            *len = frame.len();
        }
        let before = burst.len();
        self.inner.tx_burst(pool, burst);
        let mut at = 0;
        for len in lengths.into_iter().take(before - burst.len()) {
            self.write(&sending[at..at + len]);
            at += len;
        }
        sending.clear();
        self.sending = sending;
    }

    fn flush(&mut self, pool: &mut FramePool) {
        self.inner.flush(pool);
    }

    fn close(&mut self, pool: &mut FramePool) {
        self.inner.close(pool);
        self.finish();
    }

    fn stats(&self) -> PortStats {
        self.inner.stats()
    }

    fn wait_fd(&self) -> Option<BorrowedFd<'_>> {
        self.inner.wait_fd()
    }

    fn verifies_checksums(&self) -> bool {
        self.inner.verifies_checksums()
    }
}

/// When the packets of a file are received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As fast as they are taken.
    Unlimited,
    /// With the gaps they were recorded with, from the first turn on.
    Recorded,
}

/// A port that receives a capture file, and takes whatever is sent to nowhere.
#[derive(Debug)]
pub struct Replay<R: Read> {
    /// `None` once it has come to its end.
    file: Option<PcapReader<BufReader<R>>>,
    pace: Pace,
    now: Instant,
    /// The first packet's time in the file, and when it was due.
    start: Option<(Duration, Instant)>,
    /// The next packet and its time in the file; its buffer is used again.
    next: Vec<u8>,
    next_time: Option<Duration>,
    received: u64,
    sent: u64,
    rx_dropped: u64,
}

impl<R: Read> Replay<R> {
    pub fn new(file: R, pace: Pace) -> Result<Self, PcapError> {
        let file = PcapReader::new(BufReader::new(file))?;
        if file.header().datalink != DataLink::ETHERNET {
            return Err(PcapError::InvalidField("not a capture of Ethernet"));
        }
        Ok(Replay {
            file: Some(file),
            pace,
            now: Instant::ZERO,
            start: None,
            next: Vec::with_capacity(FRAME_SIZE_MAX),
            next_time: None,
            received: 0,
            sent: 0,
            rx_dropped: 0,
        })
    }

    /// Whether every packet has been received.
    pub fn is_done(&self) -> bool {
        self.file.is_none() && self.next_time.is_none()
    }

    /// Reads ahead by one packet, and says when it is due.
    fn next_due(&mut self) -> Option<Instant> {
        if self.next_time.is_none() {
            let file = self.file.as_mut()?;
            match file.next_packet() {
                Some(Ok(packet)) => {
                    self.next.clear();
                    self.next.extend_from_slice(&packet.data);
                    self.next_time = Some(packet.timestamp);
                }
                Some(Err(error)) => {
                    tracing::warn!(packets = self.received, cause = %why(error), "replay ended");
                    self.file = None;
                }
                None => self.file = None,
            }
        }
        let time = self.next_time?;
        let (first, due) = *self.start.get_or_insert((time, self.now));
        match self.pace {
            Pace::Unlimited => Some(Instant::ZERO),
            Pace::Recorded => Some(due + time.saturating_sub(first)),
        }
    }
}

impl<R: Read> Port for Replay<R> {
    fn set_now(&mut self, now: Instant) {
        self.now = now;
    }

    fn rx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        while !burst.is_full() && self.next_due().is_some_and(|due| due <= self.now) {
            // Without a frame the packet waits: a file is not lost for being read later.
            let Some(mut frame) = pool.alloc() else { break };
            self.next_time = None;
            let received = match pool.push_back(&mut frame, self.next.len()) {
                Some(bytes) => {
                    bytes.copy_from_slice(&self.next);
                    burst.push(frame)
                }
                None => Err(frame),
            };
            match received {
                Ok(()) => self.received += 1,
                Err(frame) => {
                    self.rx_dropped += 1;
                    pool.free(frame);
                }
            }
        }
    }

    fn tx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        for frame in burst.drain() {
            self.sent += 1;
            pool.free(frame);
        }
    }

    fn flush(&mut self, _pool: &mut FramePool) {}

    fn close(&mut self, _pool: &mut FramePool) {
        self.file = None;
        self.next_time = None;
    }

    fn stats(&self) -> PortStats {
        PortStats {
            received: self.received,
            sent: self.sent,
            rx_dropped: self.rx_dropped,
            rx_checksum_errors: 0,
            tx_dropped: 0,
        }
    }
}

/// The cause that the crate's error keeps inside.
fn why(error: PcapError) -> String {
    match error {
        PcapError::IoError(cause) => cause.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
