use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::flow::FlowHasher;

fn key(n: u32) -> FlowKey {
    FlowKey::from_ipv4(([10, 10, 1, 1], 80), (n.to_be_bytes(), (n % 60_000) as u16))
}

fn hash_with(upper: u32) -> FlowHash {
    FlowHash(u64::from(upper) << 32)
}

/// What must hold between any two calls: every entry can be reached from its home, in order, and
/// the counts agree.
fn check(table: &FlowTable) {
    let mut used = 0;
    for (at, bucket) in table.buckets.iter().enumerate() {
        if bucket.entry == EMPTY {
            continue;
        }
        used += 1;
        let distance = table.distance(bucket.tag, at);
        assert!(distance < FLOW_PROBES_MAX, "bucket {at} is {distance} from home");
        if distance > 0 {
            let before = at.wrapping_sub(1) & table.mask();
            let neighbour = table.buckets[before];
            assert_ne!(neighbour.entry, EMPTY, "a gap before bucket {at}");
            assert!(distance <= table.distance(neighbour.tag, before) + 1, "out of order at {at}");
        }
    }
    assert_eq!(used, table.len());
    let mut entries: Vec<u32> = table.buckets.iter().map(|b| b.entry).collect();
    entries.retain(|entry| *entry != EMPTY);
    entries.extend(&table.free);
    entries.sort_unstable();
    assert!(entries.iter().copied().eq(0..table.capacity() as u32), "an entry is lost or doubled");
}

#[test]
fn what_was_stored_is_found_until_it_is_removed() {
    let hasher = FlowHasher::new(&[1; 16]);
    let mut table = FlowTable::new(2);
    let (a, b, c) = (key(1), key(2), key(3));
    assert_eq!(table.insert(a, hasher.hash(&a), 10), Ok(None));
    assert_eq!(table.insert(b, hasher.hash(&b), u32::MAX), Ok(None));
    assert_eq!(table.insert(c, hasher.hash(&c), 30), Err(Full));
    assert_eq!(table.insert(a, hasher.hash(&a), 11), Ok(Some(10)), "known keys need no room");
    assert_eq!(table.lookup(&a, hasher.hash(&a)), Some(11));
    assert_eq!(table.lookup(&b, hasher.hash(&b)), Some(u32::MAX));
    assert_eq!(table.lookup(&c, hasher.hash(&c)), None);
    assert_eq!(table.remove(&a, hasher.hash(&a)), Some(11));
    assert_eq!(table.remove(&a, hasher.hash(&a)), None);
    assert_eq!(table.insert(c, hasher.hash(&c), 30), Ok(None));
    assert_eq!((table.len(), table.capacity()), (2, 2));
}

#[test]
fn a_table_without_room_refuses_and_works() {
    let mut table = FlowTable::new(0);
    assert_eq!(table.insert(key(1), hash_with(1), 1), Err(Full));
    assert_eq!(table.lookup(&key(1), hash_with(1)), None);
    assert!(table.is_empty());
}

#[test]
fn flows_that_all_collide_are_refused_before_lookups_get_long() {
    let mut table = FlowTable::new(1000);
    // The last bucket, so that probing wraps around.
    let same = hash_with(u32::MAX);
    let mut stored = 0;
    for n in 0..1000 {
        stored += u32::from(table.insert(key(n), same, n).is_ok());
    }
    assert_eq!(stored as usize, FLOW_PROBES_MAX, "the stated bound");
    check(&table);
    for n in 0..1000 {
        assert_eq!(table.lookup(&key(n), same), (n < stored).then_some(n));
    }
    // An insertion that would push one of them over the bound is refused as well.
    assert_eq!(table.insert(key(5_000), hash_with(u32::MAX - (1 << 30)), 1), Ok(None));
    assert_eq!(table.insert(key(5_001), hash_with(0xff7f_ffff), 2), Ok(None));
    check(&table);
    for n in 0..stored {
        assert_eq!(table.remove(&key(n), same), Some(n));
        check(&table);
    }
    assert_eq!(table.len(), 2);
}

#[test]
fn an_insertion_that_would_push_another_too_far_changes_nothing() {
    let mut table = FlowTable::new(1000);
    let bits = table.mask().trailing_ones();
    let home = |bucket: u32| hash_with(bucket << (32 - bits));
    // As many as may share a home, starting at bucket 101; then one that belongs before them and
    // finds its own bucket taken.
    for n in 0..FLOW_PROBES_MAX as u32 {
        assert_eq!(table.insert(key(n), home(101), n), Ok(None));
    }
    assert_eq!(table.insert(key(900), home(100), 900), Ok(None));
    assert_eq!(table.insert(key(901), home(100), 901), Err(Full));
    check(&table);
    assert_eq!(table.lookup(&key(901), home(100)), None);
    for n in 0..FLOW_PROBES_MAX as u32 {
        assert_eq!(table.lookup(&key(n), home(101)), Some(n));
    }
    table.remove(&key(0), home(101));
    assert_eq!(table.insert(key(901), home(100), 901), Ok(None), "room again");
    check(&table);
}

