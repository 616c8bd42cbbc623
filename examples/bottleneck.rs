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

mod ends;

use std::os::fd::BorrowedFd;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use ends::{End, Fate};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::prctl;
use nix::sys::time::TimeSpec;
use ringroad_engine::frame::FramePool;
use ringroad_engine::port::Port;
use ringroad_engine::port::impair::{self, PathStats};
use ringroad_engine::stage::monotonic;
use ringroad_engine::time::Instant;
use serde_json::{Value, json};

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
    let fate = |interface, loss_ppm| Fate {
        interface,
        seed: arguments.seed,
        path: impair::Settings {
            loss_ppm,
            delay: Duration::from_micros(arguments.delay_us),
            rate_bps: Some(arguments.rate_bps),
            queue_octets: Some(arguments.queue_octets),
            ..impair::Settings::default()
        },
    };
    // What arrives at the far end is on its way to the near one.
    let fates = [
        fate(arguments.near.as_str(), arguments.loss_back),
        fate(arguments.far.as_str(), arguments.loss),
    ];
    let (mut pool, mut ends) = ends::open(fates, FRAME_SIZE)?;
    let mut lateness = Lateness::default();
    // What has left at each end [octets].
    let mut left = [0; 2];
    ends::run(|| turn(&mut pool, &mut ends, &mut left, &mut lateness))?;
    report(&ends, left, &lateness)?;
    ends::close(pool, ends);
    Ok(())
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
fn turn(pool: &mut FramePool, ends: &mut [End], left: &mut [u64; 2], lateness: &mut Lateness) {
    let now = monotonic();
    for from in 0..ends.len() {
        let to = ends.len() - 1 - from;
        let mut burst = std::mem::take(&mut ends[to].out);
        if let Some(due) = ends[from].port.next_due().filter(|due| *due <= now) {
            lateness.count(now - due);
        }
        ends[from].port.set_now(now);
        ends[from].port.rx_burst(pool, &mut burst);
        left[to] += burst.iter().map(|frame| frame.len() as u64).sum::<u64>();
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
fn report(ends: &[End], [to_near, to_far]: [u64; 2], lateness: &Lateness) -> Result<()> {
    let [near, far] = ends else { unreachable!("a link has two ends") };
    let report = json!({
        "to_near": path_report(far, to_near),
        "to_far": path_report(near, to_far),
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

const FRAME_SIZE: usize = 2048;
/// From where on a packet counts as late: a tenth of the shortest round trip that is measured.
const LATE: Duration = Duration::from_millis(1);
/// How long a link without traffic sleeps before it looks at its signals.
const NAP: Duration = Duration::from_millis(100);
