//! Any sequence of calls on three pools of one memory, against a model that knows every frame.

use std::collections::HashMap;

use proptest::prelude::*;
use proptest::sample::Index;

use crate::frame::{Frame, FramePool, Loan, Transit};

/// What is done, and to which of those that it can be done to.
#[derive(Clone, Copy, Debug)]
enum Op {
    Alloc(usize),
    Share(Index),
    Free(Index),
    Depart(Index),
    Arrive(usize, Index),
    DepartFree(usize),
    ArriveFree(usize, Index),
    Lend(Index),
    Host(usize, Index),
    GiveToDevice(Index),
    TakeFromDevice(Index),
    LetGuestsGo(usize, usize),
    ReceiveBack(Index),
}

fn op() -> impl Strategy<Value = Op> {
    let (pool, which) = (|| 0..POOLS, any::<Index>);
    prop_oneof![
        3 => pool().prop_map(Op::Alloc),
        2 => which().prop_map(Op::Share),
        2 => which().prop_map(Op::Free),
        1 => which().prop_map(Op::Depart),
        1 => (pool(), which()).prop_map(|(to, which)| Op::Arrive(to, which)),
        1 => pool().prop_map(Op::DepartFree),
        1 => (pool(), which()).prop_map(|(to, which)| Op::ArriveFree(to, which)),
        2 => which().prop_map(Op::Lend),
        2 => (pool(), which()).prop_map(|(to, which)| Op::Host(to, which)),
        1 => which().prop_map(Op::GiveToDevice),
        1 => which().prop_map(Op::TakeFromDevice),
        1 => (pool(), pool()).prop_map(|(host, lender)| Op::LetGuestsGo(host, lender)),
        2 => which().prop_map(Op::ReceiveBack),
    ]
}

/// What is known of a frame that somebody holds.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// The pool that it is in; `None` in transit.
    owner: Option<usize>,
    /// What it holds.
    mark: u32,
    /// Handles of its owner's, in hand or with a device.
    handles: usize,
    lent: bool,
}

struct World {
    pools: [FramePool; POOLS],
    /// Handles in hand, each with its pool.
    hands: Vec<(usize, Frame)>,
    /// With devices: pool, offset and length.
    devices: Vec<(usize, u64, usize)>,
    /// With the number of a frame that holds something.
    transits: Vec<(Option<u32>, Transit)>,
    loans: Vec<Loan>,
    returning: Vec<Loan>,
    known: HashMap<u32, Known>,
    /// Of each pool, whatever is done in it.
    capacities: [usize; POOLS],
    guests: [usize; POOLS],
    next_mark: u32,
}

impl World {
    fn new(shares: [usize; POOLS]) -> Self {
        let pool = FramePool::in_memory(shares.iter().sum(), 2048);
        World {
            pools: pool.split(&shares).try_into().unwrap(),
            hands: Vec::new(),
            devices: Vec::new(),
            transits: Vec::new(),
            loans: Vec::new(),
            returning: Vec::new(),
            known: HashMap::new(),
            capacities: shares,
            guests: [0; POOLS],
            next_mark: 0,
        }
    }

