//! Which of several workers a flow belongs to.
//!
//! Everybody who holds the same [`Steering`] gives the same answer for the same flow, without a word
//! to the others: who receives a packet can say whose it is, and a worker takes only such source ports
//! for its connections to origins as bring the replies back to itself. So both legs of a proxied
//! connection are one worker's.
//!
//! A flow's owner follows from its addresses and ports, as they come in by one port of the engine:
//! where the card behind that port spreads packets over its queues ([`Rss`]) it is the owner of the
//! queue, elsewhere it follows from the keyed hash that the flow table takes anyway. If a card does
//! otherwise than it says, its packets take a way round, over the worker that they came to; nothing
//! else depends on it.

use std::num::NonZeroU8;
use std::sync::Arc;

use super::toeplitz::Toeplitz;
use super::{FlowHash, FlowKey};

/// See the module. Clones share the tables, which nobody writes.
#[derive(Clone, Debug)]
pub struct Steering {
    owners: NonZeroU8,
    /// By port of the lane. Where there is none, the keyed hash decides.
    cards: Arc<[Option<Rss>]>,
}

/// How a card spreads packets over its receive queues (receive side scaling): by the Toeplitz hash of
/// addresses and ports, and a table of queues that its lower bits choose from.
#[derive(Clone, Debug)]
pub struct Rss {
    toeplitz: Toeplitz,
    indirection: Box<[u16]>,
}

/// One of those among whom flows are divided.
#[derive(Clone, Debug, Default)]
pub struct Owner {
    steering: Steering,
    /// From zero.
    index: u8,
}

impl Steering {
    /// Among so many, by the keyed hash.
    pub fn hashed(owners: NonZeroU8) -> Self {
        Steering { owners, cards: Arc::default() }
    }

    /// As the cards do, by port: queue q belongs to owner q modulo their number. The keyed hash
    /// decides where there is no card, or none that says how it does it.
    pub fn by_cards(owners: NonZeroU8, cards: Vec<Option<Rss>>) -> Self {
        Steering { owners, cards: cards.into() }
    }

    /// Whether all cards say how they spread packets, so that each comes to its owner by itself.
    pub fn is_by_cards(&self) -> bool {
        !self.cards.is_empty() && self.cards.iter().all(Option::is_some)
    }

    pub fn owners(&self) -> u8 {
        self.owners.get()
    }

    /// Who owns a flow that comes by `port`. `hash` is of a [`super::FlowHasher`] that all owners have
    /// the same key of.
    #[inline]
    pub fn owner(&self, port: u8, flow: &FlowKey, hash: FlowHash) -> u8 {
        if self.owners.get() == 1 {
            return 0;
        }
        match self.cards.get(usize::from(port)) {
            Some(Some(card)) => (card.queue(flow) % u16::from(self.owners.get())) as u8,
            _ => hash.part(self.owners),
        }
    }
}

/// One owner, who has all.
impl Default for Steering {
    fn default() -> Self {
        Steering::hashed(NonZeroU8::MIN)
    }
}

impl Rss {
    /// `indirection`: queues, by the hash modulo their number. `None` if there are none, or the key is
    /// shorter than [`Toeplitz::KEY_OCTETS_MIN`].
    pub fn new(key: &[u8], indirection: Vec<u16>) -> Option<Self> {
        let toeplitz = Toeplitz::new(key)?;
        (!indirection.is_empty()).then(|| Rss { toeplitz, indirection: indirection.into() })
    }

    /// The queue that packets of a flow come by.
    #[inline]
    pub fn queue(&self, flow: &FlowKey) -> u16 {
        let place = self.toeplitz.hash_flow(flow) % self.indirection.len() as u32;
        self.indirection[place as usize]
    }
}

impl Owner {
    /// # Panics
    /// If there are not so many.
    pub fn new(steering: Steering, index: u8) -> Self {
        assert!(index < steering.owners(), "owner {index} of {}", steering.owners());
        Owner { steering, index }
    }

    pub fn index(&self) -> u8 {
        self.index
    }

    pub fn steering(&self) -> &Steering {
        &self.steering
    }

    /// Whether there are others.
    #[inline]
    pub fn is_alone(&self) -> bool {
        self.steering.owners() == 1
    }

