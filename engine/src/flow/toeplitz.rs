//! The hash by which network cards choose a queue for a packet (Microsoft, "RSS Hashing Types" and
//! "Verifying the RSS Hash Calculation").
//!
//! Each bit of the input that is one adds, without carry, the 32 bits of the key that begin at the
//! bit's place. What four neighbouring bits add is looked up here: a table of 16 numbers for each half
//! of an octet, 4.5 KiB for the longest input, which stays in the first cache where tables by whole
//! octets would fill it.

use super::FlowKey;

/// The hash under one key.
#[derive(Clone, Debug)]
pub struct Toeplitz {
    octets: Box<[Octet; INPUT_OCTETS_MAX]>,
}

/// What an octet of the input adds, by its upper and by its lower four bits.
type Octet = [[u32; 16]; 2];

impl Toeplitz {
    /// Octets of a key that covers the longest input; cards have 40 or 52.
    pub const KEY_OCTETS_MIN: usize = INPUT_OCTETS_MAX + size_of::<u32>();

    /// `None` if the key is shorter than [`Toeplitz::KEY_OCTETS_MIN`].
    pub fn new(key: &[u8]) -> Option<Self> {
        let mut octets = Box::new([[[0; 16]; 2]; INPUT_OCTETS_MAX]);
        for (place, octet) in octets.iter_mut().enumerate() {
            let key: [u8; 5] = *key.get(place..)?.first_chunk()?;
            let [a, b, c, d, e] = key.map(u64::from);
            let window = a << 32 | b << 24 | c << 16 | d << 8 | e;
            // The bit that is `shift` places into the octet adds the key from there on.
            let adds = |shift: usize| (window >> (8 - shift)) as u32;
            for (half, values) in octet.iter_mut().enumerate() {
                for (value, sum) in values.iter_mut().enumerate() {
                    let bits = (0..4).filter(|bit| value & (8 >> bit) != 0);
                    *sum = bits.fold(0, |sum, bit| sum ^ adds(4 * half + bit));
                }
            }
        }
        Some(Toeplitz { octets })
    }

    /// The hash of at most 36 octets in network order; what is more does not count.
    #[inline]
    pub fn hash(&self, input: &[u8]) -> u32 {
        input.iter().zip(self.octets.iter()).fold(0, |hash, (octet, [upper, lower])| {
            hash ^ upper[usize::from(octet >> 4)] ^ lower[usize::from(octet & 15)]
        })
    }

    /// What a card makes of the packets of a flow that come in: source and destination address, then
    /// the ports.
    #[inline]
    pub fn hash_flow(&self, flow: &FlowKey) -> u32 {
        let octets = flow.reversed().to_octets();
        if !flow.is_ipv4() {
            return self.hash(&octets);
        }
        let mut of_v4 = [0; 12];
        of_v4[..4].copy_from_slice(&octets[12..16]);
        of_v4[4..].copy_from_slice(&octets[28..]);
        self.hash(&of_v4)
    }
}

/// Two IPv6 addresses and two ports.
const INPUT_OCTETS_MAX: usize = FlowKey::OCTETS;

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use super::*;

    /// Of the verification suite.
    const KEY: [u8; 40] = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f,
        0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
        0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    ];

    /// Destination, source, and their hash without the ports and with them.
    const SUITE: [(&str, &str, u32, u32); 8] = [
        ("161.142.100.80:1766", "66.9.149.187:2794", 0x323e_8fc2, 0x51cc_c178),
        ("65.69.140.83:4739", "199.92.111.2:14230", 0xd718_262a, 0xc626_b0ea),
        ("12.22.207.184:38024", "24.19.198.95:12898", 0xd2d0_a5de, 0x5c2b_394a),
        ("209.142.163.6:2217", "38.27.205.30:48228", 0x8298_9176, 0xafc7_327f),
        ("202.188.127.2:1303", "153.39.163.191:44251", 0x5d18_09c5, 0x10e8_28a2),
        ("[3ffe:2501:200:3::1]:1766", "[3ffe:2501:200:1fff::7]:2794", 0x2cc1_8cd5, 0x4020_7d3d),
        ("[ff02::1]:4739", "[3ffe:501:8::260:97ff:fe40:efab]:14230", 0x0f0c_461c, 0xdde5_1bbf),
        (
            "[fe80::200:f8ff:fe21:67cf]:38024",
            "[3ffe:1900:4545:3:200:f8ff:fe21:67cf]:44251",
            0x4b61_e985,
            0x02d1_feef,
        ),
    ];

    fn octets(address: IpAddr) -> Vec<u8> {
        match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        }
    }

    #[test]
    fn it_is_the_hash_of_the_verification_suite() {
        let toeplitz = Toeplitz::new(&KEY).unwrap();
        for (local, remote, without_ports, with_ports) in SUITE {
            let [local, remote]: [SocketAddr; 2] = [local, remote].map(|end| end.parse().unwrap());
            let addresses = [octets(remote.ip()), octets(local.ip())].concat();
            assert_eq!(toeplitz.hash(&addresses), without_ports, "{remote} to {local}");
            let flow = FlowKey::new(local, remote);
            assert_eq!(toeplitz.hash_flow(&flow), with_ports, "{remote} to {local}");
        }
    }

    #[test]
    fn a_key_that_repeats_every_two_octets_hashes_both_directions_alike() {
        let symmetric = Toeplitz::new(&[0x6d, 0x5a].repeat(20)).unwrap();
        let other = Toeplitz::new(&KEY).unwrap();
        for (local, remote, ..) in SUITE {
            let flow = FlowKey::new(local.parse().unwrap(), remote.parse().unwrap());
            assert_eq!(symmetric.hash_flow(&flow), symmetric.hash_flow(&flow.reversed()));
            assert_ne!(other.hash_flow(&flow), other.hash_flow(&flow.reversed()));
        }
    }

    #[test]
    fn a_key_that_is_too_short_is_none() {
        assert!(Toeplitz::new(&KEY[..39]).is_none());
        assert!(Toeplitz::new(&[]).is_none());
        let longer = [&KEY[..], &[7; 12]].concat();
        let (longer, plain) = (Toeplitz::new(&longer).unwrap(), Toeplitz::new(&KEY).unwrap());
        assert_eq!(longer.hash(&[0xff; 36]), plain.hash(&[0xff; 36]), "the rest does not count");
    }
}
