//! Pairs that are quiet fall asleep, and wake when something happens to them.
//!
//! A pair awake takes as much memory as TCP at work may need; a sleeping one a third of that. So
//! there is room for as many awake as can be at work at once, and for all others asleep. Which it is
//! shows nowhere but in the flow table: a segment of a sleeping pair wakes it and is then a segment
//! like any other.
//!
//! Nothing scans for quiet pairs. Those awake wait in a row, each once; the first is looked at when
//! it has been in the row for [`DORMANT_AFTER`], and falls asleep or goes to the end. When room runs
//! short the row moves on before its time, and whatever is quiet sleeps at once: to wake again costs
//! less than a microsecond.

use std::collections::VecDeque;
use std::ops::Range;

use ringroad_ebpf::KnownFlows;

use super::{Slot, Worker};
use crate::flow::{FlowKey, FlowTable};
use crate::limits::{
    AWAKE_PAIRS_MIN, AWAKE_PAIRS_SPARE, DORMANT_AFTER, IDLE_CONNECTION_OCTETS_MAX,
    LOOKS_FOR_QUIET_MAX, WAKE_RETRY, WHEEL_TICK,
};
use crate::proxy::{DormantPair, DormantTable, Side};
use crate::tcp::wheel::TimingWheel;
use crate::time::Instant;

/// Sleeping pairs with their timers, and the row of those awake.
#[derive(Debug)]
pub(super) struct Dormitory {
    sleepers: DormantTable,
    /// By index of a sleeper: when it has something to do by itself.
    wheel: TimingWheel,
    /// The row. Sooner ones first, as all wait equally long.
    row: VecDeque<Place>,
    /// By index of a pair: whether it has a place in the row, or one that it has left has.
    in_row: Box<[bool]>,
    /// Pairs that could wake at once if all this is well.
    spare: usize,
    /// Sleepers from this one on are still to be woken and reset: the end of a drain.
    aborting_from: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    pair: u32,
    look_at: Instant,
}

impl Dormitory {
    /// For `pairs` in all, of which `awake` at one time. Takes all memory that it will ever need.
    pub(super) fn new(pairs: usize, awake: usize, now: Instant) -> Self {
        Dormitory {
            sleepers: DormantTable::new(pairs),
            wheel: TimingWheel::new(pairs, WHEEL_TICK, now),
            row: VecDeque::with_capacity(awake),
            in_row: vec![false; awake].into(),
            spare: if awake < pairs { AWAKE_PAIRS_SPARE } else { 0 },
            aborting_from: None,
        }
    }

    /// Pairs that sleep.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.sleepers.len()
    }

    /// Pairs that it has room for.
    #[inline]
    pub(super) fn capacity(&self) -> usize {
        self.sleepers.capacity()
    }

    pub(super) fn get(&self, index: u32) -> Option<&DormantPair> {
        self.sleepers.get(index)
    }

    /// Indices that may be in use.
    pub(super) fn indices(&self) -> Range<u32> {
        self.sleepers.indices()
    }

    /// When there is next something to do.
    #[inline]
    pub(super) fn next_deadline(&self) -> Instant {
        let look_at = self.row.front().map_or(Instant::FAR_FUTURE, |place| place.look_at);
        self.wheel.next_deadline_hint().min(look_at)
    }
}

impl Worker {
    /// A pair awake takes its place in the row.
    pub(super) fn line_up(&mut self, pair: u32) {
        let Dormitory { row, in_row, .. } = &mut self.dormitory;
        if let Some(in_row) = in_row.get_mut(pair as usize)
            && !*in_row
        {
            *in_row = true;
            row.push_back(Place { pair, look_at: self.now + DORMANT_AFTER });
        }
    }

    /// Lets pairs fall asleep that have been quiet for a while, or that others need the room of.
    pub(super) fn doze(&mut self) {
        for _ in 0..LOOKS_FOR_QUIET_MAX {
            let Some(first) = self.dormitory.row.front() else { return };
            let short = self.pairs.free_count() < self.dormitory.spare;
            if first.look_at > self.now && !short {
                return;
            }
            self.look_at_first(short);
        }
    }

    /// Wakes those whose time has come, within what is left of `budget`.
    pub(super) fn wake_due(&mut self, budget: &mut u32) {
        while let Some(index) = self.dormitory.wheel.expired(self.now, budget) {
            match self.wake(index) {
                Some(pair) => self.on_deadline(pair),
                None => self.dormitory.wheel.arm(index, self.now + WAKE_RETRY),
            }
        }
    }

