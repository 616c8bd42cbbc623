//! TCP headers (RFC 9293 §3.1) as values: parsed once, infallible after.
//!
//! How options are read and written is in [`options`]. The checksum is verified by
//! [`crate::wire::packet`], where the addresses that it covers are known.

mod options;
pub mod seq;

pub use seq::SeqNum;

use super::Malformed;
use super::checksum;

/// A header without options [octets].
pub const HEADER_LEN_MIN: usize = 20;

/// A header with all options that the data offset allows [octets].
pub const HEADER_LEN_MAX: usize = 60;

/// Where the checksum stands within the header [octets].
pub const CHECKSUM_OFFSET: usize = 16;

/// A TCP header. Parsed by [`TcpHeader::parse`], written by [`TcpHeader::emit`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpHeader {
    pub source_port: u16,
    pub destination_port: u16,
    pub sequence: SeqNum,
    /// Meaningful only with [`Flags::ACK`].
    pub acknowledgment: SeqNum,
    pub flags: Flags,
    /// As on the wire, before scaling [octets or scaled units].
    pub window: u16,
    pub options: TcpOptions,
}

impl TcpHeader {
    /// Reads the header at the start of `segment`, and tells its length, options included
    /// [octets].
    ///
    /// What is wrong with options is tolerated as Linux tolerates it: a length that cannot be ends
    /// the reading and what was read before it holds; a known option with an unknown length is
    /// skipped. No option can reach past the data offset.
    ///
    /// # Errors
    /// [`Malformed::TcpTruncated`] and [`Malformed::TcpDataOffset`].
    #[inline]
    pub fn parse(segment: &[u8]) -> Result<(TcpHeader, usize), Malformed> {
        let mut header = TcpHeader::default();
        let length = header.read(segment)?;
        Ok((header, length))
    }

    /// [`TcpHeader::parse`] into a header that is still all default.
    #[inline]
    pub(super) fn read(&mut self, segment: &[u8]) -> Result<usize, Malformed> {
        let (fixed, behind) =
            segment.split_first_chunk::<HEADER_LEN_MIN>().ok_or(Malformed::TcpTruncated)?;
        let length = usize::from(fixed[12] >> 4) * 4;
        let options_len = length.checked_sub(HEADER_LEN_MIN).ok_or(Malformed::TcpDataOffset)?;
        let options = behind.get(..options_len).ok_or(Malformed::TcpDataOffset)?;
        self.source_port = u16::from_be_bytes([fixed[0], fixed[1]]);
        self.destination_port = u16::from_be_bytes([fixed[2], fixed[3]]);
        self.sequence = SeqNum(u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]));
        self.acknowledgment =
            SeqNum(u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]));
        self.flags = Flags(fixed[13]);
        self.window = u16::from_be_bytes([fixed[14], fixed[15]]);
        self.options.read_list(options);
        Ok(length)
    }

    /// Length of the header that [`TcpHeader::emit`] writes [octets]: a multiple of 4.
    #[inline]
    pub fn header_len(&self) -> usize {
        HEADER_LEN_MIN + self.options.len()
    }

    /// Writes the header into `out`, which is [`TcpHeader::header_len`] octets long. The checksum
    /// and urgent pointer are zero.
    ///
    /// # Panics
    /// If `out` has another length.
    #[inline]
    pub fn emit(&self, out: &mut [u8]) {
        assert_eq!(out.len(), self.header_len(), "room for a TCP header of another length");
        let data_offset = (out.len() / 4) as u8;
        let Some((fixed, options)) = out.split_first_chunk_mut::<HEADER_LEN_MIN>() else {
            return; // header_len() is never less.
        };
        fixed[0..2].copy_from_slice(&self.source_port.to_be_bytes());
        fixed[2..4].copy_from_slice(&self.destination_port.to_be_bytes());
        fixed[4..8].copy_from_slice(&self.sequence.0.to_be_bytes());
        fixed[8..12].copy_from_slice(&self.acknowledgment.0.to_be_bytes());
        fixed[12] = data_offset << 4;
        fixed[13] = self.flags.0;
        fixed[14..16].copy_from_slice(&self.window.to_be_bytes());
        fixed[16..20].fill(0);
        self.options.emit(options);
    }
}

/// Completes the header that [`TcpHeader::emit`] wrote by its checksum.
///
/// `pseudo_header` is the sum from [`checksum::pseudo_header_v4`] or `_v6`, without the length;
/// `payload_sum` is the sum over the `payload_len` octets that follow the header.
///
/// # Panics
/// If `header` is shorter than a TCP header.
#[inline]
pub fn fill_in_checksum(
    header: &mut [u8],
    pseudo_header: u16,
    payload_sum: u16,
    payload_len: usize,
) {
    set_checksum(header, 0);
    let pseudo_header = checksum::with_length(pseudo_header, header.len() + payload_len);
    let sum = checksum::combine(checksum::sum(header), payload_sum);
    set_checksum(header, checksum::finish(checksum::combine(pseudo_header, sum)));
}

