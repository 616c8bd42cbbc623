//! All interleavings of two short threads, and all that memory may show them, tried by loom.
//!
//! loom also objects to a slot that both ends reach at a time, and to an item that is not dropped.

use std::collections::VecDeque;

use loom::sync::Arc;
use loom::thread;

use crate::{Consumer, ring_from};

/// A little before positions overflow.
const ALMOST_AROUND: usize = usize::MAX - 1;

/// Pops in bursts of two until nothing will come any more.
fn take_all(mut consumer: Consumer<Arc<u32>>) -> Vec<u32> {
    let mut taken = Vec::new();
    loop {
        let abandoned = consumer.is_abandoned();
        let before = taken.len();
        taken.extend(consumer.pop_burst(2).map(|item| *item));
        if taken.len() == before {
            if abandoned {
                return taken;
            }
            thread::yield_now();
        }
    }
}

#[test]
fn items_arrive_one_by_one_in_slots_used_again() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring_from(ALMOST_AROUND, 2);
        let pushing = thread::spawn(move || {
            for number in 0..3 {
                let mut item = Arc::new(number);
                while let Err(refused) = producer.push(item) {
                    item = refused;
                    thread::yield_now();
                }
            }
        });
        for number in 0..3 {
            let item = loop {
                match consumer.pop() {
                    Some(item) => break item,
                    None => thread::yield_now(),
                }
            };
            assert_eq!(*item, number);
        }
        pushing.join().unwrap();
        assert!(consumer.is_abandoned() && consumer.is_empty());
    });
}

#[test]
fn bursts_arrive_in_slots_used_again_and_an_end_is_final() {
    loom::model(|| {
        let (mut producer, consumer) = ring_from(ALMOST_AROUND, 2);
        let pushing = thread::spawn(move || {
            let mut items: VecDeque<_> = (0..3).map(Arc::new).collect();
            while !items.is_empty() {
                let room = producer.room().min(items.len());
                let pushed = producer.push_burst(items.drain(..room));
                assert_eq!(pushed, room, "room stays");
                if pushed == 0 {
                    thread::yield_now();
                }
            }
        });
        assert_eq!(take_all(consumer), [0, 1, 2]);
        pushing.join().unwrap();
    });
}

#[test]
fn a_producer_that_goes_leaves_its_items() {
    loom::model(|| {
        let (mut producer, consumer) = ring_from(0, 2);
        let pushing = thread::spawn(move || {
            producer.push(Arc::new(0)).unwrap();
            producer.push(Arc::new(1)).unwrap();
        });
        assert_eq!(take_all(consumer), [0, 1]);
        pushing.join().unwrap();
    });
}

#[test]
fn a_consumer_that_goes_takes_its_items_with_it() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring_from(ALMOST_AROUND, 2);
        let pushing = thread::spawn(move || {
            let mut pushed = 0;
            for number in 0..3 {
                pushed += usize::from(producer.push(Arc::new(number)).is_ok());
            }
            pushed
        });
        if let Some(item) = consumer.pop() {
            assert_eq!(*item, 0);
        }
        drop(consumer);
        assert!(pushing.join().unwrap() >= 2);
    });
}
