//! A wire between two interfaces: every frame that arrives at one leaves by the other, untouched.
//!
//! Bare, it is the measure of what AF_XDP can do on a machine: the benches hold the engine against
//! it. With rates of loss, reordering and duplication it is a bad network for real peers.
//!
//! ```text
//! cargo run --release --example wire -- --a wan0 --b lan0 --loss 10000 --seed 1
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use clap::Parser;
use nix::poll::{PollFd, PollFlags, poll};
use ringroad_ebpf::{AttachMode, PortSettings, Redirector};
use ringroad_engine::frame::{Burst, FramePool, Region};
use ringroad_engine::kernel;
use ringroad_engine::port::Port;
use ringroad_engine::port::af_xdp::{AfXdp, Settings, Umem};
use ringroad_engine::port::impair::{self, Impair};
use ringroad_engine::stage::monotonic;
use ringroad_hugepages::Request;
use signal_hook::consts::{SIGINT, SIGTERM};

#[derive(Debug, Parser)]
#[command(
    about = "A wire between two interfaces, as bad as you want it; ends with SIGTERM or SIGINT"
)]
struct Arguments {
    /// One end.
    #[arg(long)]
    a: String,
    /// The other.
    #[arg(long)]
    b: String,
    /// Frames lost, of a million.
    #[arg(long, default_value_t = 0)]
    loss: u32,
    /// Frames that later ones overtake, of a million.
    #[arg(long, default_value_t = 0)]
    reorder: u32,
    /// Frames sent twice, of a million.
    #[arg(long, default_value_t = 0)]
    duplicate: u32,
    /// What the chances follow from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Core to poll on.
    #[arg(long)]
    core: Option<usize>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(core) = arguments.core {
        core_affinity::set_for_current(core_affinity::CoreId { id: core });
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let routes = runtime.block_on(kernel::read_once())?;

    let mapping =
        ringroad_hugepages::map(Request { len: FRAMES * FRAME_SIZE, node: None, hugepages: true })?;
    let mut pool = FramePool::new(Region::from_hugepages(mapping), FRAME_SIZE);
    let umem = Umem::new(&pool);
    let mut ends = Vec::new();
    for (index, name) in [&arguments.a, &arguments.b].into_iter().enumerate() {
        let link = kernel::interface(&routes, name)?;
        let port = AfXdp::open(&mut pool, &umem, Settings::new(&link.name, link.ifindex, 0))?;
        let mut redirector = Redirector::load(PortSettings {
            ifindex: link.ifindex,
            interface: link.name.clone(),
            mode: AttachMode::Auto,
        })?;
        redirector.set_socket(0, port.fd().context("a port that was just opened is open")?)?;
        redirector.attach()?;
        let fate = impair::Settings {
            loss_ppm: arguments.loss,
            reorder_ppm: arguments.reorder,
            duplicate_ppm: arguments.duplicate,
            ..impair::Settings::default()
        };
        // What arrives here suffers; what leaves has suffered at the other end.
        let seed = arguments.seed.wrapping_add(index as u64);
        let port = Impair::new(port, seed, fate, impair::Settings::default());
        ends.push(End { port, out: Burst::new(), _redirector: redirector });
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    eprintln!("ready");
    while !stop.load(Ordering::Relaxed) {
        turn(&mut pool, &mut ends);
    }
    for end in &mut ends {
        end.out.drain().for_each(|frame| pool.free(frame));
        end.port.close(&mut pool);
    }
    Ok(())
}

/// One end of the wire.
struct End {
    port: Impair<AfXdp>,
    /// Frames that are to leave here.
    out: Burst,
    _redirector: Redirector,
}

/// Moves what is there from each end to the other, and sleeps when nothing is.
fn turn(pool: &mut FramePool, ends: &mut [End]) {
    let now = monotonic();
    let mut idle = true;
    for from in 0..ends.len() {
        let to = ends.len() - 1 - from;
        let mut burst = std::mem::take(&mut ends[to].out);
        ends[from].port.set_now(now);
        ends[from].port.rx_burst(pool, &mut burst);
        idle &= burst.is_empty();
        ends[to].port.tx_burst(pool, &mut burst);
        ends[to].port.flush(pool);
        ends[to].out = burst;
    }
    let held = ends.iter().any(|end| end.port.held() > 0);
    if idle && !held {
        let mut fds = [&ends[0], &ends[1]]
            .map(|end| end.port.inner().wait_fd())
            .into_iter()
            .flatten()
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect::<Vec<_>>();
        // Interrupted or not: the next turn looks again.
        let _ = poll(&mut fds, NAP_MS);
    }
}

const FRAMES: usize = 16_384;
const FRAME_SIZE: usize = 4096;
/// How long a wire without traffic sleeps before it looks at its signals [ms].
const NAP_MS: u16 = 100;
