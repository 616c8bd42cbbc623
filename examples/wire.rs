//! A wire between two interfaces: every frame that arrives at one leaves by the other, untouched.
//!
//! Bare, it is the measure of what AF_XDP can do on a machine: the benches hold the engine against
//! it. With rates of loss, reordering and duplication it is a bad network for real peers.
//!
//! ```text
//! cargo run --release --example wire -- --a wan0 --b lan0 --loss 10000 --seed 1
//! ```

mod ends;

use anyhow::Result;
use clap::Parser;
use ends::{End, Fate};
use nix::poll::{PollFd, PollFlags, poll};
use ringroad_engine::frame::FramePool;
use ringroad_engine::port::Port;
use ringroad_engine::port::impair;
use ringroad_engine::stage::monotonic;

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
    let path = impair::Settings {
        loss_ppm: arguments.loss,
        reorder_ppm: arguments.reorder,
        duplicate_ppm: arguments.duplicate,
        ..impair::Settings::default()
    };
    let fates = [
        Fate { interface: &arguments.a, seed: arguments.seed, path },
        Fate { interface: &arguments.b, seed: arguments.seed.wrapping_add(1), path },
    ];
    let (mut pool, mut ends) = ends::open(fates, FRAME_SIZE)?;
    ends::run(|| turn(&mut pool, &mut ends))?;
    ends::close(pool, ends);
    Ok(())
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

const FRAME_SIZE: usize = 4096;
/// How long a wire without traffic sleeps before it looks at its signals [ms].
const NAP_MS: u16 = 100;
