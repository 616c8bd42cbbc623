//! A second list through the nodes of a send queue, in an order of its own.
//!
//! What is in flight is kept in the order in which it was sent last, so that finding what has been
//! on its way for too long ends at the first that has not (RFC 8985 §6.2 step 5). What is lost
//! waits in the order in which it was found to be. A node is in one of them at most.

use super::{ChunkSlab, NIL};

#[derive(Clone, Copy, Debug)]
pub(in crate::tcp) struct Order {
    pub(in crate::tcp) first: u32,
    pub(in crate::tcp) last: u32,
    /// Nodes in it.
    pub(in crate::tcp) count: u32,
}

impl Order {
    pub(in crate::tcp) const EMPTY: Order = Order { first: NIL, last: NIL, count: 0 };

    #[inline]
    pub(in crate::tcp) fn is_empty(&self) -> bool {
        self.first == NIL
    }

    #[inline]
    pub(in crate::tcp) fn push_back(&mut self, slab: &mut ChunkSlab, index: u32) {
        self.insert(slab, self.last, index, NIL);
    }

    pub(in crate::tcp) fn push_front(&mut self, slab: &mut ChunkSlab, index: u32) {
        self.insert(slab, NIL, index, self.first);
    }

    pub(in crate::tcp) fn insert_before(&mut self, slab: &mut ChunkSlab, index: u32, after: u32) {
        self.insert(slab, slab.node(after).earlier, index, after);
    }

    #[inline]
    fn insert(&mut self, slab: &mut ChunkSlab, before: u32, index: u32, after: u32) {
        self.link(slab, before, index);
        self.link(slab, index, after);
        self.count += 1;
    }

    #[inline]
    pub(in crate::tcp) fn remove(&mut self, slab: &mut ChunkSlab, index: u32) {
        let (earlier, later) = (slab.node(index).earlier, slab.node(index).later);
        self.link(slab, earlier, later);
        self.count -= 1;
    }

    /// Puts all of `front` before what is here.
    pub(in crate::tcp) fn prepend(&mut self, slab: &mut ChunkSlab, front: Order) {
        if front.is_empty() {
            return;
        }
        self.link(slab, front.last, self.first);
        self.first = front.first;
        self.count += front.count;
    }

    /// Makes `later` follow `earlier`; `NIL` is the end of the list on either side.
    #[inline]
    fn link(&mut self, slab: &mut ChunkSlab, earlier: u32, later: u32) {
        match earlier {
            NIL => self.first = later,
            _ => slab.node_mut(earlier).later = later,
        }
        match later {
            NIL => self.last = earlier,
            _ => slab.node_mut(later).earlier = earlier,
        }
    }
}
