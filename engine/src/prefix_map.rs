//! A map from address prefixes to values, cheap to copy and to change after copying.
//!
//! For routes and neighbours, and for the shield's lists. The former are published as immutable snapshots while the next one is being made.
//! Both are held in this path-compressed binary trie, whose nodes are shared between copies:
//! cloning a map clones one `Arc`, and a change copies only the nodes between the root and the
//! prefix that changed. One new neighbour therefore costs a few dozen small nodes, whether the
//! table holds ten routes or a million; a lookup visits at most one node per bit of the address.
//!
//! Start reading at [`PrefixMap::longest_match`].

use std::net::IpAddr;
use std::sync::Arc;

/// The first `len` bits of an address; the bits behind them are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Prefix {
    /// The address, its first bit topmost. An IPv4 address fills the top 32.
    bits: u128,
    len: u8,
}

impl Prefix {
    /// Longest prefix that a map can hold [bits].
    const LEN_MAX: u8 = 128;

    /// The prefix of `len` bits that `address` is in; `None` if the address has fewer bits.
    pub(crate) fn new(address: IpAddr, len: u8) -> Option<Self> {
        let (bits, width) = address_bits(address);
        (len <= width).then_some(Prefix { bits: bits & mask(len), len })
    }

    /// The prefix that holds `address` alone.
    pub(crate) fn host(address: IpAddr) -> Self {
        let (bits, len) = address_bits(address);
        Prefix { bits, len }
    }

    /// The bit behind the first `at` ones: which child of a node of length `at` to follow.
    fn bit(self, at: u8) -> usize {
        debug_assert!(at < Prefix::LEN_MAX);
        (self.bits >> (Prefix::LEN_MAX - 1 - at) & 1) as usize
    }

    /// How many leading bits two prefixes share, within both their lengths.
    fn common(self, other: Prefix) -> u8 {
        let equal = (self.bits ^ other.bits).leading_zeros() as u8;
        equal.min(self.len).min(other.len)
    }

    fn contains(self, other: Prefix) -> bool {
        self.len <= other.len && (self.bits ^ other.bits) & mask(self.len) == 0
    }

    fn truncated(self, len: u8) -> Prefix {
        Prefix { bits: self.bits & mask(len), len }
    }
}

/// An address, its first bit topmost, and how many bits it has.
fn address_bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

/// Ones in the first `len` bits.
fn mask(len: u8) -> u128 {
    match len {
        0 => 0,
        len => u128::MAX << (Prefix::LEN_MAX - len.min(Prefix::LEN_MAX)),
    }
}

/// The map. Holds prefixes of one address family: the empty prefix of either is the same key.
#[derive(Clone, Debug)]
pub(crate) struct PrefixMap<T> {
    root: Slot<T>,
    len: usize,
}

type Slot<T> = Option<Arc<Node<T>>>;

/// A prefix that has a value, or at which two longer ones part.
#[derive(Clone, Debug)]
struct Node<T> {
    prefix: Prefix,
    value: Option<T>,
    /// Longer prefixes, by their first bit behind this one.
    children: [Slot<T>; 2],
}

impl<T> Default for PrefixMap<T> {
    fn default() -> Self {
        PrefixMap { root: None, len: 0 }
    }
}

impl<T: Clone> PrefixMap<T> {
    /// The value of the longest prefix that `address` is in.
    pub(crate) fn longest_match(&self, address: IpAddr) -> Option<&T> {
        let host = Prefix::host(address);
        let mut slot = &self.root;
        let mut best = None;
        while let Some(node) = slot {
            if !node.prefix.contains(host) {
                break;
            }
            best = node.value.as_ref().or(best);
            if node.prefix.len == host.len {
                break;
            }
            slot = &node.children[host.bit(node.prefix.len)];
        }
        best
    }

    /// The value of exactly this prefix.
    pub(crate) fn get(&self, prefix: Prefix) -> Option<&T> {
        let mut slot = &self.root;
        while let Some(node) = slot {
            if !node.prefix.contains(prefix) {
                return None;
            }
            if node.prefix.len == prefix.len {
                return node.value.as_ref();
            }
            slot = &node.children[prefix.bit(node.prefix.len)];
        }
        None
    }

    /// Sets the value of a prefix.
    pub(crate) fn insert(&mut self, prefix: Prefix, value: T) {
        if insert(&mut self.root, prefix, value) {
            self.len += 1;
        }
    }

    /// Takes a prefix out, if it is there.
    pub(crate) fn remove(&mut self, prefix: Prefix) {
        // Looked up first, so that removing what is not there copies nothing.
        if self.get(prefix).is_some() {
            remove(&mut self.root, prefix);
            self.len -= 1;
        }
    }

