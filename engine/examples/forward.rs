//! What the DPDK backend costs above bare DPDK: packets from a device's receive queue to its send
//! queue and nothing in between, as testpmd does it.
//!
//!     forward DEVICE[,ARGUMENTS] io|macswap SECONDS [FRAMES]
//!
//! For example `forward net_null0 io 3`. Prints the packets sent per second.

#![allow(clippy::print_stdout, reason = "a program that prints a figure")]

use std::env;
use std::error::Error;
use std::time::{Duration, Instant as Clock};

use dpdk_sys::{Eal, EalSettings, Memory};
use ringroad_engine::frame::{Burst, FramePool};
use ringroad_engine::port::Port;
use ringroad_engine::port::dpdk::{self, Dpdk};
use ringroad_engine::time::Instant;

/// Turns between two looks at the clock: a lane looks twice a turn, testpmd never.
const TURNS: u32 = 1024;

/// As testpmd's, given the same number of mbufs.
const FRAMES: u32 = 8192;
const FRAME_SIZE: u16 = 2176;
const DESCRIPTORS: u16 = 512;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [vdev, mode, seconds, frames @ ..] = &arguments[..] else {
        return Err("usage: forward DEVICE[,ARGUMENTS] io|macswap SECONDS [FRAMES]".into());
    };
    let swaps = match mode.as_str() {
        "io" => false,
        "macswap" => true,
        _ => return Err(format!("{mode}: io or macswap").into()),
    };
    let length = Duration::from_secs(seconds.parse()?);
    let frames = frames.first().map_or(Ok(FRAMES), |frames| frames.parse())?;
    let cpus = core_affinity::get_core_ids().unwrap_or_default();
    let eal = Eal::init(
        &EalSettings {
            cpus: cpus.into_iter().map(|cpu| cpu.id).collect(),
            memory: Memory::Ordinary { megabytes: frames * u32::from(FRAME_SIZE) / (1 << 19) + 64 },
            pci: Vec::new(),
            arguments: Vec::new(),
        },
        |_, _| (),
    )?;
    let (device, arguments) = vdev.split_once(',').unwrap_or((vdev, ""));
    let id = eal.attach(device, arguments)?;
    let (mut pool, memory) = dpdk::Memory::new(&eal, "forward", frames, FRAME_SIZE, None)?;
    let settings = dpdk::Settings {
        rx_queues: 1,
        rx_descriptors: DESCRIPTORS,
        tx_descriptors: DESCRIPTORS,
        mtu: 1500,
    };
    let mut port = Dpdk::open(&mut pool, &memory, id, settings)?;
    let per_second = forward(&mut port, &mut pool, swaps, length);
    port.close(&mut pool);
    assert_eq!(pool.free_count(), pool.capacity(), "every frame is home");
    println!("{per_second:.0}");
    Ok(())
}

/// Returns the packets sent per second.
fn forward(port: &mut Dpdk, pool: &mut FramePool, swaps: bool, length: Duration) -> f64 {
    let (mut received, mut burst) = (Burst::new(), Burst::new());
    let (start, mut sent) = (Clock::now(), 0u64);
    loop {
        for _ in 0..TURNS {
            port.rx_burst(pool, &mut received);
            if swaps {
                swap_addresses(pool, &mut received, &mut burst);
            } else {
                std::mem::swap(&mut received, &mut burst);
            }
            sent += burst.len() as u64;
            port.tx_burst(pool, &mut burst);
            for refused in burst.drain() {
                sent -= 1;
                pool.free(refused);
            }
            port.flush(pool);
        }
        let elapsed = start.elapsed();
        port.set_now(Instant::ZERO + elapsed);
        if elapsed >= length {
            return sent as f64 / elapsed.as_secs_f64();
        }
    }
}

fn swap_addresses(pool: &mut FramePool, received: &mut Burst, burst: &mut Burst) {
    received.iter().for_each(|frame| pool.prefetch(frame));
    for mut frame in received.drain() {
        if let Some(addresses) = pool.bytes_mut(&mut frame).first_chunk_mut::<12>() {
            addresses.rotate_left(6);
        }
        if let Err(frame) = burst.push(frame) {
            pool.free(frame);
        }
    }
}