    /// Makes a sleeping pair one that is awake, to be looked at in this turn's flush. `None` if all
    /// that are awake are busy and there is no room for another.
    pub(super) fn wake(&mut self, index: u32) -> Option<u32> {
        if self.pairs.is_full() && !self.make_room() {
            return None;
        }
        let sleeper = self.dormitory.sleepers.get(index)?;
        let settings = &self.services[usize::from(sleeper.service)].settings;
        let mut pair = sleeper.wake(settings, self.now);
        if self.dormitory.aborting_from.is_some() {
            pair.legs.iter_mut().flatten().for_each(|leg| leg.tcp.abort());
        }
        let keys = sleeper.legs.each_ref().map(|leg| leg.key);
        let pair = self.pairs.insert(pair).ok()?;
        self.dormitory.sleepers.remove(index);
        self.dormitory.wheel.cancel(index);
        self.rename_flows(&keys, |side| Slot::Leg { pair, side });
        self.line_up(pair);
        self.enqueue(pair);
        Some(pair)
    }

    /// Tries to let a pair sleep so that another can be awake.
    pub(super) fn make_room(&mut self) -> bool {
        for _ in 0..LOOKS_FOR_QUIET_MAX {
            self.look_at_first(true);
            if !self.pairs.is_full() {
                return true;
            }
        }
        false
    }

    /// Resets all that sleep: they are woken as there is room, by this flush and those that follow.
    pub(super) fn abort_sleepers(&mut self) {
        self.dormitory.aborting_from = Some(0);
        self.go_on_aborting();
    }

    /// Goes on with it.
    pub(super) fn go_on_aborting(&mut self) {
        while let Some(index) = self.dormitory.aborting_from {
            if index == self.dormitory.sleepers.indices().end {
                self.dormitory.aborting_from = None;
            } else if self.dormitory.sleepers.get(index).is_some() && self.wake(index).is_none() {
                return;
            } else {
                self.dormitory.aborting_from = Some(index + 1);
            }
        }
    }

    fn look_at_first(&mut self, short: bool) {
        let Some(Place { pair: index, .. }) = self.dormitory.row.pop_front() else { return };
        self.dormitory.in_row[index as usize] = false;
        // Its place may have outlived it.
        let Some(pair) = self.pairs.get(index) else { return };
        let quiet = self.now.since(pair.stirred_at) >= DORMANT_AFTER;
        if !((short || quiet) && self.fall_asleep(index)) {
            self.line_up(index);
        }
    }

    /// Puts a pair to sleep, if it is quiet.
    fn fall_asleep(&mut self, pair: u32) -> bool {
        self.take_samples_now(pair);
        let Some(sleeper) = self.pairs.get(pair).and_then(|pair| pair.sleep(self.now)) else {
            return false;
        };
        let settings = &self.services[usize::from(sleeper.service)].settings;
        let deadline = sleeper.deadline(settings);
        let keys = sleeper.legs.each_ref().map(|leg| leg.key);
        let Ok(index) = self.dormitory.sleepers.insert(sleeper) else { return false };
        self.dormitory.wheel.arm(index, deadline);
        self.rename_flows(&keys, |side| Slot::Dormant { index, side });
        self.wheel.cancel(pair);
        self.pairs.remove(pair);
        true
    }

    fn rename_flows(&mut self, keys: &[FlowKey; 2], slot: impl Fn(Side) -> Slot) {
        for side in Side::BOTH {
            let key = keys[side as usize];
            let replaced = self.flows.insert(key, self.hash(&key), slot(side).encode());
            debug_assert!(matches!(replaced, Ok(Some(_))), "{key} has an entry all the time");
        }
    }
}

/// Of `pairs`, those that can be at work at one time with a pool of `frames`.
pub(super) fn awake_for(pairs: usize, frames: usize) -> usize {
    pairs.min(frames.max(AWAKE_PAIRS_MIN))
}

/// What an idle connection takes, both of its legs and its share of every table [octets]: the
/// sleeper and its timer, two flows at the worst load of their table, two of the shield's
/// fingerprints likewise, and a source port.
pub const fn idle_connection_octets() -> usize {
    let flow = FlowTable::OCTETS_PER_FLOW_MAX + KnownFlows::OCTETS_PER_FLOW_MAX;
    DormantTable::ENTRY_OCTETS + TimingWheel::OCTETS_PER_TIMER + 2 * flow + size_of::<u16>()
}

const _: () = assert!(idle_connection_octets() <= IDLE_CONNECTION_OCTETS_MAX);
