//! Packet memory of DPDK's, and the pools of those cores that have devices.

#![allow(unsafe_code, reason = "pools are laid over memory that drivers use")]

use std::sync::Arc;

use dpdk_sys::limits::HEADROOM;
use dpdk_sys::{Eal, Error, PacketPool};

use crate::frame::{FramePool, Layout, Mark, Store};

/// Packet memory of DPDK's, for the devices of one core or of several.
#[derive(Debug)]
pub struct Memory {
    /// By core that has devices.
    packets: Vec<Arc<PacketPool>>,
    /// Of all but the first, until there are pools of them.
    others: Vec<Store>,
}

impl Memory {
    /// Takes `frames` frames of `frame_size` octets, on NUMA node `node` if that matters, and makes
    /// the pool of one core of them. If that is [split](FramePool::split), the first is for devices.
    pub fn new(
        eal: &Arc<Eal>,
        name: &str,
        frames: u32,
        frame_size: u16,
        node: Option<u32>,
    ) -> Result<(FramePool, Memory), Error> {
        Self::for_lanes(eal, 1, name, frames, frame_size, node)
    }

    /// The same for so many lanes. Their pools are made by [`Memory::split`].
    pub fn for_lanes(
        eal: &Arc<Eal>,
        lanes: usize,
        name: &str,
        frames: u32,
        frame_size: u16,
        node: Option<u32>,
    ) -> Result<(FramePool, Memory), Error> {
        let mut packets = vec![PacketPool::new(eal, name, frames, frame_size, node)?];
        for lane in 1..lanes {
            packets.push(PacketPool::over(&packets[0], &format!("{name}-{lane}"))?);
        }
        let mut stores: Vec<Store> =
            packets.iter().enumerate().map(|(lane, pool)| store(pool, lane, lanes)).collect();
        let others = stores.split_off(1);
        let first = stores.pop().unwrap_or_else(|| unreachable!("there is a first pool"));
        Ok((FramePool::from_store(first), Memory { packets, others }))
    }

    /// Divides the pool of this memory among its lanes, with so many free frames each. Devices use
    /// each of them.
    ///
    /// # Panics
    /// As [`FramePool::split`]; or if the memory was not made for as many lanes, or is divided already.
    pub fn split(&mut self, pool: FramePool, shares: &[usize]) -> Vec<FramePool> {
        pool.split_among(std::mem::take(&mut self.others), shares)
    }

    /// Where the drivers' frames are, by lane.
    pub(super) fn packets(&self) -> &[Arc<PacketPool>] {
        &self.packets
    }

    /// Whether drivers take from the stacks of these very pools and give to them, in this order.
    pub(super) fn is_of(&self, pools: &[FramePool]) -> bool {
        let stack = |packets: &Arc<PacketPool>| packets.layout().free.as_ptr() as usize;
        self.packets.iter().map(stack).eq(pools.iter().map(FramePool::stack_address))
    }
}

/// The store of the drivers' frames that this lane, of so many, has.
fn store(packets: &Arc<PacketPool>, lane: usize, lanes: usize) -> Store {
    let layout = packets.layout();
    let foreign = Layout {
        frames: layout.buffers,
        stride: layout.stride,
        frame_size: usize::from(layout.buffer_len),
        headroom: usize::from(HEADROOM),
        index_end: layout.frames,
        capacity: if lane == 0 { layout.usable } else { 0 },
        holders: layout.refcounts,
        holders_stride: layout.stride,
        // An mbuf in its pool keeps the reference that whoever takes it will have.
        holders_when_free: 1,
        free: layout.free.cast(),
        mark: (lanes > 1).then_some(Mark { place: layout.pools, value: layout.name }),
    };
    // SAFETY: the layout says where the frames, their counts and marks and the stack are, as long as
    // `packets` lives, which the store keeps. It is the only store that has this stack, and those of
    // other lanes have marks as this one has. Drivers use a lane's frames and its stack in calls of
    // this room alone, on the thread that has the lane's pool, as it lends it to each call, or while
    // all lanes wait for the device to stop; and they put a frame of which they are the last to hold
    // it on the stack of the lane that it is marked to be of.
    unsafe { Store::foreign(foreign, Box::new(Arc::clone(packets))) }
}
