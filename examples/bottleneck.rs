//! A bottleneck between two interfaces: what crosses from one to the other goes through a narrow
//! link with a queue in front, a delay behind it, and losses that follow from a seed.
//!
//! Two senders that are measured through it one after the other, with the same seed, lose the same
//! packets: the third, the hundredth, whenever they send them. It works by its own clock: when a
//! packet leaves the link is computed when it arrives, so that being woken late shifts packets and
//! does not change the link's rate. How late it was is in its report, one line of JSON on standard
//! output when SIGTERM or SIGINT ends it; a measurement with a late bottleneck is worth nothing.
//!
//! ```text
//! cargo run --release --example bottleneck -- --near c0 --far e0 \
//!     --rate-bps 50000000 --delay-us 50000 --queue-octets 625000 --loss 10000 --seed 1
//! ```

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::prctl;
use nix::sys::time::TimeSpec;
use ringroad_ebpf::{AttachMode, PortSettings, Redirector};
use ringroad_engine::frame::{Burst, FramePool, Region};
use ringroad_engine::kernel;
use ringroad_engine::port::Port;
use ringroad_engine::port::af_xdp::{AfXdp, Settings, Umem};
use ringroad_engine::port::impair::{self, Impair, PathStats};
use ringroad_engine::stage::monotonic;
use ringroad_engine::time::Instant;
use ringroad_hugepages::Request;
use serde_json::{Value, json};
use signal_hook::consts::{SIGINT, SIGTERM};

