//! Captures: what is copied of the packets that pass, and what it says of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ringroad_engine::port::impair;
use ringroad_engine::proxy::Side;
use ringroad_engine::stage::{Command, Gate};
use ringroad_engine::telemetry::capture::{
    Captured, Counts, Filter, Literal, Points, Reader, Tap, Test, Wanted, What, tap,
};
use ringroad_simulation::appliance::rig::Wire;
use tokio::sync::oneshot;

use crate::apps::{echo, respond, send};
use crate::packet::Segment;
use crate::peer::Settings;
use crate::rig::{ORIGINS, Plan, World, ms, origin, pattern, secs, seed, service};

const ALL: Points = Points { rx: true, tx: true, drop: true };
const SNAPLEN: usize = 2048;
const RECORDS: usize = 1 << 14;

/// Has every core capture; returns the readers in the order of the cores.
fn capture<P: Wire, G: Gate>(
    world: &mut World<P, G>,
    points: Points,
    alternatives: &[Vec<Literal>],
    records: usize,
) -> Vec<Reader> {
    let wanted = Arc::new(Wanted {
        filter: Filter::any_of(alternatives).expect("a short one"),
        points,
        snaplen: SNAPLEN,
        listening: HashMap::from([(service(), 0)]),
    });
    let cores = world.edge.commands().len();
    let (taps, readers): (Vec<_>, _) = (0..cores).map(|_| tap(wanted.clone(), 2, records)).unzip();
    exchange(world, taps.into_iter().map(Some));
    readers
}

/// Gives each core a tap or none, and returns those that they had.
fn exchange<P: Wire, G: Gate>(
    world: &mut World<P, G>,
    taps: impl Iterator<Item = Option<Box<Tap>>>,
) -> Vec<Option<Box<Tap>>> {
    let commands: Vec<_> = world.edge.commands().to_vec();
    let answers: Vec<_> = commands
        .iter()
        .zip(taps)
        .map(|(commands, tap)| {
            let (reply, answer) = oneshot::channel();
            commands.send(Command::Capture(tap, reply)).expect("room for a command");
            answer
        })
        .collect();
    world.edge.obey();
    answers.into_iter().map(|mut answer| answer.try_recv().expect("it was taken at once")).collect()
}

fn holds(test: Test) -> Literal {
    Literal { test, holds: true }
}

fn everything() -> Vec<Vec<Literal>> {
    vec![Vec::new()]
}

/// What all have captured so far.
fn taken(readers: &mut [Reader]) -> Vec<Captured> {
    readers.iter_mut().flat_map(|reader| std::iter::from_fn(|| reader.take())).collect()
}

fn lost(readers: &[Reader]) -> u64 {
    readers.iter().flat_map(Reader::counts).map(|counts| counts.lost).sum()
}

/// Ends a world of transfers, of which all is captured, and compares it with the ledger.
fn assert_all_is_there<P: Wire>(mut world: World<P>) {
    let settings = Settings { lossy: true, ..Settings::MODERN };
    world.listen(origin(1), settings, || respond(300, pattern(2, 20_000)));
    let mut readers = capture(&mut world, ALL, &everything(), RECORDS);
    for number in 0..20 {
        world.client(number, settings, send(pattern(1, 300)));
    }
    world.run_to_the_end(secs(60));
    let captured = taken(&mut readers);
    let ledger = world.finish().ledger;
    let late = taken(&mut readers);
    assert_eq!(lost(&readers), 0);

    let mut drops = BTreeMap::new();
    let (mut received, mut sent, mut timed) = (0, 0, 0);
    for captured in captured.iter().chain(&late) {
        assert_eq!(captured.octets().len() as u32, captured.original_len());
        match captured.what {
            What::Received { dropped, .. } => {
                received += 1;
                *drops.entry(dropped.unwrap_or_default()).or_insert(0) +=
                    u64::from(dropped.is_some());
            }
            What::Sent { inside, .. } => {
                sent += 1;
                timed += u64::from(inside.is_some());
                Segment::parse(captured.octets()).expect("a packet that has been sent");
            }
        }
    }
    assert_eq!((received, sent), (ledger.received, ledger.sent));
    assert!(timed >= ledger.forwarded, "{timed} of {} forwarded", ledger.forwarded);
    drops.retain(|_, count| *count > 0);
    // What was queued when its connection ended had been taken.
    let counted: BTreeMap<_, _> =
        ledger.drops().filter(|(reason, _)| *reason != "connection_ended").collect();
    assert_eq!(drops, counted);
}

#[test]
fn all_packets_are_captured_with_what_the_ledger_says_of_them() {
    assert_all_is_there(World::new(Plan::new(seed())));
    let bad = impair::Settings {
        loss_ppm: 20_000,
        duplicate_ppm: 50_000,
        reorder_ppm: 50_000,
        corrupt_ppm: 20_000,
        ..impair::Settings::default()
    };
    assert_all_is_there(World::impaired(Plan::new(seed()), [bad; 2]));
}

