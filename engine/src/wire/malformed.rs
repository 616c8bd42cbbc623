//! Why a packet was refused.

/// Declares the reasons with the names under which they are counted, so that the two, and the
/// list of all, cannot drift apart.
macro_rules! reasons {
    ($($(#[$doc:meta])+ $variant:ident => $name:literal,)+) => {
        /// The reason why a packet is not what it claims to be. Each is counted under its name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Malformed {
            $($(#[$doc])+ $variant,)+
        }

        impl Malformed {
            /// Every reason, in the order of [`Malformed::index`].
            pub const ALL: &'static [Malformed] = &[$(Malformed::$variant,)+];

            /// The name of the reason in counters and reports.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Malformed::$variant => $name,)+
                }
            }
        }
    };
}

reasons! {
    /// The frame ends within its Ethernet header or VLAN tag.
    EthernetTruncated => "ethernet_truncated",
    /// The packet ends within its IPv4 header, options included.
    Ipv4Truncated => "ipv4_truncated",
    /// EtherType IPv4, but the version field says otherwise.
    Ipv4Version => "ipv4_version",
    /// A header length under 20 octets.
    Ipv4HeaderLength => "ipv4_header_length",
    /// The header's checksum does not verify.
    Ipv4HeaderChecksum => "ipv4_header_checksum",
    /// A total length that is shorter than the header or longer than what arrived.
    Ipv4TotalLength => "ipv4_total_length",
    /// The packet ends within its IPv6 header.
    Ipv6Truncated => "ipv6_truncated",
    /// EtherType IPv6, but the version field says otherwise.
    Ipv6Version => "ipv6_version",
    /// A payload length longer than what arrived.
    Ipv6PayloadLength => "ipv6_payload_length",
    /// The packet ends within an extension header.
    Ipv6ExtensionTruncated => "ipv6_extension_truncated",
    /// A source address that no packet on a network may have: unspecified, loopback, multicast,
    /// broadcast, or IPv4-mapped.
    IpSource => "ip_source",
    /// Source and destination are the same address and port ("land").
    TcpLand => "tcp_land",
    /// The packet ends within the 20 octets that every TCP header has.
    TcpTruncated => "tcp_truncated",
    /// A data offset under 5 words, or past the end of the packet.
    TcpDataOffset => "tcp_data_offset",
    /// Source or destination port zero.
    TcpPortZero => "tcp_port_zero",
    /// None of SYN, ACK, FIN and RST.
    TcpFlagsNone => "tcp_flags_none",
    /// SYN together with FIN.
    TcpFlagsSynFin => "tcp_flags_syn_fin",
    /// SYN together with RST.
    TcpFlagsSynRst => "tcp_flags_syn_rst",
    /// FIN together with RST.
    TcpFlagsFinRst => "tcp_flags_fin_rst",
    /// FIN without ACK.
    TcpFlagsFinWithoutAck => "tcp_flags_fin_without_ack",
    /// The TCP checksum does not verify.
    TcpChecksum => "tcp_checksum",
    /// The TCP checksum field holds the sum of the pseudo-header alone: the sender left the rest
    /// to a device that never did it, as a veth peer with transmit offload does. Switch that
    /// offload off (`ethtool -K PEER tx off`).
    TcpChecksumNotFilledIn => "tcp_checksum_not_filled_in",
    /// An ICMP error that ends before the packet it is about can be recognised.
    IcmpTruncated => "icmp_truncated",
    /// An ICMP error that quotes something that is no packet of its own IP version.
    IcmpQuote => "icmp_quote",
    /// The ICMP checksum does not verify.
    IcmpChecksum => "icmp_checksum",
}

impl Malformed {
    /// Number of reasons: the length of a table of counters.
    pub const COUNT: usize = Malformed::ALL.len();

    /// Position in [`Malformed::ALL`].
    #[inline]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for Malformed {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_has_its_place_and_its_own_name() {
        for (index, reason) in Malformed::ALL.iter().enumerate() {
            assert_eq!(reason.index(), index);
        }
        let names: HashSet<_> = Malformed::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), Malformed::COUNT);
    }
}
