//! IPv4 headers (RFC 791 §3.1) as values.

use std::net::Ipv4Addr;

use super::Malformed;
use super::checksum;
use super::ip::{Dscp, Ecn, HOP_LIMIT};

/// A header without options: what we write [octets].
pub const HEADER_LEN: usize = 20;

/// "Don't fragment" in the field of flags and fragment offset.
const DONT_FRAGMENT: u16 = 0x4000;
/// "More fragments" and the fragment offset.
const FRAGMENT: u16 = 0x3fff;
/// The fragment offset alone.
const FRAGMENT_OFFSET: u16 = 0x1fff;

/// An IPv4 header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4Header {
    pub source: Ipv4Addr,
    pub destination: Ipv4Addr,
    pub protocol: u8,
    pub dscp: Dscp,
    pub ecn: Ecn,
    pub identification: u16,
    /// What follows the header [octets].
    pub payload_len: u16,
    /// Whether the packet is a part of another. Never so in what we write.
    pub is_fragment: bool,
}

impl Ipv4Header {
    /// Reads the header at the start of `packet`, which may be followed by padding, and tells its
    /// length, options included [octets]. Options are skipped.
    ///
    /// # Errors
    /// The `Ipv4…` reasons of [`Malformed`].
    #[inline]
    pub fn parse(packet: &[u8]) -> Result<(Ipv4Header, usize), Malformed> {
        let fixed = packet.first_chunk::<HEADER_LEN>().ok_or(Malformed::Ipv4Truncated)?;
        let length = header_len(fixed[0])?;
        let header = packet.get(..length).ok_or(Malformed::Ipv4Truncated)?;
        if checksum::sum(header) != 0xffff {
            return Err(Malformed::Ipv4HeaderChecksum);
        }
        let total_length = u16::from_be_bytes([fixed[2], fixed[3]]);
        let payload_len =
            total_length.checked_sub(length as u16).ok_or(Malformed::Ipv4TotalLength)?;
        if usize::from(total_length) > packet.len() {
            return Err(Malformed::Ipv4TotalLength);
        }
        let header = Ipv4Header {
            source: Ipv4Addr::new(fixed[12], fixed[13], fixed[14], fixed[15]),
            destination: Ipv4Addr::new(fixed[16], fixed[17], fixed[18], fixed[19]),
            protocol: fixed[9],
            dscp: Dscp::from_traffic_class(fixed[1]),
            ecn: Ecn::from_traffic_class(fixed[1]),
            identification: u16::from_be_bytes([fixed[4], fixed[5]]),
            payload_len,
            is_fragment: u16::from_be_bytes([fixed[6], fixed[7]]) & FRAGMENT != 0,
        };
        Ok((header, length))
    }

