//! Runs: neighbours in a list that are passed in one step.
//!
//! The first and the last node of a run know each other; what those between hold means nothing.
//! The scoreboard keeps what is sacked in runs, the receive queue what has no gap. Both then walk
//! over gaps, however long what lies between them is.

use super::{ChunkSlab, NIL};

impl ChunkSlab {
    /// `index` becomes a run of its own.
    #[inline]
    pub(in crate::tcp) fn begin_run(&mut self, index: u32) {
        self.node_mut(index).other_end = index;
    }

    /// From the first node of a run its last, and the other way round.
    #[inline]
    pub(in crate::tcp) fn other_end(&self, index: u32) -> u32 {
        self.count_step();
        self.node(index).other_end
    }

    /// Makes one run of that which ends with `last` and that which begins with `first`.
    pub(in crate::tcp) fn join_runs(&mut self, last: u32, first: u32) {
        let (begin, end) = (self.other_end(last), self.other_end(first));
        self.node_mut(begin).other_end = end;
        self.node_mut(end).other_end = begin;
    }

    /// Takes the first node off its run. Returns what is the first then; `NIL` if it was alone.
    pub(in crate::tcp) fn shorten_run(&mut self, first: u32) -> u32 {
        let last = self.other_end(first);
        if last == first {
            return NIL;
        }
        let second = self.next(first);
        self.node_mut(second).other_end = last;
        self.node_mut(last).other_end = second;
        second
    }
}
