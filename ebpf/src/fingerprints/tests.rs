use std::collections::HashMap;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;

use super::*;

const KEY: [u8; 48] = *b"the quick brown fox jumps over the lazy dog, ok.";

fn table(capacity: usize) -> Fingerprints {
    Fingerprints::new(capacity, FingerprintKey::new(&KEY))
}

/// One that goes to bucket 0 of any table.
fn in_first_bucket(tag: u32) -> Fingerprint {
    Fingerprint(u64::from(tag) << 36)
}

#[test]
fn what_was_inserted_is_found_with_its_note_until_it_is_removed_as_often() {
    let table = table(1000);
    let (a, b) = (table.hash(&[1, 2]), table.hash(&[1, 3]));
    assert_eq!(table.find(a), Found::No);
    table.insert(a, 7);
    table.insert(a, 7);
    table.insert(b, 15);
    assert_eq!(table.find(a), Found::Yes { note: 7 });
    assert_eq!(table.find(b), Found::Yes { note: 15 });
    table.remove(a);
    assert_eq!(table.find(a), Found::Yes { note: 7 });
    table.remove(a);
    assert_eq!(table.find(a), Found::No);
    assert_eq!(table.find(b), Found::Yes { note: 15 });
    assert_eq!((table.count(), table.refused()), (1, 0));
}

#[test]
fn a_hash_without_a_tag_has_one_all_the_same() {
    let table = table(1);
    table.insert(in_first_bucket(0), 0);
    assert_eq!(table.find(in_first_bucket(0)), Found::Yes { note: 0 });
    assert_eq!(table.count(), 1);
}

#[test]
fn a_full_bucket_may_have_anything_until_it_is_full_no_more() {
    let table = table(1);
    (1..=16).for_each(|tag| table.insert(in_first_bucket(tag), 3));
    assert_eq!(table.find(in_first_bucket(15)), Found::Yes { note: 3 });
    assert_eq!(table.find(in_first_bucket(16)), Found::Maybe, "found no place");
    assert_eq!(table.find(in_first_bucket(99)), Found::Maybe, "was never there");
    assert_eq!((table.count(), table.refused()), (16, 1));
    table.remove(in_first_bucket(1));
    assert_eq!(table.find(in_first_bucket(16)), Found::Maybe, "a place got free, but not its own");
    table.remove(in_first_bucket(16));
    assert_eq!(table.find(in_first_bucket(99)), Found::No);
    assert_eq!(table.find(in_first_bucket(15)), Found::Yes { note: 3 });
    assert_eq!((table.count(), table.refused()), (14, 1));
}

#[test]
fn what_is_remembered_gives_way_in_turn() {
    let table = table(1);
    (1..=15).for_each(|tag| table.remember(in_first_bucket(tag)));
    // One that is known takes no place.
    table.remember(in_first_bucket(9));
    assert!((1..=15).all(|tag| table.is_remembered(in_first_bucket(tag))));
    table.remember(in_first_bucket(16));
    table.remember(in_first_bucket(17));
    let kept: Vec<_> = (1..=17).filter(|tag| table.is_remembered(in_first_bucket(*tag))).collect();
    assert_eq!(kept, (3..=17).collect::<Vec<_>>());
}

#[test]
fn a_table_of_its_capacity_is_hardly_ever_full_and_finds_hardly_any_other() {
    let capacity = 100_000;
    let table = table(capacity);
    // As addresses and ports come: in a row.
    let flow = |n: usize| table.hash(&[0x0a00_0001, n as u32 / 60_000, n as u32 % 60_000, 9]);
    (0..capacity).for_each(|n| table.insert(flow(n), 1));
    assert!((0..capacity).all(|n| table.find(flow(n)) != Found::No));
    assert!(table.refused() < 10, "{} without a place", table.refused());
    let found = (capacity..20 * capacity).filter(|n| table.find(flow(*n)) != Found::No).count();
    assert!(found < 2_000, "{found} of two million that are not there");
    (0..capacity).for_each(|n| table.remove(flow(n)));
    assert_eq!(table.count(), 0);
}

#[test]
fn lines_are_enough_for_a_third() {
    assert_eq!(lines_for(0), 2);
    assert_eq!(lines_for(5), 2);
    assert_eq!(lines_for(6), 3);
    for capacity in [1, 1_000, 1 << 20, FINGERPRINTS_MAX] {
        let places = (lines_for(capacity) - 1) * FINGERPRINTS_PER_BUCKET;
        assert!((3 * capacity..=6 * capacity + 15).contains(&places), "{capacity}: {places}");
    }
}

