use std::collections::VecDeque;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::thread;

use proptest::prelude::*;

use crate::{Consumer, Producer, ring, ring_from};

/// What can be done with a ring.
#[derive(Clone, Debug)]
enum Op {
    Push,
    PushBurst(usize),
    Pop,
    /// Asks for so many, and takes so many of them.
    PopBurst(usize, usize),
}

fn op() -> impl Strategy<Value = Op> {
    const UP_TO: usize = 20;
    prop_oneof![
        Just(Op::Push),
        (0..UP_TO).prop_map(Op::PushBurst),
        Just(Op::Pop),
        (0..UP_TO, 0..UP_TO).prop_map(|(max, taken)| Op::PopBurst(max, taken)),
    ]
}

/// A number, and something whose holders are counted.
type Item = (usize, Arc<()>);

/// A ring beside a queue that does the same.
struct Twins {
    producer: Producer<Item>,
    consumer: Consumer<Item>,
    queue: VecDeque<usize>,
    /// What is pushed next.
    number: usize,
    life: Arc<()>,
}

impl Twins {
    fn new(position: usize, capacity: usize) -> Twins {
        let (producer, consumer) = ring_from(position, capacity);
        Twins { producer, consumer, queue: VecDeque::new(), number: 0, life: Arc::new(()) }
    }

    fn apply(&mut self, op: &Op) {
        let room = self.producer.capacity() - self.queue.len();
        match *op {
            Op::Push => {
                let refused = self.producer.push((self.number, self.life.clone())).err();
                let pushed = usize::from(refused.is_none());
                assert_eq!(refused.map(number), (room == 0).then_some(self.number));
                self.note_pushed(pushed);
            }
            Op::PushBurst(count) => {
                let life = self.life.clone();
                let numbers = self.number..self.number + count;
                let mut items = numbers.map(|number| (number, life.clone()));
                let pushed = self.producer.push_burst(&mut items);
                assert_eq!(pushed, count.min(room));
                assert_eq!(items.len(), count - pushed, "no more are asked for than fit");
                self.note_pushed(pushed);
            }
            Op::Pop => assert_eq!(self.consumer.pop().map(number), self.queue.pop_front()),
            Op::PopBurst(max, taken) => {
                let burst = self.consumer.pop_burst(max);
                assert_eq!(burst.len(), max.min(self.queue.len()));
                let popped: Vec<usize> = burst.take(taken).map(number).collect();
                assert_eq!(popped.len(), taken.min(max).min(self.queue.len()));
                assert!(self.queue.drain(..popped.len()).eq(popped));
            }
        }
    }

    fn note_pushed(&mut self, count: usize) {
        self.queue.extend(self.number..self.number + count);
        self.number += count;
    }

    fn check(&self) {
        let (len, capacity) = (self.queue.len(), self.producer.capacity());
        assert_eq!(self.consumer.len(), len);
        assert_eq!(self.consumer.is_empty(), len == 0);
        assert_eq!(self.producer.room(), capacity - len);
        assert_eq!(Arc::strong_count(&self.life), 1 + len, "items in the ring, and no others");
    }
}

fn number((number, _): Item) -> usize {
    number
}

proptest! {
    /// Positions overflow on the way; in the end either end goes first.
    #[test]
    fn a_ring_is_a_queue_with_a_bound(
        log_capacity in 0u32..5,
        before_overflow in 0usize..40,
        ops in prop::collection::vec(op(), 0..200),
        consumer_goes_first: bool,
    ) {
        let mut twins = Twins::new(usize::MAX - before_overflow, 1 << log_capacity);
        for op in &ops {
            twins.apply(op);
            twins.check();
        }
        let Twins { producer, consumer, life, .. } = twins;
        if consumer_goes_first {
            drop(consumer);
            assert!(producer.is_abandoned());
            assert_eq!(Arc::strong_count(&life), 1, "nobody will take them");
        } else {
            drop(producer);
            assert!(consumer.is_abandoned());
            drop(consumer);
            assert_eq!(Arc::strong_count(&life), 1);
        }
    }
}

#[test]
fn a_capacity_is_a_power_of_two() {
    for capacity in [0, 3, 12, usize::MAX] {
        assert!(catch_unwind(|| ring::<u8>(capacity)).is_err(), "{capacity}");
    }
}

#[test]
fn what_is_pushed_after_the_consumer_has_gone_is_dropped_with_the_producer() {
    let life = Arc::new(());
    let (mut producer, consumer) = ring(4);
    drop(consumer);
    while producer.push(life.clone()).is_ok() {}
    assert_eq!(Arc::strong_count(&life), 1 + 4);
    drop(producer);
    assert_eq!(Arc::strong_count(&life), 1);
}

#[test]
fn a_leaked_burst_loses_items_but_hands_none_out_twice() {
    let life = Arc::new(());
    let (mut producer, mut consumer) = ring(4);
    producer.push_burst((0..4).map(|number| (number, life.clone())));
    let mut burst = consumer.pop_burst(3);
    assert_eq!(burst.next().map(number), Some(0));
    std::mem::forget(burst);
    assert_eq!(consumer.pop().map(number), Some(3));
    assert_eq!(producer.room(), 4);

    producer.push_burst((4..8).map(|number| (number, life.clone())));
    let mut burst = consumer.pop_burst(4);
    let taken = (burst.next(), burst.next());
    std::mem::forget(burst);
    drop(consumer);
    drop(producer);
    drop(taken);
    assert_eq!(Arc::strong_count(&life), 1 + 4, "two of each burst were lost");
}

#[test]
fn an_iterator_that_is_wrong_about_its_length_harms_nobody() {
    struct Wrong {
        says: usize,
        left: u8,
    }
    impl Iterator for Wrong {
        type Item = u8;

        fn next(&mut self) -> Option<u8> {
            self.left = self.left.checked_sub(1)?;
            Some(self.left)
        }
    }
    impl ExactSizeIterator for Wrong {
        fn len(&self) -> usize {
            self.says
        }
    }

    let (mut producer, mut consumer) = ring(4);
    assert_eq!(producer.push_burst(Wrong { says: 3, left: 1 }), 1);
    assert_eq!(producer.push_burst(Wrong { says: 0, left: 9 }), 3, "what was known to fit");
    assert!(consumer.pop_burst(9).eq([0, 8, 7, 6]));
}

/// Bursts of sizes that follow no pattern, from 1 to 64.
fn sizes(seed: u64) -> impl Iterator<Item = usize> {
    (seed..).map(|n| 1 + (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize)
}

#[test]
fn numbers_cross_two_threads_in_order_in_bursts_of_any_size() {
    const NUMBERS: usize = if cfg!(debug_assertions) { 1_000_000 } else { 10_000_000 };
    let (mut producer, mut consumer) = ring_from(usize::MAX - 1000, 128);
    let pushing = thread::spawn(move || {
        let mut numbers = 0..NUMBERS;
        for size in sizes(1) {
            let burst = numbers.start..numbers.end.min(numbers.start + size);
            numbers.start += producer.push_burst(burst);
            if numbers.is_empty() {
                break;
            }
            if producer.room() == 0 {
                thread::yield_now();
            }
        }
    });
    let mut expected = 0;
    for size in sizes(2) {
        let abandoned = consumer.is_abandoned();
        for number in consumer.pop_burst(size) {
            assert_eq!(number, expected);
            expected += 1;
        }
        if consumer.is_empty() {
            if abandoned {
                break;
            }
            thread::yield_now();
        }
    }
    pushing.join().unwrap();
    assert_eq!(expected, NUMBERS);
}
