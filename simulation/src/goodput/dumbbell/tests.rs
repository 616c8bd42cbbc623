use super::*;
use crate::goodput::host::PAYLOAD;
use crate::goodput::scenario::permille_of;
use crate::link::Loss;

const MS: Duration = Duration::from_millis(1);

/// 12 Mbit/s, 20 ms there and back.
fn path() -> LinkSettings {
    LinkSettings {
        rate_bps: 12_000_000,
        queue_octets: 30_000,
        ..LinkSettings::uncongested(10 * MS)
    }
}

fn flow(round_trip: Duration, starts_after: Duration) -> FlowSettings {
    FlowSettings { leg: LegSettings::default(), round_trip, starts_after }
}

#[test]
fn a_clean_path_is_filled_and_no_more() {
    let mut dumbbell = Dumbbell::new(path(), &[flow(20 * MS, Duration::ZERO)], 1);
    dumbbell.run(5000 * MS);
    let before = dumbbell.delivered(0);
    dumbbell.run(5000 * MS);
    let goodput = permille_of(dumbbell.delivered(0) - before, 12_000_000, 5000 * MS);
    let most = u64::from(PAYLOAD) * 1000 / 1500;
    assert!((most - 10..=most + 1).contains(&goodput), "{goodput} of {most} per mille");
    dumbbell.end();
}

#[test]
fn a_flow_starts_when_it_is_told_and_has_its_own_round_trip() {
    let flows = [flow(20 * MS, Duration::ZERO), flow(100 * MS, 1000 * MS)];
    let mut dumbbell = Dumbbell::new(path(), &flows, 1);
    dumbbell.run(999 * MS);
    assert!(dumbbell.source(0).is_some() && dumbbell.source(1).is_none());
    assert!(dumbbell.delivered(0) > 0);
    dumbbell.run(3000 * MS);
    for (n, least) in [(0, 20), (1, 100)] {
        let srtt = dumbbell.source(n).and_then(|source| source.connection().srtt());
        let srtt = srtt.expect("a round trip was measured").as_millis();
        assert!((least..least + 30).contains(&srtt), "flow {n}: {srtt} ms");
    }
    dumbbell.end();
}

#[test]
fn a_bad_path_brings_every_octet_in_its_place() {
    let bad = LinkSettings {
        loss: Loss::Bursts { ppm: 20_000, length: 3 },
        late_ppm: 20_000,
        late_by: 7 * MS,
        ..path()
    };
    let run = |seed| {
        let mut dumbbell = Dumbbell::new(bad, &[flow(20 * MS, Duration::ZERO)], seed);
        dumbbell.run(20_000 * MS);
        let (lost, delivered) = (dumbbell.figures().lost, dumbbell.delivered(0));
        // The sink has checked the place of each chunk; here all frames come home.
        dumbbell.end();
        (lost, delivered)
    };
    let (lost, delivered) = run(1);
    assert!(lost > 20 && delivered > 1_000_000, "{lost} lost, {delivered} octets delivered");
    assert_eq!(run(1), (lost, delivered), "the same seed");
    assert_ne!(run(2), (lost, delivered), "another seed");
}

#[test]
fn a_trace_tells_what_happens() {
    #[derive(Debug, Default)]
    struct Counts {
        data: u64,
        acknowledgments: u64,
        turns: u64,
    }
    #[derive(Debug)]
    struct Counter(std::rc::Rc<std::cell::RefCell<Counts>>);
    impl Trace for Counter {
        fn on_event(&mut self, _: Instant, _: usize, event: Event<'_>) {
            let mut counts = self.0.borrow_mut();
            match event {
                Event::Data(_) => counts.data += 1,
                Event::Acknowledgment(_) => counts.acknowledgments += 1,
                _ => {}
            }
        }

        fn on_turn(&mut self, _: Instant, _: usize, _: &Traced) {
            self.0.borrow_mut().turns += 1;
        }
    }
    let counts = std::rc::Rc::default();
    let mut dumbbell = Dumbbell::new(path(), &[flow(20 * MS, Duration::ZERO)], 1);
    dumbbell.trace(Counter(std::rc::Rc::clone(&counts)));
    dumbbell.run(100 * MS);
    let counts = counts.borrow();
    // SYN, its ACK, and slow start.
    assert!(counts.data > 40 && counts.acknowledgments > 20, "{counts:?}");
    assert!(counts.turns >= counts.acknowledgments / 2, "{counts:?}");
    dumbbell.end();
}
