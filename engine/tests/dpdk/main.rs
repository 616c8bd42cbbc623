//! Ports driven by DPDK, on its virtual devices and ordinary memory.
//!
//! DPDK starts once in a process: the tests share one environment, and take turns with devices.

#![allow(unreachable_pub, reason = "modules of a test have no other public")]

mod checksums;
mod guests;
mod lane;
mod lanes;
mod pool;
mod queues;
mod ring;
mod tap;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use dpdk_sys::{Eal, EalSettings, Error};
use ringroad_engine::frame::{Frame, FramePool};
use ringroad_engine::port::dpdk::{Dpdk, Memory, Settings};
use ringroad_simulation::appliance::{apps, packet, peer, rig};

/// The environment, for one test at a time.
fn eal() -> MutexGuard<'static, Arc<Eal>> {
    static EAL: OnceLock<Mutex<Arc<Eal>>> = OnceLock::new();
    let start = || {
        let settings = EalSettings {
            cpus: vec![0],
            memory: dpdk_sys::Memory::Ordinary { megabytes: 64 },
            pci: Vec::new(),
            arguments: Vec::new(),
        };
        Mutex::new(Eal::init(&settings, |_, _| {}).expect("DPDK to start"))
    };
    EAL.get_or_init(start).lock().unwrap_or_else(PoisonError::into_inner)
}

/// A pool of its own name.
fn memory(eal: &Arc<Eal>, frames: usize) -> (FramePool, Memory) {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let name = format!("test{}", MADE.fetch_add(1, Ordering::Relaxed));
    Memory::new(eal, &name, frames as u32, FRAME_SIZE, None).expect("memory")
}

/// What a test of a port has to itself.
struct Bench {
    pool: FramePool,
    memory: Memory,
    eal: MutexGuard<'static, Arc<Eal>>,
}

impl Bench {
    fn new(frames: usize) -> Bench {
        let eal = eal();
        let (pool, memory) = memory(&eal, frames);
        Bench { pool, memory, eal }
    }

    /// With the pool of another core over the same memory, that has `share` of the frames.
    fn with_worker(frames: usize, share: usize) -> (Bench, FramePool) {
        let Bench { pool, memory, eal } = Bench::new(frames);
        let [pool, worker] = pool.split(&[frames - share, share]).try_into().expect("two");
        (Bench { pool, memory, eal }, worker)
    }

    fn open(&mut self, device: &str, arguments: &str) -> Dpdk {
        self.try_open(device, arguments, 1).expect("a device")
    }

    fn try_open(&mut self, device: &str, arguments: &str, rx_queues: u16) -> Result<Dpdk, Error> {
        let id = self.eal.attach(device, arguments)?;
        let settings = Settings { rx_queues, rx_descriptors: 256, tx_descriptors: 256, mtu: 1500 };
        Dpdk::open(&mut self.pool, &self.memory, id, settings)
    }

    fn frame(&mut self, octets: &[u8]) -> Frame {
        let mut frame = self.pool.alloc().expect("a free frame");
        self.pool.push_back(&mut frame, octets.len()).expect("room").copy_from_slice(octets);
        frame
    }

    #[track_caller]
    fn assert_all_home(&self) {
        let pool = &self.pool;
        assert_eq!((pool.free_count(), pool.held_count()), (pool.capacity(), 0));
        assert_eq!(pool.with_devices(), 0);
        assert!(!pool.is_scarce() && !pool.is_tight(), "nothing is reserved");
    }
}

/// Holds a packet of 1,500 octets and the headroom [octets].
const FRAME_SIZE: u16 = 2176;