/// Writes the checksum field of a header.
///
/// # Panics
/// If `header` is shorter than a TCP header.
#[inline]
pub fn set_checksum(header: &mut [u8], checksum: u16) {
    header[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 2].copy_from_slice(&checksum.to_be_bytes());
}

/// The control bits (RFC 9293 §3.1, RFC 3168 for ECE and CWR), as one octet.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    pub const FIN: Flags = Flags(0x01);
    pub const SYN: Flags = Flags(0x02);
    pub const RST: Flags = Flags(0x04);
    pub const PSH: Flags = Flags(0x08);
    pub const ACK: Flags = Flags(0x10);
    pub const URG: Flags = Flags(0x20);
    pub const ECE: Flags = Flags(0x40);
    pub const CWR: Flags = Flags(0x80);

    /// Whether all of `other`'s bits are set.
    #[inline]
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    #[inline]
    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Refuses combinations that no TCP sends and that only probe for how it is answered: those
    /// that Linux's connection tracking calls invalid, except that URG is never held against a
    /// segment.
    ///
    /// # Errors
    /// The `TcpFlags…` reasons of [`Malformed`].
    #[inline]
    pub const fn check(self) -> Result<(), Malformed> {
        const DECISIVE: u8 = Flags::FIN.0 | Flags::SYN.0 | Flags::RST.0 | Flags::ACK.0;
        const ACK: u8 = Flags::ACK.0;
        const SYN: u8 = Flags::SYN.0;
        const RST: u8 = Flags::RST.0;
        const FIN: u8 = Flags::FIN.0;
        const SYN_ACK: u8 = SYN | ACK;
        const RST_ACK: u8 = RST | ACK;
        const FIN_ACK: u8 = FIN | ACK;
        match self.0 & DECISIVE {
            ACK | SYN | SYN_ACK | FIN_ACK | RST | RST_ACK => Ok(()),
            0 => Err(Malformed::TcpFlagsNone),
            FIN => Err(Malformed::TcpFlagsFinWithoutAck),
            _ if self.contains(Flags::SYN.with(Flags::FIN)) => Err(Malformed::TcpFlagsSynFin),
            _ if self.contains(Flags::SYN.with(Flags::RST)) => Err(Malformed::TcpFlagsSynRst),
            _ => Err(Malformed::TcpFlagsFinRst),
        }
    }
}

/// The options that we understand; all others are skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpOptions {
    /// Maximum segment size (RFC 9293 §3.7.1) [octets]. One of zero counts as not sent.
    pub mss: Option<u16>,
    /// Window scale shift (RFC 7323 §2), as sent: the receiver clamps it to 14.
    pub window_scale: Option<u8>,
    /// RFC 2018 §2.
    pub sack_permitted: bool,
    pub timestamps: Option<Timestamps>,
    pub fast_open: Option<FastOpen>,
    pub sack: SackBlocks,
}

/// RFC 7413 §2 and §4.1.1, in a SYN or SYN-ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FastOpen {
    /// Asks for a cookie; or brings one of another length than ours have, which is worth as much.
    Wanted,
    Cookie([u8; 8]),
}

/// RFC 7323 §3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timestamps {
    pub value: u32,
    pub echo_reply: u32,
}

/// Up to four SACK blocks (RFC 2018 §3), in the order of the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SackBlocks {
    pub blocks: [SackBlock; 4],
    pub len: u8,
}

/// Octets `[left, right)` that have arrived beyond the cumulative acknowledgment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SackBlock {
    pub left: SeqNum,
    pub right: SeqNum,
}

impl SackBlocks {
    pub fn iter(&self) -> impl Iterator<Item = SackBlock> + '_ {
        self.blocks.iter().take(usize::from(self.len)).copied()
    }

    /// Adds a block; ignored when there are four already.
    pub fn push(&mut self, block: SackBlock) {
        if let Some(slot) = self.blocks.get_mut(usize::from(self.len)) {
            *slot = block;
            self.len += 1;
        }
    }
}

impl std::fmt::Debug for Flags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const NAMES: [&str; 8] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
        let set: Vec<_> =
            (0..8).filter(|bit| self.0 >> bit & 1 == 1).map(|bit| NAMES[bit]).collect();
        write!(f, "{}", set.join("|"))
    }
}

#[cfg(test)]
mod tests;