    /// Does it, or nothing if there is nothing that it can be done to.
    fn apply(&mut self, op: Op) {
        match op {
            Op::Alloc(at) => match self.pools[at].alloc() {
                Some(frame) => {
                    assert!(!self.known.contains_key(&frame.index()), "somebody holds it");
                    self.have(at, frame);
                }
                None => assert_eq!(self.pools[at].free_count(), 0),
            },
            Op::Share(which) => {
                let sole = |world: &Self, at: usize, frame: &Frame| {
                    world.handles(at, frame) == 1
                        && (world.is_guest(at, frame) || !world.known[&frame.index()].lent)
                };
                let Some(place) = self.pick(which, sole) else { return };
                let (at, frame) = &self.hands[place];
                let (at, second) = (*at, self.pools[*at].share(frame));
                if !self.is_guest(at, &second) {
                    self.of(&second).handles += 1;
                }
                self.hands.push((at, second));
            }
            Op::Free(which) => {
                let Some(place) = self.pick(which, |_, _, _| true) else { return };
                let (at, frame) = self.hands.swap_remove(place);
                self.forget_handle(at, &frame);
                self.pools[at].free(frame);
            }
            Op::Depart(which) => {
                let Some(place) = self.pick(which, Self::can_be_written) else { return };
                let (at, frame) = self.hands.swap_remove(place);
                *self.of(&frame) = Known { owner: None, handles: 0, ..*self.of(&frame) };
                self.capacities[at] -= 1;
                self.transits.push((Some(frame.index()), self.pools[at].depart(frame)));
            }
            Op::Arrive(to, which) => {
                let Some((_, transit)) = take(&mut self.transits, which) else { return };
                self.capacities[to] += 1;
                let frame = self.pools[to].arrive(transit);
                if let Some(known) = self.known.get(&frame.index()) {
                    assert_eq!(self.pools[to].bytes(&frame), known.mark.to_be_bytes());
                }
                self.have(to, frame);
            }
            Op::DepartFree(at) => {
                let Some(transit) = self.pools[at].depart_free() else { return };
                self.capacities[at] -= 1;
                self.transits.push((None, transit));
            }
            Op::ArriveFree(to, which) => {
                let Some((index, transit)) = take(&mut self.transits, which) else { return };
                self.capacities[to] += 1;
                self.pools[to].arrive_free(transit);
                index.and_then(|index| self.known.remove(&index));
            }
            Op::Lend(which) => {
                let own = |world: &Self, at: usize, frame: &Frame| {
                    !world.is_guest(at, frame) && !world.known[&frame.index()].lent
                };
                let Some(place) = self.pick(which, own) else { return };
                let (at, frame) = self.hands.swap_remove(place);
                self.of(&frame).handles -= 1;
                self.of(&frame).lent = true;
                self.loans.push(self.pools[at].lend(frame));
            }
            Op::Host(to, which) => {
                if self.loans.is_empty() {
                    return;
                }
                let place = which.index(self.loans.len());
                if usize::from(self.loans[place].lender()) == to {
                    return;
                }
                let guest = self.pools[to].host(self.loans.swap_remove(place));
                self.guests[to] += 1;
                self.hands.push((to, guest));
            }
            Op::GiveToDevice(which) => {
                let Some(place) = self.pick(which, |_, _, _| true) else { return };
                let (at, frame) = self.hands.swap_remove(place);
                let len = frame.len();
                self.devices.push((at, self.pools[at].give_to_device(frame), len));
            }
            Op::TakeFromDevice(which) => {
                let Some((at, offset, len)) = take(&mut self.devices, which) else { return };
                let frame = self.pools[at].take_from_device(offset, len).expect("it had it");
                self.hands.push((at, frame));
            }
            Op::LetGuestsGo(host, lender) => {
                let left: Vec<Loan> = self.pools[host].departing_guests(lender as u8).collect();
                assert!(left.iter().all(|loan| usize::from(loan.lender()) == lender));
                self.guests[host] -= left.len();
                self.returning.extend(left);
            }
            Op::ReceiveBack(which) => {
                let Some(loan) = take(&mut self.returning, which) else { return };
                let (index, lender) = (loan.index(), usize::from(loan.lender()));
                self.pools[lender].receive_back(loan);
                let known = self.known.get_mut(&index).unwrap();
                assert!(known.owner == Some(lender) && known.lent);
                known.lent = false;
                if known.handles == 0 {
                    self.known.remove(&index);
                }
            }
        }
        self.check();
    }

    /// A handle in hand that `fits`.
    fn pick(&self, which: Index, fits: impl Fn(&Self, usize, &Frame) -> bool) -> Option<usize> {
        let places: Vec<usize> = (0..self.hands.len())
            .filter(|place| fits(self, self.hands[*place].0, &self.hands[*place].1))
            .collect();
        (!places.is_empty()).then(|| places[which.index(places.len())])
    }

    fn of(&mut self, frame: &Frame) -> &mut Known {
        self.known.get_mut(&frame.index()).unwrap()
    }

    fn is_guest(&self, at: usize, frame: &Frame) -> bool {
        self.known[&frame.index()].owner != Some(at)
    }

