//! A pool as an engine uses it: by index, through the shared stack.

use std::slice;
use std::sync::Arc;

use dpdk_sys::{FreeStack, PacketPool};

pub(crate) struct Frames {
    pool: Arc<PacketPool>,
}

impl Frames {
    /// Whoever calls this uses the pool from this thread only.
    pub(crate) fn new(pool: &Arc<PacketPool>) -> Self {
        Frames { pool: Arc::clone(pool) }
    }

    pub(crate) fn take(&mut self) -> Option<u32> {
        let stack = self.stack();
        stack.len = stack.len.checked_sub(1)?;
        let place = stack.len as usize;
        // SAFETY: the pool's own stack, used by this thread only.
        Some(unsafe { stack.indices()[place] })
    }

    pub(crate) fn put(&mut self, index: u32) {
        let stack = self.stack();
        let place = stack.len as usize;
        // SAFETY: as in `take`.
        unsafe { stack.indices()[place] = index };
        stack.len += 1;
    }

    /// Puts a frame of another pool over the same memory here, for good.
    pub(crate) fn adopt(&mut self, index: u32) {
        let layout = self.pool.layout();
        assert!(index < layout.frames);
        // SAFETY: the word of an existing frame, used by this thread only.
        unsafe { layout.pools.byte_add(index as usize * layout.stride).write(layout.name) };
        self.put(index);
    }

    pub(crate) fn free(&mut self) -> u32 {
        self.stack().len
    }

    pub(crate) fn refcount(&mut self, index: u32) -> &mut u16 {
        let layout = self.pool.layout();
        assert!(index < layout.frames);
        // SAFETY: the count of an existing frame, used by this thread only.
        unsafe { layout.refcounts.byte_add(index as usize * layout.stride).as_mut() }
    }

    pub(crate) fn buffer(&mut self, index: u32) -> &mut [u8] {
        let layout = self.pool.layout();
        assert!(index < layout.frames);
        // SAFETY: the buffer of an existing frame, used by this thread only.
        unsafe {
            let buffer = layout.buffers.byte_add(index as usize * layout.stride);
            slice::from_raw_parts_mut(buffer.as_ptr(), layout.buffer_len.into())
        }
    }

    fn stack(&mut self) -> &mut FreeStack {
        // SAFETY: lives as long as the pool, and is used by this thread only.
        unsafe { self.pool.layout().free.as_mut() }
    }
}
