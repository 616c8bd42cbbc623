//! Capture files (draft-ietf-opsawg-pcapng): an interface for each port, a comment on each packet.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use anyhow::{Result, bail};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::interface_statistics::{
    InterfaceStatisticsBlock, InterfaceStatisticsOption,
};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::{DataLink, Endianness};
use ringroad_engine::stage::monotonic;
use ringroad_engine::time::Instant;

use crate::unix_time;

/// Captures are no text: what a terminal makes of one is of no use to anybody.
pub(crate) fn refuse_terminal() -> Result<()> {
    if io::stdout().is_terminal() {
        bail!("standard output is a terminal; give --out FILE, or a pipe such as | tshark -r -");
    }
    Ok(())
}

/// A capture that grows in memory, and is taken from there piece by piece.
pub(crate) struct Pcapng {
    writer: PcapNgWriter<Vec<u8>>,
    /// When the engine's clock stood at zero, since 1970. Looked up once: later packets have later times, whatever
    /// is done to the clock of the wall.
    booted: Duration,
}

/// One packet of it.
#[derive(Debug)]
pub(crate) struct Packet<'a> {
    pub(crate) port: u32,
    pub(crate) at: Instant,
    /// As far as it was copied.
    pub(crate) octets: &'a [u8],
    /// Of the whole [octets].
    pub(crate) original_len: u32,
    pub(crate) direction: Direction,
    pub(crate) comment: String,
}

/// As the flags of a packet have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Inbound = 1,
    Outbound = 2,
}

impl Pcapng {
    /// Of packets at these ports, of each of which so much is kept [octets].
    pub(crate) fn new(ports: &[String], snaplen: u32) -> Result<Self> {
        // The crate writes the two halves of a statistics block's time as one integer: in this order
        // they stand as they have to.
        let section = SectionHeaderBlock {
            endianness: Endianness::Big,
            options: vec![SectionHeaderOption::UserApplication(APPLICATION.into())],
            ..SectionHeaderBlock::default()
        };
        let mut writer = PcapNgWriter::with_section_header(Vec::new(), section)?;
        for port in ports {
            writer.write_pcapng_block(InterfaceDescriptionBlock {
                linktype: DataLink::ETHERNET,
                snaplen,
                options: vec![
                    InterfaceDescriptionOption::IfName(Cow::Borrowed(port)),
                    InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
                ],
            })?;
        }
        let up = Duration::from_nanos(monotonic().as_nanos());
        let booted = unix_time::now().saturating_sub(up);
        Ok(Pcapng { writer, booted })
    }

    pub(crate) fn add(&mut self, packet: Packet<'_>) -> Result<()> {
        self.writer.write_pcapng_block(EnhancedPacketBlock {
            interface_id: packet.port,
            timestamp: self.at_the_wall(packet.at),
            original_len: packet.original_len,
            data: Cow::Borrowed(packet.octets),
            options: vec![
                EnhancedPacketOption::Comment(packet.comment.into()),
                EnhancedPacketOption::Flags(packet.direction as u32),
            ],
        })?;
        Ok(())
    }

    /// Says at the end how many packets a port had that were wanted, and how many of them were lost.
    pub(crate) fn conclude(&mut self, port: u32, wanted: u64, lost: u64) -> Result<()> {
        self.writer.write_pcapng_block(InterfaceStatisticsBlock {
            interface_id: port,
            timestamp: self.at_the_wall(monotonic()).as_nanos() as u64,
            options: vec![
                InterfaceStatisticsOption::IsbIfDrop(lost),
                InterfaceStatisticsOption::IsbFilterAccept(wanted),
            ],
        })?;
        Ok(())
    }

    /// What has been added since it was asked last.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.writer.get_mut())
    }

    /// What [`Pcapng::take`] would give [octets].
    pub(crate) fn len(&self) -> usize {
        self.writer.get_ref().len()
    }

    fn at_the_wall(&self, at: Instant) -> Duration {
        self.booted + Duration::from_nanos(at.as_nanos())
    }
}

impl fmt::Debug for Pcapng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pcapng").field("octets", &self.len()).finish_non_exhaustive()
    }
}

const APPLICATION: &str = concat!("ringroad ", env!("CARGO_PKG_VERSION"));

/// The unit of timestamps, as a negative power of ten.
const NANOSECONDS: u8 = 9;
