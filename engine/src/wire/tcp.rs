//! TCP headers (RFC 9293 §3.1) as values: parsed once, infallible after.

pub mod seq;

pub use seq::SeqNum;

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
}

/// The options that we understand; all others are skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpOptions {
    /// Maximum segment size (RFC 9293 §3.7.1) [octets].
    pub mss: Option<u16>,
    /// Window scale shift (RFC 7323 §2), as sent: the receiver clamps it to 14.
    pub window_scale: Option<u8>,
    /// RFC 2018 §2.
    pub sack_permitted: bool,
    pub timestamps: Option<Timestamps>,
    pub sack: SackBlocks,
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
