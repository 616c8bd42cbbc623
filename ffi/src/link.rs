//! The wire behind a device.

#![allow(unsafe_code, reason = "calls DPDK")]

use std::sync::Arc;

use crate::{DeviceId, Eal, raw};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    pub up: bool,
    /// 0 if the device does not know.
    pub speed_mbps: u32,
}

/// Reads the link of a device. One that is gone has none.
#[derive(Clone, Debug)]
pub struct LinkReader {
    port: u16,
    _eal: Arc<Eal>,
}

impl LinkReader {
    pub fn of(device: &DeviceId) -> Self {
        LinkReader { port: device.port, _eal: Arc::clone(&device.eal) }
    }

    /// Down if the device does not say.
    pub fn read(&self) -> Link {
        let mut link = Link::default();
        // SAFETY: DPDK checks that the port exists; both places outlive the call.
        unsafe { raw::rr_link(self.port, &mut link.up, &mut link.speed_mbps) };
        link
    }
}
