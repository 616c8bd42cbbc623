//! The data path takes no memory: while a loaded lane turns, the allocator is not called.
//!
//! A test binary of its own, because it replaces the allocator. Only what happens within
//! [`Lane::turn`] is counted; the hosts around it may allocate as they like.

#![allow(
    unsafe_code,
    reason = "an allocator is unsafe by its trait; this one passes on and counts"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::Ipv4Addr;

use ringroad_engine::limits::SOURCES_COUNTED;
use ringroad_engine::shield::Rates;
use ringroad_engine::stage::{Gate, Page, Wanted, Worker};
use ringroad_engine::tcp::Keepalive;
use ringroad_engine::telemetry::{Source, Sources};
use ringroad_simulation::appliance::apps::{echo, idle, respond, send};
use ringroad_simulation::appliance::cookies;
use ringroad_simulation::appliance::peer::{self, Settings};
use ringroad_simulation::appliance::rig::{
    CLIENTS, Ended, Listener, Plan, Wire, World, address, ms, origin, pattern, secs, seed,
};

/// The system's allocator, with a count of the calls that a thread makes while it wants to know.
struct Counting;

thread_local! {
    static COUNTING: Cell<bool> = const { Cell::new(false) };
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static FREES: Cell<u64> = const { Cell::new(0) };
}

fn count(calls: &'static std::thread::LocalKey<Cell<u64>>) {
    // A thread that ends may allocate after its thread-locals are gone.
    if COUNTING.try_with(Cell::get).unwrap_or(false) {
        let _ = calls.try_with(|calls| calls.set(calls.get() + 1));
    }
}

// SAFETY: every call is passed on to `System` unchanged, which upholds the contract; counting touches
// only thread-local integers without destructors, and so allocates nothing itself.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(&ALLOCATIONS);
        // SAFETY: the caller's promises about `layout` are passed on as they are.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(&FREES);
        // SAFETY: `pointer` came from `System` with this `layout`, as all of ours do.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(&ALLOCATIONS);
        // SAFETY: as for `dealloc`; the caller's promises about `new_size` are passed on.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Calls to the allocator within `f`: those that take memory and those that give it back.
fn counted<T>(f: impl FnOnce() -> T) -> (T, u64, u64) {
    let before = (ALLOCATIONS.get(), FREES.get());
    COUNTING.set(true);
    let result = f();
    COUNTING.set(false);
    (result, ALLOCATIONS.get() - before.0, FREES.get() - before.1)
}

#[test]
fn the_counter_counts() {
    let (boxed, allocations, frees) = counted(|| Box::new([1u8; 100]));
    assert_eq!((allocations, frees), (1, 0));
    let ((), allocations, frees) = counted(|| drop(boxed));
    assert_eq!((allocations, frees), (0, 1));
}

/// Far more of them than there is room for, each of which takes the place of another.
#[test]
fn clients_that_come_but_once_take_no_memory() {
    let mut sources = Sources::of_core();
    let clients = 0..20 * SOURCES_COUNTED as u32;
    let ((), allocations, frees) = counted(|| {
        clients.clone().for_each(|n| sources.add(Source::of(Ipv4Addr::from_bits(n).into())));
    });
    assert_eq!((sources.total(), allocations, frees), (clients.end.into(), 0, 0));
}

/// Uploads and downloads without end, and connections that come and go.
fn load(world: &mut World<impl Wire, impl Gate>, round: u64) {
    for n in 0..20 {
        let number = (round % 100) as u16 * 20 + n;
        world.client(number, Settings::MODERN, send(pattern(1, 300)));
    }
    let over: Vec<_> = world.hosts.0[CLIENTS]
        .peers
        .iter()
        .filter(|(_, peer)| peer.is_over())
        .map(|(key, _)| *key)
        .collect();
    over.iter().for_each(|key| drop(world.hosts.0[CLIENTS].peers.remove(key)));
}

fn plan() -> Plan {
    let mut plan = Plan::new(seed());
    plan.frames = 8192;
    plan.service.client_leg.keepalive =
        Some(Keepalive { idle: ms(2500), interval: ms(10), probes: 100 });
    plan
}

/// Connections on which nothing happens.
fn asleep<P: Wire, G: Gate>(world: &World<P, G>) -> usize {
    world.edge.workers().map(Worker::asleep).sum()
}

/// Turns a loaded lane for three seconds, with more load each 20 ms, and demands that it takes and
/// gives back no memory.
fn assert_no_calls<P: Wire, G: Gate>(
    mut world: World<P, G>,
    mut more: impl FnMut(&mut World<P, G>, u64),
) -> Ended {
    // A request of 300 octets is a short connection; the long ones send on and on.
    world.listen(origin(1), Settings::MODERN, || respond(300, pattern(2, 300)));
    // Buffers for the simulated cables: more than are ever under way.
    for side in world.hosts.all_mut() {
        (0..2048).for_each(|_| side.cable.recycle(Vec::with_capacity(2048)));
    }
    for n in 0..8 {
        world.client(10_000 + n, Settings::MODERN, send(pattern(1, 30_000_000)));
    }
    // These say nothing: they sleep, but for their keepalives.
    for n in 0..8 {
        world.client(11_000 + n, Settings::MODERN, idle());
    }
    let mut woken = 0;
    let mut packets = 0;
    let mut calls = (0, 0);
    let start = world.now;
    let mut round = 1;
    while world.now < start + secs(3) {
        if world.now >= start + ms(20) * round as u32 {
            load(&mut world, round);
            more(&mut world, round);
            round += 1;
        }
        let now = world.now;
        world.hosts.turn(now);
        let before = asleep(&world);
        let (found, allocations, frees) = counted(|| world.edge.turn(now));
        woken += before.saturating_sub(asleep(&world));
        // The first second is for what grows once: lists that reach their length.
        if world.now >= start + secs(1) {
            packets += found;
            calls = (calls.0 + allocations, calls.1 + frees);
        }
        world.now += ms(1);
    }
    assert!(packets > 50_000, "no load: {packets} packets");
    assert!(woken > 0, "nobody slept");
    assert!(world.counters().accepted > 1000, "{:?}", world.counters());
    assert_eq!(calls, (0, 0), "calls to the allocator (taking, giving back) in {packets} packets");
    for side in world.hosts.all_mut() {
        side.peers.values_mut().filter(|peer| !peer.is_over()).for_each(peer::Peer::abort);
    }
    world.run_to_the_end(secs(5));
    world.finish()
}

