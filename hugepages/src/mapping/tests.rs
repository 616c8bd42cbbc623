use std::io::Write as _;
use std::path::Path;

use nix::sys::resource::{UsageWho, getrusage};

use super::*;
use crate::{Inventory, SYSFS, reserve};

const LEN: usize = 4 << 20;

/// Page faults of this thread while it touches all of a mapping.
fn faults(mapping: &mut Mapping) -> i64 {
    let count = || getrusage(UsageWho::RUSAGE_THREAD).unwrap().minor_page_faults();
    let before = count();
    for page in mapping.bytes_mut().chunks_mut(SMALL_PAGE) {
        assert_eq!(page[0], 0);
        page[0] = 1;
    }
    count() - before
}

#[test]
fn ordinary_memory_is_in_place_before_it_is_used() {
    let mut mapping = map(Request { len: LEN - 1, nodes: &[], hugepages: false }).unwrap();
    assert_eq!(mapping.len(), LEN, "rounded up");
    assert!(matches!(mapping.backing(), Backing::Transparent | Backing::Ordinary));
    assert!(mapping.refused().is_none(), "none were asked for");
    assert_eq!(mapping.base().as_ptr() as usize % PAGE_2M as usize, 0);
    let faults = faults(&mut mapping);
    assert!(faults < 8, "{faults} page faults in {} pages", LEN / SMALL_PAGE);
}

#[test]
fn without_enough_hugepages_ordinary_ones_serve_and_say_why() {
    // Far more than any host has set aside.
    let error = map_huge(1 << 46).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOMEM));
    let mapping = map(Request { len: LEN, nodes: &[Some(0)], hugepages: true }).unwrap();
    match mapping.backing() {
        Backing::Huge { page_size } => assert_eq!(page_size, PAGE_2M),
        Backing::Transparent | Backing::Ordinary => assert!(mapping.refused().is_some()),
    }
}

#[test]
fn each_core_has_a_share_of_whole_hugepages() {
    const PAGE: usize = PAGE_2M as usize;
    let divided = |pages: usize, count| shares(pages * PAGE, count).collect::<Vec<_>>();
    assert_eq!(divided(7, 3), [0..2 * PAGE, 2 * PAGE..4 * PAGE, 4 * PAGE..7 * PAGE]);
    assert_eq!(divided(1, 2), [0..0, 0..PAGE], "more cores than pages");
    assert!(divided(7, 0).is_empty());
}

#[test]
fn shares_are_placed_each_by_itself() {
    let nodes = [None, Some(0), Some(0)];
    let mut mapping = map(Request { len: 3 * LEN, nodes: &nodes, hugepages: false }).unwrap();
    assert!(faults(&mut mapping) < 8);
    let nowhere = [Some(0), Some(1000)];
    let request = Request { len: LEN, nodes: &nowhere, hugepages: false };
    assert!(
        matches!(map(request), Err(Error::Place { node: 1000, .. })),
        "the second is looked at"
    );
}

#[test]
fn memory_can_be_handed_over() {
    let mapping = map(Request { len: LEN, nodes: &[], hugepages: false }).unwrap();
    let (base, len) = mapping.into_raw();
    // SAFETY: the memory is ours, handed over just now.
    unsafe { base.as_ptr().add(len - 1).write(1) };
    unmap(base, len);
}

#[test]
fn what_cannot_be_mapped_is_an_error() {
    for len in [usize::MAX, usize::MAX / 2] {
        let message = map(Request { len, nodes: &[], hugepages: false }).unwrap_err().to_string();
        assert!(message.contains("lower `engine.frames`"), "{message}");
    }
    for node in [1 << 20, 1000] {
        let nowhere = Request { len: LEN, nodes: &[Some(node)], hugepages: true };
        let message = map(nowhere).unwrap_err().to_string();
        assert!(message.starts_with(&format!("placing packet memory on NUMA node {node}: ")));
    }
}

/// Past the harness, which would swallow it, and on a line of its own.
fn skip(reason: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "\nSKIP mapping on hugepages: {reason}");
}

#[test]
fn reserved_hugepages_are_used_and_given_back() {
    if !nix::unistd::geteuid().is_root() {
        skip(format_args!("reserving them takes root"));
        return;
    }
    let total = || {
        let pool = Inventory::read(Path::new(SYSFS)).unwrap().pool(PAGE_2M, None);
        pool.unwrap().total
    };
    let reservation = match reserve(Path::new(SYSFS), PAGE_2M, None, 4) {
        Ok(reservation) if reservation.is_enough() => reservation,
        Ok(_) => {
            skip(format_args!("this host has no four to spare"));
            return;
        }
        Err(error) => {
            skip(format_args!("{error}"));
            return;
        }
    };
    let mapped = map(Request { len: LEN, nodes: &[Some(0)], hugepages: true });
    let result = mapped.map(|mut mapping| (mapping.backing(), faults(&mut mapping)));
    // Others may reserve pages meanwhile: it is ours that are to go.
    let (held, added) = (total(), reservation.added());
    drop(reservation);
    assert_eq!(total(), held - added);
    let (backing, faults) = result.unwrap();
    assert_eq!(backing, Backing::Huge { page_size: PAGE_2M });
    assert_eq!(backing.to_string(), "hugepages of 2048 KiB");
    assert!(faults < 8, "{faults}");
}