    /// Handles to the frame in this pool.
    fn handles(&self, at: usize, frame: &Frame) -> usize {
        let in_hand =
            self.hands.iter().filter(|(pool, f)| (*pool, f.index()) == (at, frame.index()));
        let here = |offset: u64| offset / 2048 == u64::from(frame.index());
        in_hand.count() + self.devices.iter().filter(|d| d.0 == at && here(d.1)).count()
    }

    fn can_be_written(&self, at: usize, frame: &Frame) -> bool {
        !self.is_guest(at, frame)
            && !self.known[&frame.index()].lent
            && self.known[&frame.index()].handles == 1
    }

    fn forget_handle(&mut self, at: usize, frame: &Frame) {
        if self.is_guest(at, frame) {
            return;
        }
        self.of(frame).handles -= 1;
        if self.of(frame).handles == 0 && !self.of(frame).lent {
            self.known.remove(&frame.index());
        }
    }

    /// Takes a frame's only handle into hand, and writes something new to it.
    fn have(&mut self, at: usize, mut frame: Frame) {
        self.next_mark += 1;
        let mark = self.next_mark;
        frame.truncate(0);
        let octets = self.pools[at].push_back(&mut frame, 4).unwrap();
        octets.copy_from_slice(&mark.to_be_bytes());
        let known = Known { owner: Some(at), mark, handles: 1, lent: false };
        self.known.insert(frame.index(), known);
        self.hands.push((at, frame));
    }

    /// What must hold between any two calls.
    fn check(&self) {
        for (at, pool) in self.pools.iter().enumerate() {
            let held = self.known.values().filter(|known| known.owner == Some(at)).count();
            assert_eq!(pool.held_count(), held);
            assert_eq!(pool.capacity(), self.capacities[at]);
            assert_eq!(pool.free_count() + pool.held_count(), pool.capacity());
            assert_eq!(pool.guest_count(), self.guests[at]);
        }
        let capacity: usize = self.pools.iter().map(FramePool::capacity).sum();
        assert_eq!(capacity + self.transits.len(), self.pools[0].index_end());
        for (at, frame) in &self.hands {
            let pool = &self.pools[*at];
            assert_eq!(pool.is_shared(frame), !self.can_be_written(*at, frame), "{frame:?}");
            let mark = self.known[&frame.index()].mark;
            assert_eq!(pool.bytes(frame), mark.to_be_bytes(), "frame {}", frame.index());
        }
    }

    /// Brings everything home.
    fn settle(mut self) {
        while let Some((at, offset, len)) = self.devices.pop() {
            let frame = self.pools[at].take_from_device(offset, len).unwrap();
            self.pools[at].free(frame);
        }
        for loan in self.loans.drain(..) {
            let to = (usize::from(loan.lender()) + 1) % POOLS;
            self.hands.push((to, self.pools[to].host(loan)));
        }
        self.hands.drain(..).for_each(|(at, frame)| self.pools[at].free(frame));
        self.transits.drain(..).for_each(|(_, transit)| self.pools[0].arrive_free(transit));
        for (host, lender) in (0..POOLS).flat_map(|host| (0..POOLS).map(move |to| (host, to))) {
            self.returning.extend(self.pools[host].departing_guests(lender as u8));
        }
        for loan in self.returning {
            self.pools[usize::from(loan.lender())].receive_back(loan);
        }
        for pool in &self.pools {
            let figures = (pool.free_count(), pool.held_count(), pool.with_devices());
            assert_eq!((figures, pool.guest_count()), ((pool.capacity(), 0, 0), 0));
        }
    }
}

proptest! {
    #[test]
    fn frames_are_where_they_should_be(
        shares in [0..6usize, 0..6, 1..6],
        ops in prop::collection::vec(op(), 1..300),
    ) {
        let mut world = World::new(shares);
        ops.into_iter().for_each(|op| world.apply(op));
        world.settle();
    }
}

fn take<T>(items: &mut Vec<T>, which: Index) -> Option<T> {
    (!items.is_empty()).then(|| items.swap_remove(which.index(items.len())))
}

const POOLS: usize = 3;