#[test]
fn a_loaded_lane_does_not_call_the_allocator() {
    assert_no_calls(World::new(plan()), |_, _| {});
}

#[test]
fn nor_do_workers_behind_rings() {
    assert_no_calls(World::new(Plan { workers: 2, ..plan() }), |_, _| {});
}

#[test]
fn nor_does_one_whose_clients_prove_cookies() {
    let mut world = World::new(plan());
    cookies::shield(&mut world);
    assert_no_calls(world, |_, _| {});
}

#[test]
fn nor_does_one_that_hands_linux_its_own() {
    let mut plan = plan();
    // The long connections, and most of the short ones; Linux gets the rest.
    plan.service.max_connections = 24;
    // More than the rate comes in bursts, so that some is dropped.
    let mut world = World::behind_twin(plan, Rates { rest: 1_000, ..Rates::default() });
    let settings = Settings { lossy: true, ..Settings::MODERN };
    for listening in ["10.10.1.1:80", "10.10.1.1:22"] {
        let listener = Listener::Accept(settings, Box::new(echo));
        world.hosts.1[CLIENTS].listeners.insert(address(listening), listener);
    }
    let ended = assert_no_calls(world, move |world, round| {
        let key = (address(&format!("203.0.113.1:{}", 1_000 + round)), address("10.10.1.1:22"));
        world.client_at(key, None, settings, send(pattern(3, 50_000)));
    });
    assert!(ended.service.fell_back > 100, "{:?}", ended.service);
    let path = ended.kernel_paths[CLIENTS];
    assert!(path.limited > 100 && path.to_kernel > 1_000 && path.from_kernel > 1_000, "{path:?}");
}

#[test]
fn nor_does_one_that_shows_its_connections() {
    let mut world = World::new(plan());
    world.listen(origin(1), Settings::MODERN, echo);
    let clients: Vec<_> = (0..300).map(|n| world.client(n, Settings::MODERN, idle())).collect();
    world.run_for(secs(2));
    // Half of them sleep.
    clients.iter().step_by(2).for_each(|key| world.peer(*key).write(b"awake"));
    world.run_for(ms(10));
    assert_eq!(asleep(&world), 150);
    let mut page = Page::new(Wanted::default());
    let mut shown = 0;
    while !page.is_last() {
        let ((), allocations, frees) = counted(|| world.edge.worker().show(&mut page));
        assert_eq!((allocations, frees), (0, 0));
        shown += page.views().len();
    }
    assert_eq!(shown, 300);
    clients.iter().for_each(|key| world.peer(*key).finish());
    world.run_to_the_end(secs(5));
    world.finish();
}

/// As far as it is Rust's: drivers have an allocator of their own.
#[cfg(feature = "dpdk")]
#[test]
fn nor_does_a_port_of_dpdk() {
    use dpdk_sys::{Eal, EalSettings};
    use ringroad_engine::frame::Burst;
    use ringroad_engine::port::Port as _;
    use ringroad_engine::port::dpdk::{Dpdk, Memory, Settings};

    let eal = Eal::init(
        &EalSettings {
            cpus: vec![0],
            memory: dpdk_sys::Memory::Ordinary { megabytes: 32 },
            pci: Vec::new(),
            arguments: Vec::new(),
        },
        |_, _| {},
    )
    .expect("DPDK to start");
    let (mut pool, memory) = Memory::new(&eal, "quiet", 512, 2176, None).expect("memory");
    let id = eal.attach("net_ring_quiet", "").expect("a device");
    let settings = Settings { rx_queues: 2, rx_descriptors: 256, tx_descriptors: 256, mtu: 1500 };
    let mut port = Dpdk::open(&mut pool, &memory, id, settings).expect("a device");
    let mut burst = Burst::new();
    while !burst.is_full() {
        let mut frame = pool.alloc().expect("a free frame");
        pool.push_back(&mut frame, 60).expect("room").fill(7);
        burst.push(frame).expect("room");
    }
    let ((), allocations, frees) = counted(|| {
        for _ in 0..1000 {
            port.tx_burst(&mut pool, &mut burst);
            port.flush(&mut pool);
            port.rx_burst(&mut pool, &mut burst);
        }
    });
    assert_eq!((port.stats().received, allocations, frees), (64_000, 0, 0));
    burst.drain().for_each(|frame| pool.free(frame));
    port.close(&mut pool);
}
