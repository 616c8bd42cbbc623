//! What it costs to hand items from one thread to another: this ring beside rtrb's and crossbeam's
//! `ArrayQueue`.
//!
//!     cargo run --release -p ringroad-ring --example ring_bench [-- --json]
//!
//! Three kinds of measurement. *one core*: a thread pushes a burst and pops it again, so that
//! nothing but instructions is counted. *two cores*: a thread pushes bursts as fast as there is
//! room, another pops them. *latency*: one item goes there by one ring and comes back by another;
//! half of that. All contenders take turns in every round; medians of all rounds are reported.

#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use std::hint::{black_box, spin_loop};
use std::process::exit;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use core_affinity::CoreId;
use crossbeam_queue::ArrayQueue;
use rtrb::chunks::ChunkError::TooFewSlots;

/// As much as the engine sends along with a frame: 16 octets.
type Item = [u64; 2];

/// [items]
const CAPACITY: usize = 1024;

/// Of which the medians are reported.
const ROUNDS: usize = 11;

/// Of one measurement: enough that starting threads does not show.
const ITEMS: u64 = 1 << 19;
const RETURNS: u64 = 50_000;

/// A ring to be measured. A burst of one goes by its call for single items.
trait Ring {
    const NAME: &'static str;
    type Producer: Send;
    type Consumer: Send;

    fn ring() -> (Self::Producer, Self::Consumer);

    /// Pushes as many of `BURST` items, numbered from `first` on, as fit; returns how many.
    fn push<const BURST: usize>(producer: &mut Self::Producer, first: u64) -> usize;

    /// Pops up to `BURST` items; returns how many.
    fn pop<const BURST: usize>(consumer: &mut Self::Consumer, see: impl FnMut(Item)) -> usize;
}

fn items(first: u64, count: usize) -> impl ExactSizeIterator<Item = Item> {
    (0..count).map(move |n| [first + n as u64, first])
}

struct Ours;

impl Ring for Ours {
    const NAME: &'static str = "ringroad";
    type Producer = ringroad_ring::Producer<Item>;
    type Consumer = ringroad_ring::Consumer<Item>;

    fn ring() -> (Self::Producer, Self::Consumer) {
        ringroad_ring::ring(CAPACITY)
    }

    #[inline]
    fn push<const BURST: usize>(producer: &mut Self::Producer, first: u64) -> usize {
        if BURST == 1 {
            return usize::from(producer.push([first; 2]).is_ok());
        }
        producer.push_burst(items(first, BURST))
    }

    #[inline]
    fn pop<const BURST: usize>(consumer: &mut Self::Consumer, see: impl FnMut(Item)) -> usize {
        if BURST == 1 {
            return consumer.pop().map(see).iter().count();
        }
        consumer.pop_burst(BURST).map(see).count()
    }
}

struct Rtrb;

impl Ring for Rtrb {
    const NAME: &'static str = "rtrb";
    type Producer = rtrb::Producer<Item>;
    type Consumer = rtrb::Consumer<Item>;

    fn ring() -> (Self::Producer, Self::Consumer) {
        rtrb::RingBuffer::new(CAPACITY)
    }

    #[inline]
    fn push<const BURST: usize>(producer: &mut Self::Producer, first: u64) -> usize {
        if BURST == 1 {
            return usize::from(producer.push([first; 2]).is_ok());
        }
        // A chunk that is too large is refused whole, with what there is room for.
        let chunk = match producer.write_chunk_uninit(BURST) {
            Ok(chunk) => chunk,
            Err(TooFewSlots(0)) => return 0,
            Err(TooFewSlots(room)) => producer.write_chunk_uninit(room).expect("room stays"),
        };
        let room = chunk.len();
        chunk.fill_from_iter(items(first, room))
    }

    #[inline]
    fn pop<const BURST: usize>(consumer: &mut Self::Consumer, see: impl FnMut(Item)) -> usize {
        if BURST == 1 {
            return consumer.pop().map(see).iter().count();
        }
        let chunk = match consumer.read_chunk(BURST) {
            Ok(chunk) => chunk,
            Err(TooFewSlots(0)) => return 0,
            Err(TooFewSlots(count)) => consumer.read_chunk(count).expect("items stay"),
        };
        chunk.into_iter().map(see).count()
    }
}

struct Crossbeam;

impl Ring for Crossbeam {
    const NAME: &'static str = "ArrayQueue";
    type Producer = Arc<ArrayQueue<Item>>;
    type Consumer = Arc<ArrayQueue<Item>>;

    fn ring() -> (Self::Producer, Self::Consumer) {
        let queue = Arc::new(ArrayQueue::new(CAPACITY));
        (queue.clone(), queue)
    }

    #[inline]
    fn push<const BURST: usize>(producer: &mut Self::Producer, first: u64) -> usize {
        items(first, BURST).map_while(|item| producer.push(item).ok()).count()
    }

    #[inline]
    fn pop<const BURST: usize>(consumer: &mut Self::Consumer, see: impl FnMut(Item)) -> usize {
        std::iter::from_fn(|| consumer.pop()).take(BURST).map(see).count()
    }
}

/// Checks that items come in order, and has the processor look at them.
struct Seen(u64);

