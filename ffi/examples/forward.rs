//! Receives and sends on one device with this layer alone, and says how fast.
//!
//! `forward [DEVICE [ARGUMENTS]]`, `net_null0` by default. The same with testpmd:
//! `dpdk-testpmd … -- --forward-mode=io --burst=64`.

#![allow(unsafe_code, reason = "bursts name frames by index")]
#![allow(clippy::print_stdout, reason = "says what it measured")]

use std::time::{Duration, Instant};

use dpdk_sys::limits::BURST_MAX;
use dpdk_sys::{Device, DeviceSettings, Eal, EalSettings, Memory, Packet, PacketPool};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let device = words.next().unwrap_or_else(|| "net_null0".to_owned());
    let arguments = words.next().unwrap_or_default();
    let eal = Eal::init(
        &EalSettings {
            cpus: vec![0],
            memory: Memory::Ordinary { megabytes: 512 },
            pci: Vec::new(),
            arguments: Vec::new(),
        },
        |level, line| eprintln!("{level:?}: {line}"),
    )?;
    let pool = PacketPool::new(&eal, "forward", FRAMES, BUFFER_LEN, None)?;
    let settings = DeviceSettings {
        rx_queues: 1,
        tx_queues: 1,
        rx_descriptors: 512,
        tx_descriptors: 512,
        mtu: 1500,
        rx_checksum: false,
    };
    let id = eal.attach(&device, &arguments)?;
    let mut device = Device::open(id, &pool, &settings)?;
    for _ in 0..SECONDS {
        let packets = forward(&mut device, &pool, Duration::from_secs(1));
        println!("{:.2} Mpps", packets as f64 / 1e6);
    }
    Ok(())
}

/// Sends what comes for as long as said; returns how many packets that were.
fn forward(device: &mut Device, pool: &PacketPool, time: Duration) -> u64 {
    let mut packets = [Packet::default(); BURST_MAX];
    let (start, mut sent) = (Instant::now(), 0);
    while start.elapsed() < time {
        for _ in 0..BURSTS_A_LOOK {
            // SAFETY: this thread alone uses the pool, and holds no frame.
            let received = unsafe { device.rx_burst(0, &mut packets) };
            // SAFETY: the frames just received, each sent once.
            let taken = unsafe { device.tx_burst(0, &packets[..received]) };
            sent += taken as u64;
            give_back(pool, &packets[taken..received]);
        }
    }
    sent
}

/// Frees what the device did not take.
fn give_back(pool: &PacketPool, packets: &[Packet]) {
    // SAFETY: this thread alone uses the pool, whose stack has room for each of its frames.
    let stack = unsafe { pool.layout().free.as_mut() };
    for packet in packets {
        let place = stack.len as usize;
        stack.len += 1;
        // SAFETY: as above.
        unsafe { stack.indices()[place] = packet.index };
    }
}

/// As many as testpmd is given [frames].
const FRAMES: u32 = 8192;

/// testpmd's default, with the headroom [octets].
const BUFFER_LEN: u16 = 2176;

/// Between two looks at the clock [bursts].
const BURSTS_A_LOOK: u32 = 1024;

const SECONDS: u32 = 5;