#[derive(Debug, Parser)]
#[command(
    about = "A narrow, long and lossy link between two interfaces; ends with SIGTERM or SIGINT"
)]
struct Arguments {
    /// The end that downloads: losses are on the way to it.
    #[arg(long)]
    near: String,
    /// The end that sends.
    #[arg(long)]
    far: String,
    /// Speed of the link, the same both ways, Ethernet headers included [bit/s].
    #[arg(long)]
    rate_bps: u64,
    /// Delay behind the link, each way: half of the round trip [us].
    #[arg(long)]
    delay_us: u64,
    /// Most that waits for the link, each way [octets].
    #[arg(long)]
    queue_octets: u64,
    /// Packets lost on the way to the near end, of a million.
    #[arg(long, default_value_t = 0)]
    loss: u32,
    /// Packets lost on the way to the far end, of a million.
    #[arg(long, default_value_t = 0)]
    loss_back: u32,
    /// What the losses follow from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    // Linux otherwise lets sleepers oversleep by 50 us, to wake several at once.
    prctl::set_timerslack(1)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let routes = runtime.block_on(kernel::read_once())?;
    let mapping =
        ringroad_hugepages::map(Request { len: FRAMES * FRAME_SIZE, node: None, hugepages: true })?;
    let mut pool = FramePool::new(Region::from_hugepages(mapping), FRAME_SIZE);
    let umem = Umem::new(&pool);
    let mut ends = Vec::new();
    // What arrives at the far end is on its way to the near one.
    for (name, loss_ppm) in
        [(&arguments.near, arguments.loss_back), (&arguments.far, arguments.loss)]
    {
        let link = kernel::interface(&routes, name)?;
        let port = AfXdp::open(&mut pool, &umem, Settings::new(&link.name, link.ifindex, 0))?;
        let mut redirector = Redirector::load(PortSettings {
            ifindex: link.ifindex,
            interface: link.name.clone(),
            mode: AttachMode::Auto,
        })?;
        redirector.set_socket(0, port.fd().context("a port that was just opened is open")?)?;
        redirector.attach()?;
        let path = impair::Settings {
            loss_ppm,
            delay: Duration::from_micros(arguments.delay_us),
            rate_bps: Some(arguments.rate_bps),
            queue_octets: Some(arguments.queue_octets),
            ..impair::Settings::default()
        };
        let port = Impair::new(port, arguments.seed, path, impair::Settings::default());
        ends.push(End { port, out: Burst::new(), octets: 0, _redirector: redirector });
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    eprintln!("ready");
    let mut lateness = Lateness::default();
    while !stop.load(Ordering::Relaxed) {
        turn(&mut pool, &mut ends, &mut lateness);
    }
    report(&ends, &lateness)?;
    for end in &mut ends {
        end.out.drain().for_each(|frame| pool.free(frame));
        end.port.close(&mut pool);
    }
    Ok(())
}

/// One end of the link.
struct End {
    port: Impair<AfXdp>,
    /// Frames that are to leave here.
    out: Burst,
    /// What has left here [octets].
    octets: u64,
    _redirector: Redirector,
}

/// How long after they were due packets were let out.
#[derive(Debug, Default)]
struct Lateness {
    max: Duration,
    /// Turns that let packets out, and those that were late by more than [`LATE`].
    turns: u64,
    late_turns: u64,
}

impl Lateness {
    fn count(&mut self, late: Duration) {
        self.max = self.max.max(late);
        self.turns += 1;
        self.late_turns += u64::from(late > LATE);
    }
}

/// Moves what is due from each end to the other, and sleeps until something is or arrives.
fn turn(pool: &mut FramePool, ends: &mut [End], lateness: &mut Lateness) {
    let now = monotonic();
    for from in 0..ends.len() {
        let to = ends.len() - 1 - from;
        let mut burst = std::mem::take(&mut ends[to].out);
        if let Some(due) = ends[from].port.next_due().filter(|due| *due <= now) {
            lateness.count(now - due);
        }
        ends[from].port.set_now(now);
        ends[from].port.rx_burst(pool, &mut burst);
        ends[to].octets += burst.iter().map(|frame| frame.len() as u64).sum::<u64>();
        ends[to].port.tx_burst(pool, &mut burst);
        ends[to].port.flush(pool);
        ends[to].out = burst;
    }
    let due = ends.iter().filter_map(|end| end.port.next_due()).min();
    sleep_until(due, ends.iter().filter_map(|end| end.port.inner().wait_fd()));
}

/// Sleeps until `due`, or until one of `ports` has received.
fn sleep_until<'a>(due: Option<Instant>, ports: impl Iterator<Item = BorrowedFd<'a>>) {
    let left = due.map_or(NAP, |due| due.since(monotonic()).min(NAP));
    if left.is_zero() {
        return;
    }
    let mut fds: Vec<PollFd<'_>> = ports.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
    // Interrupted or not: the next turn looks again.
    let _ = ppoll(&mut fds, Some(TimeSpec::from_duration(left)), None);
}

#[expect(clippy::print_stdout, reason = "the report is what this program is for")]
fn report(ends: &[End], lateness: &Lateness) -> Result<()> {
    let [near, far] = ends else { unreachable!("a link has two ends") };
    let report = json!({
        "to_near": path_report(far, near.octets),
        "to_far": path_report(near, far.octets),
        "late_us_max": lateness.max.as_micros() as u64,
        "late_turns": lateness.late_turns,
        "turns": lateness.turns,
    });
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

/// The way that begins at `from`; `octets` have left it at its other end.
fn path_report(from: &End, octets: u64) -> Value {
    let PathStats { entered, left, lost, queue_full, queued_octets_max, .. } =
        from.port.path_stats().0;
    json!({
        "entered": entered,
        "left": left,
        "lost": lost,
        "queue_full": queue_full,
        "queued_octets_max": queued_octets_max,
        "octets": octets,
        // Not by the bottleneck's own choice.
        "not_received": from.port.inner().stats().rx_dropped,
    })
}

/// Three times the largest product of rate and round trip that the benches use, in full frames.
const FRAMES: usize = 16_384;
const FRAME_SIZE: usize = 2048;
/// From where on a packet counts as late: a tenth of the shortest round trip that is measured.
const LATE: Duration = Duration::from_millis(1);
/// How long a link without traffic sleeps before it looks at its signals.
const NAP: Duration = Duration::from_millis(100);