impl Seen {
    #[inline]
    fn see(&mut self, item: Item) {
        let [number, _] = black_box(item);
        assert_eq!(number, self.0, "an item out of order");
        self.0 += 1;
    }
}

/// [ns an item]
fn one_core<R: Ring, const BURST: usize>(_: [CoreId; 2]) -> f64 {
    let (mut producer, mut consumer) = R::ring();
    let mut seen = Seen(0);
    let start = Instant::now();
    while seen.0 < ITEMS {
        R::push::<BURST>(&mut producer, seen.0);
        R::pop::<BURST>(&mut consumer, |item| seen.see(item));
    }
    nanos_each(start, ITEMS)
}

/// [ns an item]
fn two_cores<R: Ring, const BURST: usize>(cores: [CoreId; 2]) -> f64 {
    let (mut producer, mut consumer) = R::ring();
    let pushing = move || {
        let mut next = 0;
        while next < ITEMS {
            match R::push::<BURST>(&mut producer, next) {
                0 => spin_loop(),
                pushed => next += pushed as u64,
            }
        }
    };
    beside(cores, pushing, || {
        let mut seen = Seen(0);
        while seen.0 < ITEMS {
            if R::pop::<BURST>(&mut consumer, |item| seen.see(item)) == 0 {
                spin_loop();
            }
        }
        ITEMS
    })
}

/// [ns one way]
fn latency<R: Ring, const BURST: usize>(cores: [CoreId; 2]) -> f64 {
    let (mut there, mut far_end) = R::ring();
    let (mut back, mut near_end) = R::ring();
    let answering = move || {
        let mut seen = Seen(0);
        for number in 0..RETURNS {
            while R::pop::<1>(&mut far_end, |item| seen.see(item)) == 0 {
                spin_loop();
            }
            R::push::<1>(&mut back, number);
        }
    };
    beside(cores, answering, || {
        let mut seen = Seen(0);
        for number in 0..RETURNS {
            R::push::<1>(&mut there, number);
            while R::pop::<1>(&mut near_end, |item| seen.see(item)) == 0 {
                spin_loop();
            }
        }
        2 * RETURNS
    })
}

/// Runs both, each on a core of its own; how long each of what the second has counted took [ns].
fn beside(cores: [CoreId; 2], first: impl FnOnce() + Send, second: impl FnOnce() -> u64) -> f64 {
    let start_line = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            core_affinity::set_for_current(cores[0]);
            start_line.wait();
            first();
        });
        core_affinity::set_for_current(cores[1]);
        start_line.wait();
        let start = Instant::now();
        let count = second();
        nanos_each(start, count)
    })
}

fn nanos_each(start: Instant, count: u64) -> f64 {
    start.elapsed().as_nanos() as f64 / count as f64
}

/// One figure of one ring.
struct Figure {
    what: &'static str,
    burst: usize,
    ring: &'static str,
    measure: fn([CoreId; 2]) -> f64,
    samples: Vec<f64>,
}

impl Figure {
    fn sample(&mut self, cores: [CoreId; 2]) {
        self.samples.push((self.measure)(cores));
    }

    fn median(&self) -> f64 {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }

    fn as_json(&self) -> String {
        let Figure { what, burst, ring, .. } = self;
        let ns = self.median();
        format!(r#"{{"what": "{what}", "burst": {burst}, "ring": "{ring}", "ns": {ns:.2}}}"#)
    }
}

fn figures<R: Ring>() -> [Figure; 9] {
    let figure =
        |what, burst, measure| Figure { what, burst, ring: R::NAME, measure, samples: Vec::new() };
    [
        figure("one core", 1, one_core::<R, 1>),
        figure("one core", 8, one_core::<R, 8>),
        figure("one core", 32, one_core::<R, 32>),
        figure("one core", 64, one_core::<R, 64>),
        figure("two cores", 1, two_cores::<R, 1>),
        figure("two cores", 8, two_cores::<R, 8>),
        figure("two cores", 32, two_cores::<R, 32>),
        figure("two cores", 64, two_cores::<R, 64>),
        figure("latency", 1, latency::<R, 1>),
    ]
}

fn main() {
    let json = std::env::args().any(|argument| argument == "--json");
    let Some(&[first, second, ..]) = core_affinity::get_core_ids().as_deref() else {
        eprintln!("ring_bench: needs two cores; this process may use fewer (see taskset -p)");
        exit(1);
    };
    let mut rings = [figures::<Ours>(), figures::<Rtrb>(), figures::<Crossbeam>()];
    for _ in 0..ROUNDS {
        for row in 0..rings[0].len() {
            rings.iter_mut().for_each(|figures| figures[row].sample([first, second]));
        }
    }
    if json {
        let figures: Vec<String> = rings.as_flattened().iter().map(Figure::as_json).collect();
        println!("[\n  {}\n]", figures.join(",\n  "));
    } else {
        print_table(&rings);
    }
}

fn print_table(rings: &[[Figure; 9]]) {
    print!("{:<12}{:>6}", "[ns each]", "burst");
    rings.iter().for_each(|figures| print!("{:>12}", figures[0].ring));
    println!();
    for row in 0..rings[0].len() {
        print!("{:<12}{:>6}", rings[0][row].what, rings[0][row].burst);
        rings.iter().for_each(|figures| print!("{:>12.1}", figures[row].median()));
        println!();
    }
}
