//! Ethernet headers, with or without VLAN tags: one, or two (QinQ).

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
    /// A customer tag, 802.1Q; many put it in the place of a service tag as well.
    pub const VLAN: EtherType = EtherType(0x8100);
    /// A service tag, 802.1ad.
    pub const SERVICE_VLAN: EtherType = EtherType(0x88a8);

    /// Whether another tag follows. As the type of a parsed header it means more tags than we read,
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

/// A frame's VLAN tags, but for those that carry only a priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VlanTags {
    /// A tag that is not of 802.1Q or has another one behind it, and its type.
    pub outer: Option<(EtherType, VlanId)>,
    /// The last one, of 802.1Q.
    pub inner: Option<VlanId>,
}

impl VlanTags {
    pub const NONE: VlanTags = VlanTags { outer: None, inner: None };

    /// One 802.1Q tag, or none.
    #[inline]
    pub const fn one(inner: Option<VlanId>) -> Self {
        VlanTags { outer: None, inner }
    }

    #[inline]
    pub fn is_empty(self) -> bool {
        self == VlanTags::NONE
    }

    /// The outermost first.
    #[inline]
    fn iter(self) -> impl Iterator<Item = (EtherType, VlanId)> {
        self.outer.into_iter().chain(self.inner.map(|id| (EtherType::VLAN, id)))
    }
}

/// The header in front of every packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EthernetHeader {
    pub destination: MacAddr,
    pub source: MacAddr,
    pub vlans: VlanTags,
    /// Of what follows the header and its tags.
    pub ether_type: EtherType,
}

/// A header without a tag [octets].
pub const HEADER_LEN: usize = 14;
/// A VLAN tag [octets].
pub const TAG_LEN: usize = 4;

impl EthernetHeader {
    /// Reads the header at the start of `frame`, and tells its length, tags included [octets].
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
            vlans: VlanTags::NONE,
            ether_type: EtherType(u16::from_be_bytes([t0, t1])),
        };
        if !header.ether_type.is_tag() {
            return Ok((header, HEADER_LEN));
        }
        let outer_type = header.ether_type;
        let (id, behind) = header.read_tag(behind)?;
        if header.ether_type == EtherType::VLAN {
            header.vlans.outer = id.map(|id| (outer_type, id));
            header.vlans.inner = header.read_tag(behind)?.0;
            return Ok((header, HEADER_LEN + 2 * TAG_LEN));
        }
        match outer_type {
            EtherType::VLAN => header.vlans.inner = id,
            _ => header.vlans.outer = id.map(|id| (outer_type, id)),
        }
        Ok((header, HEADER_LEN + TAG_LEN))
    }

    /// Takes in a tag from the start of `octets`; what is behind it is of `ether_type` then.
    #[inline]
    fn read_tag<'a>(&mut self, octets: &'a [u8]) -> Result<(Option<VlanId>, &'a [u8]), Malformed> {
        let (tag, behind) =
            octets.split_first_chunk::<TAG_LEN>().ok_or(Malformed::EthernetTruncated)?;
        let [c0, c1, t0, t1] = *tag;
        self.ether_type = EtherType(u16::from_be_bytes([t0, t1]));
        // IEEE 802.1Q §9.6: three bits of priority, one of drop eligibility, twelve of identifier.
        Ok((VlanId::new(u16::from_be_bytes([c0, c1]) & 0x0fff), behind))
    }

    /// Length of the header that [`EthernetHeader::emit`] writes [octets].
    #[inline]
    pub fn header_len(&self) -> usize {
        HEADER_LEN + self.vlans.iter().count() * TAG_LEN
    }

    /// Writes the header into `out`, which is [`EthernetHeader::header_len`] octets long. Tags
    /// have priority zero.
    ///
    /// # Panics
    /// If `out` has another length.
    #[inline]
    pub fn emit(&self, out: &mut [u8]) {
        assert_eq!(out.len(), self.header_len(), "room for an Ethernet header of another length");
        out[0..6].copy_from_slice(&self.destination.0);
        out[6..12].copy_from_slice(&self.source.0);
        let mut type_at = 12;
        for (tag, id) in self.vlans.iter() {
            out[type_at..type_at + 2].copy_from_slice(&tag.0.to_be_bytes());
            out[type_at + 2..type_at + 4].copy_from_slice(&id.get().to_be_bytes());
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
    const TWICE: [u8; 22] = [
        0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x88, 0xa8, 0x00,
        0x07, 0x81, 0x00, 0x00, 0x2a, 0x08, 0x00,
    ];

    fn id(id: u16) -> VlanId {
        VlanId::new(id).expect("an identifier")
    }

    fn header(vlans: VlanTags, ether_type: EtherType) -> EthernetHeader {
        EthernetHeader {
            destination: MacAddr([2, 0, 0, 0, 0, 1]),
            source: MacAddr([2, 0, 0, 0, 0, 2]),
            vlans,
            ether_type,
        }
    }

    fn tags_of(bytes: &[u8]) -> VlanTags {
        EthernetHeader::parse(bytes).expect("valid").0.vlans
    }

    #[test]
    fn headers_are_read_and_written() {
        let inner = Some(id(42));
        let service = Some((EtherType::SERVICE_VLAN, id(7)));
        let mut q_in_q = TWICE;
        q_in_q[12..14].copy_from_slice(&[0x81, 0x00]);
        let mut service_alone = TAGGED;
        service_alone[12..16].copy_from_slice(&[0x88, 0xa8, 0x00, 0x07]);
        let cases: [(&[u8], VlanTags, EtherType); 5] = [
            (&PLAIN, VlanTags::NONE, EtherType::IPV4),
            (&TAGGED, VlanTags::one(inner), EtherType::IPV6),
            (&TWICE, VlanTags { outer: service, inner }, EtherType::IPV4),
            (&q_in_q, VlanTags { outer: Some((EtherType::VLAN, id(7))), inner }, EtherType::IPV4),
            (&service_alone, VlanTags { outer: service, inner: None }, EtherType::IPV6),
        ];
        for (bytes, vlans, ether_type) in cases {
            let expected = header(vlans, ether_type);
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
        assert_eq!(tags_of(&bytes), VlanTags::one(Some(id(42))));
        bytes[15] = 0;
        assert!(tags_of(&bytes).is_empty());
        let mut twice = TWICE;
        twice[15] = 0;
        assert_eq!(tags_of(&twice), VlanTags::one(Some(id(42))));
    }

    #[test]
    fn more_tags_than_two_are_seen() {
        for follows in [[0x81, 0x00], [0x88, 0xa8]] {
            let mut thrice = TWICE;
            thrice[20..].copy_from_slice(&follows);
            assert!(EthernetHeader::parse(&thrice).expect("valid").0.ether_type.is_tag());
        }
        let mut inverted = TWICE;
        inverted[16..18].copy_from_slice(&[0x88, 0xa8]);
        assert!(EthernetHeader::parse(&inverted).expect("valid").0.ether_type.is_tag());
    }

    #[test]
    fn addresses_print_as_people_write_them() {
        assert_eq!(MacAddr([2, 0, 0xab, 0, 0, 1]).to_string(), "02:00:ab:00:00:01");
        assert!(MacAddr([0xff; 6]).is_group());
        assert!(!MacAddr([2, 0, 0, 0, 0, 1]).is_group());
    }
}
