//! Ethernet headers, with or without one 802.1Q tag.

use super::Malformed;

/// An Ethernet address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// Whether it names a group of stations: multicast or broadcast.
    #[inline]
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }
}

impl std::fmt::Display for MacAddr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// What an Ethernet frame carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EtherType(pub u16);

impl EtherType {
    pub const IPV4: EtherType = EtherType(0x0800);
    pub const ARP: EtherType = EtherType(0x0806);
    pub const IPV6: EtherType = EtherType(0x86dd);
    /// A customer tag, 802.1Q.
    pub const VLAN: EtherType = EtherType(0x8100);
    /// A service tag, 802.1ad (QinQ).
    pub const SERVICE_VLAN: EtherType = EtherType(0x88a8);

    /// Whether another tag follows. As the type of a parsed header it means stacked tags (QinQ),
    /// which are the kernel's to untangle.
    #[inline]
    pub const fn is_tag(self) -> bool {
        matches!(self, EtherType::VLAN | EtherType::SERVICE_VLAN)
    }
}

/// A VLAN identifier, 1 to 4095. Zero is none: it marks a tag that carries only a priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VlanId(std::num::NonZeroU16);

impl VlanId {
    /// `None` for zero and for what has more than 12 bits.
    #[inline]
    pub const fn new(id: u16) -> Option<VlanId> {
        if id > 0x0fff {
            return None;
        }
        match std::num::NonZeroU16::new(id) {
            Some(id) => Some(VlanId(id)),
            None => None,
        }
    }

    #[inline]
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

/// The header in front of every packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EthernetHeader {
    pub destination: MacAddr,
    pub source: MacAddr,
    pub vlan: Option<VlanId>,
    /// Of what follows the header and its tag.
    pub ether_type: EtherType,
}

/// A header without a tag [octets].
pub const HEADER_LEN: usize = 14;
/// An 802.1Q tag [octets].
pub const TAG_LEN: usize = 4;

impl EthernetHeader {
    /// Reads the header at the start of `frame`, and tells its length, tag included [octets].
    ///
    /// # Errors
    /// [`Malformed::EthernetTruncated`].
    #[inline]
    pub fn parse(frame: &[u8]) -> Result<(EthernetHeader, usize), Malformed> {
        let (fixed, behind) =
            frame.split_first_chunk::<HEADER_LEN>().ok_or(Malformed::EthernetTruncated)?;
        let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = *fixed;
        let mut header = EthernetHeader {
            destination: MacAddr([d0, d1, d2, d3, d4, d5]),
            source: MacAddr([s0, s1, s2, s3, s4, s5]),
            vlan: None,
            ether_type: EtherType(u16::from_be_bytes([t0, t1])),
        };
        if header.ether_type != EtherType::VLAN {
            return Ok((header, HEADER_LEN));
        }
        let [c0, c1, t0, t1] =
            *behind.first_chunk::<TAG_LEN>().ok_or(Malformed::EthernetTruncated)?;
        // IEEE 802.1Q §9.6: three bits of priority, one of drop eligibility, twelve of identifier.
        header.vlan = VlanId::new(u16::from_be_bytes([c0, c1]) & 0x0fff);
        header.ether_type = EtherType(u16::from_be_bytes([t0, t1]));
        Ok((header, HEADER_LEN + TAG_LEN))
    }

    /// Length of the header that [`EthernetHeader::emit`] writes [octets].
    #[inline]
    pub const fn header_len(&self) -> usize {
        match self.vlan {
            Some(_) => HEADER_LEN + TAG_LEN,
            None => HEADER_LEN,
        }
    }

    /// Writes the header into `out`, which is [`EthernetHeader::header_len`] octets long. A tag
    /// has priority zero.
    ///
    /// # Panics
    /// If `out` has another length.
    #[inline]
    pub fn emit(&self, out: &mut [u8]) {
        assert_eq!(out.len(), self.header_len(), "room for an Ethernet header of another length");
        out[0..6].copy_from_slice(&self.destination.0);
        out[6..12].copy_from_slice(&self.source.0);
        let mut type_at = 12;
        if let Some(vlan) = self.vlan {
            out[12..14].copy_from_slice(&EtherType::VLAN.0.to_be_bytes());
            out[14..16].copy_from_slice(&vlan.get().to_be_bytes());
            type_at += TAG_LEN;
        }
        out[type_at..type_at + 2].copy_from_slice(&self.ether_type.0.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: [u8; 14] =
        [0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x08, 0x00];
    const TAGGED: [u8; 18] = [
        0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x81, 0x00, 0x00,
        0x2a, 0x86, 0xdd,
    ];

    fn header(vlan: Option<u16>, ether_type: EtherType) -> EthernetHeader {
        EthernetHeader {
            destination: MacAddr([2, 0, 0, 0, 0, 1]),
            source: MacAddr([2, 0, 0, 0, 0, 2]),
            vlan: vlan.and_then(VlanId::new),
            ether_type,
        }
    }

    #[test]
    fn headers_are_read_and_written() {
        let cases: [(&[u8], EthernetHeader); 2] =
            [(&PLAIN, header(None, EtherType::IPV4)), (&TAGGED, header(Some(42), EtherType::IPV6))];
        for (bytes, expected) in cases {
            assert_eq!(EthernetHeader::parse(bytes), Ok((expected, bytes.len())));
            let mut out = vec![0xee; expected.header_len()];
            expected.emit(&mut out);
            assert_eq!(out, bytes);
            for length in 0..bytes.len() {
                let cut = EthernetHeader::parse(&bytes[..length]);
                assert_eq!(cut, Err(Malformed::EthernetTruncated), "{length} octets");
            }
        }
    }

    #[test]
    fn priority_is_not_part_of_the_identifier() {
        let mut bytes = TAGGED;
        bytes[14] = 0xb0;
        assert_eq!(EthernetHeader::parse(&bytes).expect("valid").0.vlan, VlanId::new(42));
        bytes[15] = 0;
        assert_eq!(EthernetHeader::parse(&bytes).expect("valid").0.vlan, None);
    }

    #[test]
    fn stacked_tags_are_seen() {
        let mut twice = TAGGED;
        twice[16..].copy_from_slice(&[0x81, 0x00]);
        assert!(EthernetHeader::parse(&twice).expect("valid").0.ether_type.is_tag());
        let mut service = PLAIN;
        service[12..].copy_from_slice(&[0x88, 0xa8]);
        assert!(EthernetHeader::parse(&service).expect("valid").0.ether_type.is_tag());
    }

    #[test]
    fn addresses_print_as_people_write_them() {
        assert_eq!(MacAddr([2, 0, 0xab, 0, 0, 1]).to_string(), "02:00:ab:00:00:01");
        assert!(MacAddr([0xff; 6]).is_group());
        assert!(!MacAddr([2, 0, 0, 0, 0, 1]).is_group());
    }
}