    /// Whose a flow is that is not this one's.
    #[inline]
    pub fn other(&self, port: u8, flow: &FlowKey, hash: FlowHash) -> Option<u8> {
        if self.is_alone() {
            return None;
        }
        let owner = self.steering.owner(port, flow, hash);
        (owner != self.index).then_some(owner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::flow::FlowHasher;

    fn owners(count: u8) -> NonZeroU8 {
        NonZeroU8::new(count).unwrap()
    }

    fn flow(n: u32) -> FlowKey {
        let remote = SocketAddr::from(((0x0a00_0000 + n / 60_000).to_be_bytes(), n as u16));
        FlowKey::new("10.10.1.1:80".parse().unwrap(), remote)
    }

    fn rss(queues: u16) -> Rss {
        let key: Vec<u8> = (0..40).map(|n: u8| n.wrapping_mul(73) ^ 0xa5).collect();
        Rss::new(&key, (0..128).map(|n| n % queues).collect()).unwrap()
    }

    #[test]
    fn flows_are_divided_evenly_and_all_agree_on_it() {
        let [ours, theirs] = [7, 7].map(|key| FlowHasher::new(&[key; 16]));
        for count in [2, 3, 7, 64] {
            let cards = vec![Some(rss(count.into()))];
            for (port, steering) in [
                (0, Steering::by_cards(owners(count), cards.clone())),
                (1, Steering::by_cards(owners(count), cards)),
                (0, Steering::hashed(owners(count))),
            ] {
                let mut shares = vec![0_u32; count.into()];
                for n in 0..20_000 {
                    let flow = flow(n);
                    let owner = steering.owner(port, &flow, ours.hash(&flow));
                    assert_eq!(owner, steering.clone().owner(port, &flow, theirs.hash(&flow)));
                    shares[usize::from(owner)] += 1;
                }
                let fair = 20_000 / u32::from(count);
                let even = fair * 2 / 3..=fair * 3 / 2;
                assert!(shares.iter().all(|share| even.contains(share)), "{shares:?}");
            }
        }
    }

    #[test]
    fn the_owner_is_that_of_the_cards_queue() {
        let card = rss(8);
        let steering = Steering::by_cards(owners(3), vec![None, Some(card.clone())]);
        let hasher = FlowHasher::new(&[7; 16]);
        for n in 0..1000 {
            let flow = flow(n);
            let owner = steering.owner(1, &flow, hasher.hash(&flow));
            assert_eq!(u16::from(owner), card.queue(&flow) % 3);
        }
    }

    #[test]
    fn one_who_is_alone_owns_all() {
        let alone = Owner::default();
        let hasher = FlowHasher::new(&[7; 16]);
        assert!(alone.is_alone());
        for n in 0..1000 {
            assert_eq!(alone.other(0, &flow(n), hasher.hash(&flow(n))), None);
        }
    }

    #[test]
    fn each_flow_has_one_owner_and_the_others_name_it() {
        let hasher = FlowHasher::new(&[7; 16]);
        let all = [0, 1, 2].map(|index| Owner::new(Steering::hashed(owners(3)), index));
        for n in 0..1000 {
            let flow = flow(n);
            let named = all.each_ref().map(|one| one.other(0, &flow, hasher.hash(&flow)));
            let owner = named.iter().position(Option::is_none).unwrap();
            for (index, named) in named.into_iter().enumerate() {
                assert_eq!(named, (index != owner).then_some(owner as u8));
            }
        }
    }

    /// What chooses the owner says nothing of the place in the owner's table, or each would use a part
    /// of its table alone.
    #[test]
    fn flows_of_one_owner_lie_everywhere_in_its_table() {
        let hasher = FlowHasher::new(&[7; 16]);
        let steering = Steering::hashed(owners(4));
        let hashes = (0..40_000).map(|n| (flow(n), hasher.hash(&flow(n))));
        let mut places = [0_u32; 16];
        hashes
            .filter(|(flow, hash)| steering.owner(0, flow, *hash) == 2)
            .for_each(|(_, hash)| places[(hash.0 >> 60) as usize] += 1);
        assert!(places.iter().all(|count| (500..750).contains(count)), "{places:?}");
    }

    #[test]
    fn a_card_without_a_table_is_none() {
        assert!(Rss::new(&[1; 40], Vec::new()).is_none());
        assert!(Rss::new(&[1; 20], vec![0]).is_none());
    }
}
