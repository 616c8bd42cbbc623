//! How an interface's card spreads packets over its receive queues, asked of Linux as `ethtool -x`
//! does: over ethtool's generic netlink (Linux 6.2 and later), for which no privilege is needed.

use std::io;

use super::generic_netlink::{Family, find};
use crate::flow::Rss;

/// The receive side scaling of device `ifindex` in the calling thread's network namespace. `None` if
/// its driver does not say, or it is none that can be followed here: another hash than Toeplitz', or
/// of other fields than addresses and ports.
pub fn receive_side_scaling(ifindex: u32) -> io::Result<Option<Rss>> {
    let reply = Family::open("ethtool")?.ask_of_device(ETHTOOL_MSG_RSS_GET, ifindex)?;
    Ok(reply.and_then(|attributes| read(&attributes)))
}

fn read(attributes: &[u8]) -> Option<Rss> {
    let function = number(attributes, ETHTOOL_A_RSS_HFUNC)?;
    let transforms = number(attributes, ETHTOOL_A_RSS_INPUT_XFRM).unwrap_or(0);
    if function != ETH_RSS_HASH_TOP || transforms != 0 {
        return None;
    }
    if let Some(fields) = find(attributes, ETHTOOL_A_RSS_FLOW_HASH) {
        // Said by Linux 6.16 and later; what cards do where nobody has changed it is this.
        let of_tcp = [ETHTOOL_A_FLOW_TCP4, ETHTOOL_A_FLOW_TCP6].map(|flow| number(fields, flow));
        if of_tcp.iter().flatten().any(|fields| *fields != ADDRESSES_AND_PORTS) {
            return None;
        }
    }
    let (queues, _) = find(attributes, ETHTOOL_A_RSS_INDIR)?.as_chunks();
    let queues = queues.iter().map(|queue| u32::from_ne_bytes(*queue).try_into().ok());
    Rss::new(find(attributes, ETHTOOL_A_RSS_HKEY)?, queues.collect::<Option<_>>()?)
}

/// A number of 32 bits, or one that Linux sends in as many as it needs.
fn number(attributes: &[u8], kind: u16) -> Option<u64> {
    let value = find(attributes, kind)?;
    match value.len() {
        4 => value.try_into().ok().map(u32::from_ne_bytes).map(u64::from),
        _ => value.try_into().ok().map(u64::from_ne_bytes),
    }
}

/// The kernel's numbers (`linux/ethtool_netlink.h`, `linux/ethtool.h`).
const ETHTOOL_MSG_RSS_GET: u8 = 38;
const ETHTOOL_A_RSS_HFUNC: u16 = 3;
const ETHTOOL_A_RSS_INDIR: u16 = 4;
const ETHTOOL_A_RSS_HKEY: u16 = 5;
const ETHTOOL_A_RSS_INPUT_XFRM: u16 = 6;
const ETHTOOL_A_RSS_FLOW_HASH: u16 = 8;
const ETHTOOL_A_FLOW_TCP4: u16 = 4;
const ETHTOOL_A_FLOW_TCP6: u16 = 5;
/// Toeplitz.
const ETH_RSS_HASH_TOP: u64 = 1;
/// Source and destination address, and the first four octets of TCP (`RXH_…`).
const ADDRESSES_AND_PORTS: u64 = 0b1111 << 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::generic_netlink::{answer, attribute};
    use super::*;
    use crate::flow::FlowKey;

    fn numbers(kind: u16, numbers: &[u32]) -> Vec<u8> {
        let octets: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
        attribute(kind, &octets)
    }

    /// What a card of four queues says, and more.
    fn card(more: &[Vec<u8>]) -> Vec<u8> {
        let key: Vec<u8> = (0..52).collect();
        let queues: Vec<u32> = (0..64).map(|place| place % 4).collect();
        let card = [numbers(3, &[1]), numbers(4, &queues), attribute(5, &key)];
        [card.concat(), more.concat()].concat()
    }

    #[test]
    fn a_card_is_followed_as_it_says() {
        let card = read(&card(&[])).unwrap();
        let flow = |port: u16| FlowKey::from_ipv4(([10, 0, 0, 1], 80), ([10, 0, 0, 2], port));
        let mut queues: Vec<_> = (1..1000).map(|port| card.queue(&flow(port))).collect();
        queues.sort_unstable();
        queues.dedup();
        assert_eq!(queues, [0, 1, 2, 3]);
    }

    #[test]
    fn what_cannot_be_followed_is_none() {
        let fields =
            |v4: &[u8], v6: &[u8]| attribute(8, &[attribute(4, v4), attribute(5, v6)].concat());
        let (ports, addresses) = (0xf0_u32.to_ne_bytes(), 0x30_u32.to_ne_bytes());
        assert!(read(&card(&[fields(&ports, &0xf0_u64.to_ne_bytes())])).is_some());
        assert!(read(&card(&[attribute(8, &[])])).is_some(), "says nothing of TCP");
        assert!(read(&card(&[numbers(6, &[0])])).is_some());
        assert!(read(&card(&[fields(&ports, &addresses)])).is_none(), "addresses alone");
        assert!(read(&card(&[numbers(6, &[1])])).is_none(), "both directions made alike");
        assert!(read(&numbers(3, &[1])).is_none(), "no key and no table");
        let xor = [numbers(3, &[2]), card(&[])].concat();
        assert!(read(&xor).is_none(), "another hash");
    }

    #[test]
    fn the_loopback_device_has_no_card() {
        assert!(receive_side_scaling(1).unwrap().is_none());
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(attributes) = answer(&octets) {
                read(&attributes);
            }
            read(&octets);
        }
    }
}