    /// Writes the header with its checksum, without options, not to be fragmented.
    ///
    /// The identification of a packet that is not to be fragmented has no meaning (RFC 6864 §4.1).
    #[inline]
    pub fn emit(&self, out: &mut [u8; HEADER_LEN]) {
        debug_assert!(!self.is_fragment, "a fragment cannot be written");
        let total_length = self.payload_len.saturating_add(HEADER_LEN as u16);
        out[0] = 0x45;
        out[1] = self.dscp.traffic_class(self.ecn);
        out[2..4].copy_from_slice(&total_length.to_be_bytes());
        out[4..6].copy_from_slice(&self.identification.to_be_bytes());
        out[6..8].copy_from_slice(&DONT_FRAGMENT.to_be_bytes());
        out[8] = HOP_LIMIT;
        out[9] = self.protocol;
        out[10..12].fill(0);
        out[12..16].copy_from_slice(&self.source.octets());
        out[16..20].copy_from_slice(&self.destination.octets());
        let checksum = checksum::finish(checksum::sum(out));
        out[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// What an ICMP error quotes of a packet: the addresses, and where the transport header starts.
/// Neither checksum nor total length can be checked of what has been cut off and passed on.
pub(super) struct Quoted {
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
    pub(super) protocol: u8,
    pub(super) header_len: usize,
    /// A fragment other than the first has no transport header.
    pub(super) is_later_fragment: bool,
}

impl Quoted {
    /// Reads a header as [`Ipv4Header::parse`] does, less strictly.
    pub(super) fn parse(packet: &[u8]) -> Result<Quoted, Malformed> {
        let fixed = packet.first_chunk::<HEADER_LEN>().ok_or(Malformed::IcmpTruncated)?;
        Ok(Quoted {
            source: Ipv4Addr::new(fixed[12], fixed[13], fixed[14], fixed[15]),
            destination: Ipv4Addr::new(fixed[16], fixed[17], fixed[18], fixed[19]),
            protocol: fixed[9],
            header_len: header_len(fixed[0]).map_err(|_| Malformed::IcmpQuote)?,
            is_later_fragment: u16::from_be_bytes([fixed[6], fixed[7]]) & FRAGMENT_OFFSET != 0,
        })
    }
}

/// Header length from the first octet [octets].
#[inline]
fn header_len(version_and_length: u8) -> Result<usize, Malformed> {
    if version_and_length >> 4 != 4 {
        return Err(Malformed::Ipv4Version);
    }
    let length = usize::from(version_and_length & 0x0f) * 4;
    if length < HEADER_LEN { Err(Malformed::Ipv4HeaderLength) } else { Ok(length) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 192.0.2.1 to 198.51.100.7, TCP, 4 octets of payload.
    const PACKET: [u8; 24] = [
        0x45, 0xba, 0x00, 0x18, 0x1c, 0x46, 0x40, 0x00, 0x40, 0x06, 0x31, 0xa4, 0xc0, 0x00, 0x02,
        0x01, 0xc6, 0x33, 0x64, 0x07, 0xde, 0xad, 0xbe, 0xef,
    ];

    fn header() -> Ipv4Header {
        Ipv4Header {
            source: Ipv4Addr::new(192, 0, 2, 1),
            destination: Ipv4Addr::new(198, 51, 100, 7),
            protocol: 6,
            dscp: Dscp::new(46).expect("six bits"),
            ecn: Ecn::Capable0,
            identification: 0x1c46,
            payload_len: 4,
            is_fragment: false,
        }
    }

    /// The packet with some octets changed and its checksum put right.
    fn changed(changes: &[(usize, u8)]) -> Vec<u8> {
        let mut bytes = PACKET.to_vec();
        for &(at, octet) in changes {
            bytes[at] = octet;
        }
        bytes[10..12].fill(0);
        let length = usize::from(bytes[0] & 0x0f) * 4;
        let checksum = checksum::finish(checksum::sum(&bytes[..length.min(24)]));
        bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    #[test]
    fn a_header_is_read_and_written() {
        assert_eq!(Ipv4Header::parse(&PACKET), Ok((header(), 20)));
        let mut out = [0xee; HEADER_LEN];
        header().emit(&mut out);
        assert_eq!(out, PACKET[..20]);
    }

    #[test]
    fn options_are_skipped() {
        let (header, length) = Ipv4Header::parse(&changed(&[(0, 0x46)])).expect("valid");
        assert_eq!((length, header.payload_len), (24, 0));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            (changed(&[(0, 0x55)]), Malformed::Ipv4Version),
            (changed(&[(0, 0x44)]), Malformed::Ipv4HeaderLength),
            (changed(&[(0, 0x47)]), Malformed::Ipv4Truncated),
            (changed(&[(3, 19)]), Malformed::Ipv4TotalLength),
            (changed(&[(3, 25)]), Malformed::Ipv4TotalLength),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Ipv4Header::parse(&bytes), Err(expected));
        }
        for at in 1..20 {
            let mut bytes = PACKET;
            bytes[at] ^= 0x10;
            let reason = Ipv4Header::parse(&bytes);
            assert_eq!(reason, Err(Malformed::Ipv4HeaderChecksum), "octet {at} flipped");
        }
    }

    #[test]
    fn truncated_at_every_length() {
        for length in 0..PACKET.len() {
            let expected =
                if length < 20 { Malformed::Ipv4Truncated } else { Malformed::Ipv4TotalLength };
            assert_eq!(Ipv4Header::parse(&PACKET[..length]), Err(expected), "{length} octets");
        }
    }

    #[test]
    fn fragments_are_seen() {
        for (what, field, expected) in [
            ("whole", [0x00, 0x00], false),
            ("whole, reserved bit set", [0x80, 0x00], false),
            ("first", [0x20, 0x00], true),
            ("last", [0x00, 0x01], true),
        ] {
            let bytes = changed(&[(6, field[0]), (7, field[1])]);
            let (header, _) = Ipv4Header::parse(&bytes).expect("valid");
            assert_eq!(header.is_fragment, expected, "{what}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            addresses in any::<(u32, u32)>(),
            (protocol, traffic_class) in any::<(u8, u8)>(),
            identification in any::<u16>(),
            payload_len in 0_u16..2000,
        ) {
            let header = Ipv4Header {
                source: addresses.0.into(),
                destination: addresses.1.into(),
                protocol,
                dscp: Dscp::from_traffic_class(traffic_class),
                ecn: Ecn::from_traffic_class(traffic_class),
                identification,
                payload_len,
                is_fragment: false,
            };
            let mut bytes = vec![0; HEADER_LEN + usize::from(payload_len)];
            header.emit(bytes.first_chunk_mut().expect("room"));
            prop_assert_eq!(Ipv4Header::parse(&bytes), Ok((header, HEADER_LEN)));
        }
    }
}
