//! What an engine relies on, tried on DPDK's virtual devices with ordinary memory.
//!
//! DPDK starts once in a process: the tests share one environment, and take turns.

#![allow(unsafe_code, reason = "frames are reached by pointer")]
#![allow(clippy::print_stdout, reason = "a test of the screen runs this binary again")]

mod devices;
mod frames;
mod pool;
mod processes;
mod tap;

use std::io::{self, Write as _};
use std::slice;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use dpdk_sys::{Device, DeviceSettings, Eal, EalSettings, Memory, PacketPool};

/// The environment, for one test at a time.
fn eal() -> MutexGuard<'static, Arc<Eal>> {
    static EAL: OnceLock<Mutex<Arc<Eal>>> = OnceLock::new();
    EAL.get_or_init(|| Mutex::new(Eal::init(&eal_settings(), |_, _| {}).unwrap()))
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

fn eal_settings() -> EalSettings {
    EalSettings {
        cpus: vec![0],
        memory: Memory::Ordinary { megabytes: 64 },
        pci: Vec::new(),
        arguments: Vec::new(),
    }
}

fn pool(eal: &Arc<Eal>, frames: u32) -> Arc<PacketPool> {
    PacketPool::new(eal, "test", frames, BUFFER_LEN, None).unwrap()
}

/// One queue each way, with settings that every device takes.
fn open(eal: &Arc<Eal>, pool: &Arc<PacketPool>, device: &str, arguments: &str) -> Device {
    Device::open(eal.attach(device, arguments).unwrap(), slice::from_ref(pool), &settings())
        .unwrap()
}

fn settings() -> DeviceSettings {
    DeviceSettings {
        rx_queues: 1,
        tx_queues: 1,
        rx_descriptors: 256,
        tx_descriptors: 256,
        mtu: 1500,
        rx_checksum: false,
    }
}

/// Says that a test had nothing to try, past the harness, which would keep it to itself.
fn skip(reason: &str) {
    let _ = writeln!(io::stderr(), "\nSKIP {reason}");
}

/// Holds a packet of 1,500 octets and the headroom [octets].
const BUFFER_LEN: u16 = 2176;