/// By the definition in RFC 4418 §5.2.2, with neighbours paired, in arithmetic that cannot wrap.
#[test]
fn the_hash_is_nh() {
    let words = [0xffff_ffff_u32, 1, 0x8000_0000, 0xdead_beef, 7, 0];
    let key: Vec<u32> = KEY.chunks(4).map(|c| u32::from_ne_bytes(c.try_into().unwrap())).collect();
    let add = |at: usize| (u128::from(words[at]) + u128::from(key[at])) % (1 << 32);
    let sum: u128 = [0, 2, 4].iter().map(|at| add(*at) * add(at + 1)).sum();
    assert_eq!(table(1).hash(&words).0, finalise(sum as u64));
}

#[test]
fn several_threads_may_write() {
    let table = table(64);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let table = table.clone();
            scope.spawn(move || {
                for round in 0..10_000 {
                    let own = table.hash(&[thread, round % 64]);
                    table.insert(own, thread as u8);
                    assert_ne!(table.find(own), Found::No);
                    table.remove(own);
                }
            });
        }
    });
    assert_eq!(table.count(), 0);
}

/// Workers on several cores come and go in the same few buckets, with the same tags among them, while
/// the shield looks for what stays: it is always there.
#[test]
fn what_stays_is_always_found_while_others_come_and_go() {
    let table = table(1);
    let staying: Vec<_> = (1..=4).map(in_first_bucket).collect();
    staying.iter().for_each(|stays| table.insert(*stays, 1));
    let done = AtomicBool::new(false);
    let looked = AtomicU32::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) || looked.load(Ordering::Relaxed) == 0 {
                for stays in &staying {
                    assert_eq!(table.find(*stays), Found::Yes { note: 1 });
                }
                looked.fetch_add(1, Ordering::Relaxed);
            }
        });
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let table = table.clone();
                scope.spawn(move || {
                    // Its own, everybody's, and one that stays.
                    let tags = [10 + writer, 20, 21, 1 + writer];
                    for round in 0..20_000_u32 {
                        let of =
                            |offset: u32| in_first_bucket(tags[((round + offset) % 4) as usize]);
                        let held = [of(0), of(1), of(2)];
                        held.iter().for_each(|one| table.insert(*one, 1));
                        assert!(held.iter().all(|one| table.find(*one) != Found::No));
                        held.iter().rev().for_each(|one| table.remove(*one));
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!((table.count(), table.refused()), (staying.len(), 0));
}

/// Several workers note sources at once: of those that come last none is missing.
#[test]
fn several_threads_may_remember() {
    let table = table(4096);
    let source = |thread: u32, n: u32| [0x0a00_0000 | thread, n];
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let table = table.clone();
            scope.spawn(move || {
                for n in 0..1000 {
                    let own = table.hash(&source(thread, n));
                    table.remember(own);
                    assert!(table.is_remembered(own));
                    // One that everybody notes.
                    table.remember(table.hash(&[7, 7]));
                }
            });
        }
    });
    let all = (0..4).flat_map(|thread| (0..1000).map(move |n| source(thread, n)));
    assert!(all.into_iter().all(|words| table.is_remembered(table.hash(&words))));
    assert!(table.is_remembered(table.hash(&[7, 7])));
}

/// One thing that happens to a table.
#[derive(Clone, Debug)]
enum Op {
    Insert(u32),
    /// Of those that are there, modulo their number.
    Remove(usize),
    Find(u32),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let name = 0_u32..200;
    let op = prop_oneof![
        3 => name.clone().prop_map(Op::Insert),
        2 => any::<usize>().prop_map(Op::Remove),
        1 => name.prop_map(Op::Find),
    ];
    prop::collection::vec(op, 0..600)
}

proptest! {
    /// Beside a multiset that makes no mistakes, in a table so small that buckets overflow.
    #[test]
    fn nothing_that_is_there_is_ever_missed(ops in ops()) {
        let table = table(24);
        let mut model: HashMap<u32, u32> = HashMap::new();
        let mut inserted = Vec::new();
        let note = |name: u32| (name % 16) as u8;
        for op in ops {
            match op {
                Op::Insert(name) => {
                    table.insert(table.hash(&[name, 0]), note(name));
                    *model.entry(name).or_default() += 1;
                    inserted.push(name);
                }
                Op::Remove(_) if inserted.is_empty() => {}
                Op::Remove(which) => {
                    let name = inserted.swap_remove(which % inserted.len());
                    table.remove(table.hash(&[name, 0]));
                    *model.entry(name).or_default() -= 1;
                }
                Op::Find(name) => match table.find(table.hash(&[name, 0])) {
                    Found::Yes { note: found } => prop_assert_eq!(found, note(name)),
                    Found::Maybe => prop_assert!(table.refused() > 0),
                    Found::No => prop_assert_eq!(model.get(&name).copied().unwrap_or(0), 0),
                },
            }
            prop_assert_eq!(table.count(), inserted.len());
        }
    }
}
