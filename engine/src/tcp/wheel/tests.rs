use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const TICK: Duration = Duration::from_millis(1);

fn ms(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn wheel(capacity: usize) -> TimingWheel {
    TimingWheel::new(capacity, TICK, Instant::ZERO)
}

fn drain(wheel: &mut TimingWheel, now: Instant) -> Vec<u32> {
    let mut budget = u32::MAX;
    std::iter::from_fn(|| wheel.expired(now, &mut budget)).collect()
}

#[test]
fn a_timer_expires_once_at_its_time() {
    let mut wheel = wheel(4);
    wheel.arm(2, ms(250));
    assert_eq!(drain(&mut wheel, ms(249)), []);
    assert_eq!(drain(&mut wheel, ms(251)), [2]);
    assert_eq!(drain(&mut wheel, ms(1_000_000)), []);
    assert_eq!(wheel.armed_count(), 0);
}

#[test]
fn timers_expire_at_their_time_on_all_levels() {
    let mut wheel = wheel(8);
    // From one tick to beyond the range of the wheel.
    let deadlines = [20_000_000, 1, 9_000_000, 40, 3_000, 200_000, 4, 60_000_000];
    for (i, deadline) in deadlines.into_iter().enumerate() {
        wheel.arm(i as u32, ms(deadline));
    }
    let mut in_order: Vec<u32> = (0..8).collect();
    in_order.sort_by_key(|i| deadlines[*i as usize]);
    for index in in_order {
        let deadline = deadlines[index as usize];
        assert_eq!(drain(&mut wheel, ms(deadline.saturating_sub(1))), []);
        assert_eq!(drain(&mut wheel, ms(deadline + 1)), [index]);
    }
}

#[test]
fn a_timer_can_be_moved_both_ways_and_cancelled() {
    let mut wheel = wheel(4);
    wheel.arm(0, ms(100));
    wheel.arm(1, ms(100));
    wheel.arm(2, ms(100));
    wheel.arm(0, ms(5_000));
    wheel.arm(1, ms(10));
    wheel.cancel(2);
    wheel.cancel(3);
    assert_eq!(wheel.armed_count(), 2);
    assert_eq!(drain(&mut wheel, ms(99)), [1]);
    assert_eq!(drain(&mut wheel, ms(4_999)), []);
    assert!(wheel.is_armed(0) && !wheel.is_armed(2));
    assert_eq!(drain(&mut wheel, ms(5_001)), [0]);
}

#[test]
fn a_deadline_in_the_past_or_before_the_start_expires_at_once() {
    let mut wheel = TimingWheel::new(2, TICK, ms(1_000));
    assert_eq!(drain(&mut wheel, ms(2_000)), []);
    wheel.arm(0, ms(10));
    wheel.arm(1, ms(1_500));
    assert_eq!(drain(&mut wheel, ms(2_000)), [0, 1]);
}

#[test]
fn an_expired_timer_can_be_rearmed_or_postponed_while_others_expire() {
    let mut wheel = wheel(3);
    for i in 0..3 {
        wheel.arm(i, ms(50));
    }
    let mut budget = 100;
    assert_eq!(wheel.expired(ms(60), &mut budget), Some(0));
    wheel.arm(0, ms(80));
    wheel.arm(1, ms(90));
    wheel.cancel(2);
    assert_eq!(wheel.expired(ms(60), &mut budget), None);
    assert_eq!(drain(&mut wheel, ms(85)), [0]);
    assert_eq!(drain(&mut wheel, ms(95)), [1]);
}

#[test]
fn work_per_call_is_bounded_and_nothing_is_lost_by_it() {
    let mut wheel = wheel(10_000);
    for i in 0..10_000 {
        wheel.arm(i, ms(5_000)); // waits two levels up, so all of them have to move as well
    }
    let (mut calls, mut seen) = (0, BTreeSet::new());
    while wheel.armed_count() > 0 {
        assert!(wheel.next_deadline_hint() <= ms(5_001), "there is more to do now");
        let mut budget = 64;
        while let Some(index) = wheel.expired(ms(5_001), &mut budget) {
            assert!(seen.insert(index));
        }
        calls += 1;
        assert!(calls < 1_000);
    }
    assert_eq!(seen.len(), 10_000);
    assert!(calls >= 10_000 / 64);
}

#[test]
fn the_hint_is_never_late_and_sleeping_by_it_ends() {
    let mut wheel = wheel(2);
    assert_eq!(wheel.next_deadline_hint(), Instant::FAR_FUTURE);
    wheel.arm(0, ms(7_654_321));
    let mut wakes = 0;
    loop {
        let hint = wheel.next_deadline_hint();
        let got = drain(&mut wheel, hint);
        wakes += 1;
        if got == [0] {
            assert!(hint >= ms(7_654_321) && hint < ms(7_654_322));
            break;
        }
        assert!(hint <= ms(7_654_321) && wakes < 10);
    }
    assert!(wakes <= LEVELS);
}

#[test]
fn the_end_of_time_can_be_armed() {
    let mut wheel = wheel(1);
    wheel.arm(0, Instant::FAR_FUTURE);
    assert_eq!(drain(&mut wheel, ms(1_000_000_000)), []);
    assert!(wheel.is_armed(0));
    assert!(wheel.next_deadline_hint() > ms(1_000_000_000));
}

#[test]
#[should_panic(expected = "timer 4 of 4")]
fn an_index_beyond_the_slab_is_refused() {
    wheel(4).arm(4, ms(1));
}

#[derive(Clone, Debug)]
enum Op {
    Arm(u32, u64),
    Cancel(u32),
    Advance(u64),
    /// Take at most so many steps at the present time.
    Some(u32),
}

const TIMERS: u32 = 24;

fn op() -> impl Strategy<Value = Op> {
    // Microseconds; spans of every level of the wheel and beyond it.
    let span = || {
        prop_oneof![
            0u64..3_000,
            0u64..300_000,
            0u64..20_000_000,
            0u64..3_000_000_000,
            0u64..40_000_000_000,
        ]
    };
    prop_oneof![
        4 => (0..TIMERS, span()).prop_map(|(i, us)| Op::Arm(i, us)),
        1 => (0..TIMERS).prop_map(Op::Cancel),
        2 => span().prop_map(Op::Advance),
        1 => (0u32..8).prop_map(Op::Some),
    ]
}

proptest! {
    #[test]
    fn it_agrees_with_a_sorted_map_of_deadlines(
        start in 0u64..100_000_000_000,
        ops in proptest::collection::vec(op(), 1..300),
    ) {
        let start = Instant::from_nanos(start * 1_000);
        let mut wheel = TimingWheel::new(TIMERS as usize, TICK, start);
        let mut model: BTreeMap<u32, Instant> = BTreeMap::new();
        let mut now = start;
        for op in ops {
            let mut budget = match op {
                Op::Arm(index, us) => {
                    let deadline = now + Duration::from_micros(us);
                    wheel.arm(index, deadline);
                    model.insert(index, deadline);
                    0
                }
                Op::Cancel(index) => {
                    wheel.cancel(index);
                    model.remove(&index);
                    0
                }
                Op::Advance(us) => {
                    now += Duration::from_micros(us);
                    u32::MAX
                }
                Op::Some(steps) => steps,
            };
            let complete = budget == u32::MAX;
            while let Some(index) = wheel.expired(now, &mut budget) {
                let deadline = model.remove(&index);
                prop_assert!(deadline.is_some_and(|d| d <= now), "early or not armed: {index}");
            }
            if complete {
                for (index, deadline) in &model {
                    prop_assert!(now.since(*deadline) < TICK, "timer {index} is late");
                }
            }
            prop_assert_eq!(wheel.armed_count(), model.len());
            for index in 0..TIMERS {
                prop_assert_eq!(wheel.is_armed(index), model.contains_key(&index));
            }
            if let Some(first) = model.values().min() {
                // Rounded up to a tick: never later than when it would expire.
                prop_assert!(wheel.next_deadline_hint() <= (*first).max(now) + TICK);
            }
        }
    }
}