#[test]
fn of_workers_on_other_cores_it_is_known_how_long_packets_waited() {
    let mut world = World::new(Plan { workers: 2, ..Plan::new(seed()) });
    world.listen(origin(1), Settings::MODERN, echo);
    let mut readers = capture(&mut world, ALL, &everything(), RECORDS);
    let client = world.client(1, Settings::MODERN, send(pattern(1, 50_000)));
    world.run_until(secs(5), |world| world.peer(client).received.len() == 50_000);
    world.run_to_the_end(secs(5));
    let captured = taken(&mut readers);
    let waited =
        |captured: &&Captured| matches!(captured.what, What::Received { waited: Some(_), .. });
    let received = |captured: &&Captured| matches!(captured.what, What::Received { .. });
    assert!(captured.iter().filter(received).count() > 40);
    assert!(captured.iter().filter(received).all(|captured| waited(&captured)));
    world.finish();
}

#[test]
fn a_filter_by_the_clients_address_finds_both_legs_and_nobody_else() {
    let mut world = World::new(Plan::new(seed()));
    world.listen(origin(1), Settings::MODERN, echo);
    let wanted = world.client(1, Settings::MODERN, send(pattern(1, 10_000)));
    let port = holds(Test::Port(wanted.0.port()));
    let mut readers = capture(&mut world, ALL, &[vec![port]], RECORDS);
    for number in 2..10 {
        world.client(number, Settings::MODERN, send(pattern(2, 10_000)));
    }
    world.run_to_the_end(secs(5));
    let captured = taken(&mut readers);
    let mut octets = [0; 2];
    let mut source_ports = Vec::new();
    for captured in &captured {
        let segment = Segment::parse(captured.octets()).expect("a segment");
        assert_eq!(captured.service, Some(0));
        let ends = [segment.source.port(), segment.destination.port()];
        if usize::from(captured.port) == ORIGINS {
            assert_eq!(captured.side, Some(Side::Origin));
            source_ports.extend(ends.into_iter().filter(|port| *port != origin(1).port()));
        } else {
            assert!(ends.contains(&wanted.0.port()), "{ends:?}");
        }
        if let What::Received { dropped: None, .. } = captured.what {
            octets[usize::from(captured.port)] += segment.payload.len();
        }
    }
    source_ports.dedup();
    assert_eq!(source_ports.len(), 1, "one connection to the origin");
    assert_eq!(octets, [10_000, 10_000], "each way through both");
    world.finish();
}

#[test]
fn drops_alone_are_captured_by_their_reason() {
    let duplicates = impair::Settings { duplicate_ppm: 300_000, ..impair::Settings::default() };
    let mut world = World::impaired(Plan::new(seed()), [duplicates, impair::Settings::default()]);
    world.listen(origin(1), Settings::MODERN, echo);
    let only = Points { drop: true, ..Points::default() };
    let reason = holds(Test::Drop(Some("tcp_duplicate")));
    let mut readers = capture(&mut world, only, &[vec![reason]], 64);
    let client = world.client(1, Settings::MODERN, send(pattern(1, 100_000)));
    let mut count = 0;
    world.run_until(secs(20), |world| {
        for captured in taken(&mut readers) {
            let dropped = Some("tcp_duplicate");
            assert!(matches!(captured.what, What::Received { dropped: why, .. } if why == dropped));
            count += 1;
        }
        world.peer(client).received.len() == 100_000
    });
    world.run_to_the_end(secs(5));
    count += taken(&mut readers).len() as u64 + lost(&readers);
    let ledger = world.finish().ledger;
    let counted = ledger.drops().find(|(reason, _)| *reason == "tcp_duplicate");
    assert_eq!(counted, Some(("tcp_duplicate", count)));
    assert!(count > 10, "{count}");
}

#[test]
fn what_a_slow_reader_has_no_room_for_is_counted_and_its_memory_comes_back() {
    let mut world = World::new(Plan::new(seed()));
    world.listen(origin(1), Settings::MODERN, echo);
    let mut readers = capture(&mut world, ALL, &everything(), 16);
    let client = world.client(1, Settings::MODERN, send(pattern(1, 100_000)));
    world.run_until(secs(5), |world| world.peer(client).received.len() == 100_000);
    let before: u64 = readers.iter().flat_map(Reader::counts).map(|counts| counts.chosen).sum();
    assert_eq!((taken(&mut readers).len(), lost(&readers)), (16, before - 16));

    let taps = exchange(&mut world, std::iter::once(None));
    assert!(taps[0].is_some(), "the tap comes back to the reader");
    world.run_to_the_end(secs(5));
    let counts: Counts = readers[0].counts().next().expect("of the first port");
    assert!(taken(&mut readers).is_empty(), "nothing is captured any more");
    assert!(counts.chosen > 0 && counts.chosen >= counts.lost);
    assert_eq!(
        readers.iter().flat_map(Reader::counts).map(|counts| counts.chosen).sum::<u64>(),
        before
    );
    world.finish();
}

#[test]
fn a_tap_whose_reader_is_gone_copies_nothing() {
    let mut world = World::new(Plan::new(seed()));
    world.listen(origin(1), Settings::MODERN, echo);
    drop(capture(&mut world, ALL, &everything(), 16));
    let client = world.client(1, Settings::MODERN, send(pattern(1, 10_000)));
    world.run_until(secs(5), |world| world.peer(client).received.len() == 10_000);
    world.run_to_the_end(secs(5));
    world.run_for(ms(1));
    world.finish();
}