    /// Prefixes that have a value.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

/// Returns whether the prefix is new. Recursion is bounded by the 128 bits of an address.
fn insert<T: Clone>(slot: &mut Slot<T>, prefix: Prefix, value: T) -> bool {
    let leaf = |value| Arc::new(Node { prefix, value: Some(value), children: [None, None] });
    let Some(node) = slot else {
        *slot = Some(leaf(value));
        return true;
    };
    let common = node.prefix.common(prefix);
    if common == node.prefix.len {
        let node = Arc::make_mut(node);
        if common == prefix.len {
            return node.value.replace(value).is_none();
        }
        return insert(&mut node.children[prefix.bit(common)], prefix, value);
    }

    // The two part before the node's end: a node where they do takes its place.
    let below = Arc::clone(node);
    let mut fork = Node { prefix: prefix.truncated(common), value: None, children: [None, None] };
    let side = below.prefix.bit(common);
    fork.children[side] = Some(below);
    if common == prefix.len {
        fork.value = Some(value);
    } else {
        fork.children[prefix.bit(common)] = Some(leaf(value));
    }
    *slot = Some(Arc::new(fork));
    true
}

fn remove<T: Clone>(slot: &mut Slot<T>, prefix: Prefix) {
    let Some(node) = slot else { return };
    let node = Arc::make_mut(node);
    if node.prefix.len >= prefix.len {
        node.value = None;
    } else {
        remove(&mut node.children[prefix.bit(node.prefix.len)], prefix);
    }
    // A node without a value stays only where two longer prefixes part.
    if node.value.is_none() {
        match &mut node.children {
            [Some(_), Some(_)] => {}
            [only, None] | [None, only] => *slot = only.take(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn prefix(text: &str) -> Prefix {
        let (address, len) = text.split_once('/').unwrap();
        Prefix::new(address.parse().unwrap(), len.parse().unwrap()).unwrap()
    }

    fn nodes<T>(slot: &Slot<T>) -> usize {
        slot.as_ref().map_or(0, |node| 1 + node.children.iter().map(nodes).sum::<usize>())
    }

    #[test]
    fn the_longest_prefix_wins() {
        let mut map = PrefixMap::default();
        for text in ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32"] {
            map.insert(prefix(text), text);
        }
        let found = |address: &str| map.longest_match(address.parse().unwrap()).copied();
        assert_eq!(found("192.0.2.1"), Some("0.0.0.0/0"));
        assert_eq!(found("10.200.0.1"), Some("10.0.0.0/8"));
        assert_eq!(found("10.1.3.1"), Some("10.1.0.0/16"));
        assert_eq!(found("10.1.2.4"), Some("10.1.2.0/24"));
        assert_eq!(found("10.1.2.3"), Some("10.1.2.3/32"));
    }

    #[test]
    fn a_prefix_longer_than_its_address_is_refused() {
        assert_eq!(Prefix::new(Ipv4Addr::LOCALHOST.into(), 33), None);
        assert_eq!(Prefix::new(Ipv6Addr::LOCALHOST.into(), 129), None);
        assert!(Prefix::new(Ipv6Addr::LOCALHOST.into(), 128).is_some());
    }

    #[test]
    fn a_copy_keeps_what_it_saw_and_shares_the_rest() {
        let mut map = PrefixMap::default();
        for network in 0..=255_u8 {
            map.insert(prefix(&format!("10.0.{network}.0/24")), network);
        }
        let before = map.clone();
        map.insert(prefix("10.0.7.0/24"), 99);
        map.remove(prefix("10.0.8.0/24"));

        assert_eq!(before.longest_match("10.0.7.1".parse().unwrap()), Some(&7));
        assert_eq!(before.longest_match("10.0.8.1".parse().unwrap()), Some(&8));
        assert_eq!(map.longest_match("10.0.7.1".parse().unwrap()), Some(&99));
        assert_eq!(map.longest_match("10.0.8.1".parse().unwrap()), None);
        let far = |map: &PrefixMap<u8>| {
            let mut slot = &map.root;
            while let Some(node) = slot {
                if node.prefix.len == 24 {
                    break;
                }
                slot = &node.children[1];
            }
            Arc::as_ptr(slot.as_ref().unwrap())
        };
        assert_eq!(far(&before), far(&map), "a part that did not change was copied");
    }

    fn any_prefix() -> impl Strategy<Value = Prefix> {
        // Few distinct bits, so that prefixes nest, collide and part everywhere.
        (any::<u32>(), 0..=32_u8, any::<bool>()).prop_map(|(bits, len, dense)| {
            let bits = if dense { bits & 0xC000_0003 } else { bits };
            Prefix::new(IpAddr::V4(Ipv4Addr::from_bits(bits)), len).unwrap()
        })
    }

    proptest! {
        /// Against the plainest model there is: look at every prefix.
        #[test]
        fn agrees_with_a_linear_search(
            steps in prop::collection::vec((any_prefix(), any::<u16>(), any::<bool>()), 0..200),
            probes in prop::collection::vec(any::<u32>(), 16),
        ) {
            let mut map = PrefixMap::default();
            let mut model = BTreeMap::new();
            for (prefix, value, keep) in &steps {
                let key = (prefix.len, prefix.bits);
                if *keep {
                    map.insert(*prefix, *value);
                    model.insert(key, *value);
                } else {
                    map.remove(*prefix);
                    model.remove(&key);
                }
                prop_assert_eq!(map.get(*prefix), model.get(&key));
            }
            prop_assert_eq!(map.len(), model.len());
            prop_assert!(nodes(&map.root) <= (2 * model.len()).saturating_sub(1));
            let stored = steps.iter().map(|(prefix, ..)| (prefix.bits >> 96) as u32);
            for probe in probes.into_iter().chain(stored) {
                let address = IpAddr::V4(Ipv4Addr::from_bits(probe));
                let host = Prefix::host(address);
                let expected = model
                    .iter()
                    .filter(|((len, bits), _)| host.bits & mask(*len) == *bits)
                    .max_by_key(|((len, _), _)| *len)
                    .map(|(_, value)| value);
                prop_assert_eq!(map.longest_match(address), expected);
            }
        }
    }
}
