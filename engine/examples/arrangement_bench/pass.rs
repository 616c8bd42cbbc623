//! Passes: everybody on one side says something at once, and the engine carries it to the other side.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant as Clock};

use ringroad_simulation::appliance::packet::{ACK, PSH};

use super::arrangement::{Core, FLOWS, Setup};
use super::hosts::{CLIENTS, Hosts, ORIGINS};
use super::parts::START;

/// Of which the first are not counted.
const PASSES: usize = 120;
const WARMING_UP: usize = 20;

/// Between two passes, for the engine [virtual time].
const BETWEEN: Duration = Duration::from_micros(100);

/// Something was lost that ends later than this.
const LONGEST: Duration = Duration::from_secs(10);

const REQUEST: [u8; 200] = [1; 200];
const RESPONSE: [u8; 1200] = [2; 1200];

/// One pass, as all cores together saw it.
pub struct Pass {
    packets: usize,
    took: Duration,
    /// Of each core, the time of its turns that found something.
    busy: Vec<Duration>,
}

/// Medians over passes.
pub struct Figures {
    /// That the engine received, and sent to the other side.
    pub packets_per_second: f64,
    /// Share of the time in which each core had something to do.
    pub busy: Vec<f64>,
}

impl Figures {
    pub fn of(passes: &[Pass]) -> Self {
        let cores = passes[0].busy.len();
        let rate = |pass: &Pass| pass.packets as f64 / pass.took.as_secs_f64();
        let busy = |core: usize| {
            median(passes.iter().map(|pass| pass.busy[core].div_duration_f64(pass.took)))
        };
        Figures {
            packets_per_second: median(passes.iter().map(rate)),
            busy: (0..cores).map(busy).collect(),
        }
    }
}

fn median(of: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = of.collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// What a core saw of a pass.
struct Seen {
    start: Clock,
    end: Clock,
    busy: Duration,
}

/// What the cores' threads share.
struct Shared {
    line: Line,
    /// Cores whose hosts have all that was sent to them, in all passes.
    served: AtomicUsize,
    /// By core: packets of the other's flows, which come by this one.
    trays: Vec<Mutex<Vec<Vec<u8>>>>,
    astray: Vec<usize>,
}

/// Has all cores go through the passes, each on a thread of its own.
pub fn run(setup: Setup) -> Vec<Pass> {
    let Setup { cores, astray } = setup;
    let with_hosts = cores.iter().filter(|core| core.hosts.is_some()).count();
    let shared = Shared {
        line: Line::of(cores.len()),
        served: AtomicUsize::new(0),
        trays: cores.iter().map(|_| Mutex::default()).collect(),
        astray,
    };
    let seen: Vec<Vec<Seen>> = thread::scope(|scope| {
        let shared = &shared;
        let work = |(place, core)| scope.spawn(move || shared.work(place, core, with_hosts));
        let threads: Vec<_> = cores.into_iter().enumerate().map(work).collect();
        threads.into_iter().map(|thread| thread.join().expect("a core's thread")).collect()
    });
    (WARMING_UP..PASSES)
        .map(|number| {
            let seen = || seen.iter().map(|core| &core[number]);
            let start = seen().map(|seen| seen.start).min().expect("a core");
            let end = seen().map(|seen| seen.end).max().expect("a core");
            Pass {
                packets: with_hosts * FLOWS,
                took: end - start,
                busy: seen().map(|seen| seen.busy).collect(),
            }
        })
        .collect()
}

impl Shared {
    /// All that one core does.
    fn work(&self, place: usize, mut core: Core, with_hosts: usize) -> Vec<Seen> {
        assert!(core_affinity::set_for_current(core.id), "cannot be kept on core {:?}", core.id);
        (0..PASSES)
            .map(|number| {
                let side = if number % 2 == 0 { CLIENTS } else { ORIGINS };
                if let Some(hosts) = &mut core.hosts {
                    self.send(place, hosts, side);
                }
                let seen = self.turn(&mut core, number, 1 - side, with_hosts);
                self.line.wait();
                if let Some(hosts) = &mut core.hosts {
                    assert_eq!(hosts.hear(), FLOWS, "packets of payload that came");
                }
                seen
            })
            .collect()
    }

    /// All hosts on `side` have sent when this returns on all cores.
    fn send(&self, place: usize, hosts: &mut Hosts, side: usize) {
        let payload: &[u8] = if side == CLIENTS { &REQUEST } else { &RESPONSE };
        let mut packets = hosts.packets(side, ACK | PSH, payload);
        if !self.astray.is_empty() {
            let next = (place + 1) % self.trays.len();
            let away = self.astray.iter().map(|flow| std::mem::take(&mut packets[*flow]));
            *self.trays[next].lock().expect("no thread has failed") = away.collect();
            self.line.wait();
            let taken = std::mem::take(&mut *self.trays[place].lock().expect("the same"));
            for (flow, packet) in self.astray.iter().zip(taken) {
                packets[*flow] = packet;
            }
        }
        hosts.send(side, &packets);
    }

    /// Turns until everything has come to the hosts on side `to`.
    fn turn(&self, core: &mut Core, number: usize, to: usize, with_hosts: usize) -> Seen {
        let now = START + BETWEEN * (number as u32 + 1);
        let all_served = (number + 1) * with_hosts;
        let mut found_all = 0;
        let mut is_served = core.hosts.is_none();
        self.line.wait();
        let start = Clock::now();
        let (mut end, mut busy) = (start, Duration::ZERO);
        loop {
            let found = core.stage.turn(now);
            let before = std::mem::replace(&mut end, Clock::now());
            if found > 0 {
                busy += end - before;
                found_all += found;
            }
            assert!(end - start < LONGEST, "pass {number}: not all has come to the other side");
            // A look at what has come takes a lock: not before it can be all.
            if !is_served && found_all >= FLOWS {
                is_served =
                    core.hosts.as_ref().is_some_and(|hosts| hosts.cables[to].waiting() >= FLOWS);
                if is_served {
                    self.served.fetch_add(1, Ordering::Relaxed);
                }
            }
            // Who is served may still have something for another.
            if is_served && self.served.load(Ordering::Relaxed) == all_served {
                return Seen { start, end, busy };
            }
        }
    }
}

/// Where threads wait for each other, each on a core of its own.
struct Line {
    threads: usize,
    arrived: AtomicUsize,
}

impl Line {
    fn of(threads: usize) -> Self {
        Line { threads, arrived: AtomicUsize::new(0) }
    }

    /// Returns when all have come as often as this one has.
    fn wait(&self) {
        let before = self.arrived.fetch_add(1, Ordering::AcqRel);
        let all = (before / self.threads + 1) * self.threads;
        let mut looks = 0;
        while self.arrived.load(Ordering::Acquire) < all {
            looks += 1;
            if looks % LOOKS_BEFORE_YIELDING == 0 {
                // Where a core is shared with others, who is waited for may be behind them.
                thread::yield_now();
            }
            std::hint::spin_loop();
        }
    }
}

const LOOKS_BEFORE_YIELDING: u32 = 10_000;