#[test]
fn a_long_stretch_of_flows_is_not_moved_without_end() {
    let mut table = FlowTable::new(8_000);
    let bits = table.mask().trailing_ones();
    let home = |bucket: u32| hash_with(bucket << (32 - bits));
    for n in 0..4_000 {
        assert_eq!(table.insert(key(n), home(n), n), Ok(None));
    }
    assert_eq!(table.insert(key(9_000), home(0), 1), Err(Full));
    assert_eq!(table.insert(key(9_001), home(3_000), 1), Ok(None));
    check(&table);
}

#[test]
fn lookups_stay_short_in_a_full_table_that_has_seen_many_flows_come_and_go() {
    // As full as a table gets: three quarters of 65,536 buckets.
    let capacity = 49_152u32;
    let hasher = FlowHasher::new(&[3; 16]);
    let mut table = FlowTable::new(capacity as usize);
    for n in 0..capacity {
        assert_eq!(table.insert(key(n), hasher.hash(&key(n)), n), Ok(None));
    }
    // Five times over, the oldest flow goes and another comes.
    for n in capacity..6 * capacity {
        let old = key(n - capacity);
        assert_eq!(table.remove(&old, hasher.hash(&old)), Some(n - capacity));
        assert_eq!(table.insert(key(n), hasher.hash(&key(n)), n), Ok(None));
    }
    check(&table);
    assert_eq!(table.len(), table.capacity());

    let distances = table
        .buckets
        .iter()
        .enumerate()
        .filter(|(_, bucket)| bucket.entry != EMPTY)
        .map(|(at, bucket)| table.distance(bucket.tag, at));
    let longest = distances.clone().max().unwrap() + 1;
    let mean = distances.map(|d| d + 1).sum::<usize>() as f64 / f64::from(capacity);
    // Theory for linear probing: (1 + 1 / (1 - 3/4)) / 2 = 2.5 buckets for what is there.
    assert!(mean < 2.6, "{mean:.2} buckets on average");
    assert!(longest < 48, "{longest} buckets at most");

    let misses = 10_000u32;
    let probes: usize = (0..misses)
        .map(|n| {
            let stranger = key(0x8000_0000 + n);
            match table.search(&stranger, tag(hasher.hash(&stranger))) {
                Search::Missing { distance, .. } => distance + 1,
                Search::Found { .. } => unreachable!("never inserted"),
            }
        })
        .sum();
    let mean = probes as f64 / f64::from(misses);
    assert!(mean < 3.0, "{mean:.2} buckets for what is not there");
}

#[derive(Clone, Debug)]
enum Op {
    Insert(u32, u32),
    Remove(u32),
    Lookup(u32),
}

proptest! {
    #[test]
    fn it_behaves_as_a_map_does_under_good_and_terrible_hashes(
        ops in proptest::collection::vec(
            prop_oneof![
                3 => (0u32..400, any::<u32>()).prop_map(|(k, v)| Op::Insert(k, v)),
                2 => (0u32..400).prop_map(Op::Remove),
                1 => (0u32..400).prop_map(Op::Lookup),
            ], 1..800),
        // Bits of the hash that are left: few of them make tags and homes collide.
        kept in prop_oneof![Just(u64::MAX), Just(0x3 << 32), Just(0x7 << 61), Just(0xf << 56)],
        capacity in 1usize..300,
    ) {
        let hasher = FlowHasher::new(&[9; 16]);
        let hash = |n: u32| FlowHash(hasher.hash(&key(n)).0 & kept);
        let mut table = FlowTable::new(capacity);
        let mut model: HashMap<u32, u32> = HashMap::new();
        for op in ops {
            match op {
                Op::Insert(n, value) => match table.insert(key(n), hash(n), value) {
                    Ok(old) => prop_assert_eq!(old, model.insert(n, value)),
                    // Refused only when full, or when collisions reach the stated bound.
                    Err(Full) => prop_assert!(
                        !model.contains_key(&n)
                            && (model.len() == capacity
                                || kept != u64::MAX && model.len() >= FLOW_PROBES_MAX / 4)
                    ),
                },
                Op::Remove(n) => prop_assert_eq!(table.remove(&key(n), hash(n)), model.remove(&n)),
                Op::Lookup(n) => {
                    prop_assert_eq!(table.lookup(&key(n), hash(n)), model.get(&n).copied());
                }
            }
            prop_assert_eq!(table.len(), model.len());
        }
        check(&table);
        for n in 0..400 {
            prop_assert_eq!(table.lookup(&key(n), hash(n)), model.get(&n).copied());
        }
    }
}
