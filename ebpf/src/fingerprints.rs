//! Sets that the engine writes with plain stores and the XDP program reads at the cost of two cache
//! lines: fingerprints in shared memory.
//!
//! A table is an array of cache lines: first the key of its hash, then a power of two of *buckets*.
//! A fingerprint is 28 bits of a hash, its *tag*, and four bits that the owner may use, its *note*;
//! further bits of the hash name its bucket, which has room for fifteen. So that a bucket is full by
//! chance once in ten thousand at most, a table is at most a third full.
//!
//! The answer is wrong one way only: what is in the set is always found, and what is not is found
//! by a chance of 2^-25 or so. The hash is NH (RFC 4418 §5.2.2), which no sender of packets can
//! bring to collide by more than a chance of 2^-32 without its key; and none ever sees a value. It
//! takes a tenth of SipHash's time.
//!
//! Several workers may write at once. A place changes by compare-and-swap, and of each tag there are as
//! many as are in the set. Who removes one takes the first that it sees, be it another's: what is left
//! lies behind that, where everybody who looks comes yet.
//!
//! A table is used in one of two ways:
//! - as a *multiset*, which forgets nothing: [`insert`](Fingerprints::insert) and
//!   [`remove`](Fingerprints::remove). A fingerprint whose bucket is full is only counted there, and
//!   as long as one is, all of that bucket may be in the set ([`Found::Maybe`]): it fails open.
//! - as a set of *recent* ones: [`remember`](Fingerprints::remember), where the oldest of a full
//!   bucket gives way.

#![allow(unsafe_code, reason = "maps tables of the XDP program")]

use std::ffi::c_void;
use std::fmt;
use std::io;
use std::mem::size_of;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use crate::limits::{FINGERPRINT_WORDS_MAX, FINGERPRINTS_MAX, FINGERPRINTS_PER_BUCKET};
use crate::skeleton::types;

/// A table of fingerprints. Clones share the memory, and may be written from several threads.
#[derive(Clone, Debug)]
pub struct Fingerprints {
    table: Arc<Table>,
}

/// The key of a table's hash: whoever knows it can make packets collide.
#[derive(Clone, Copy)]
pub struct FingerprintKey([u32; FINGERPRINT_WORDS_MAX]);

/// The hash of what is, or is not, in one table. Means nothing to any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(u64);

/// What a table says of a fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    No,
    Yes {
        note: u8,
    },
    /// Its bucket has, or had, more than fit.
    Maybe,
}

impl Fingerprints {
    /// What one fingerprint takes of a table that holds as many as it is made for, at worst
    /// [octets]: the number of buckets is rounded up to a power of two.
    pub const OCTETS_EACH_MAX: usize =
        (2 * size_of::<Line>() * LOAD_DIVISOR).div_ceil(FINGERPRINTS_PER_BUCKET);

    /// A table in memory of our own. `capacity`: how many it holds as it should.
    ///
    /// # Panics
    /// If `capacity` is more than [`FINGERPRINTS_MAX`].
    pub fn new(capacity: usize, key: FingerprintKey) -> Self {
        let lines = (0..lines_for(capacity)).map(|_| Line::default()).collect();
        Fingerprints::over(Memory::Owned(lines), key)
    }

    /// A table in the memory of a BPF array of `lines`, all zero.
    pub(crate) fn map(map: impl AsFd, lines: usize, key: FingerprintKey) -> io::Result<Self> {
        Ok(Fingerprints::over(Memory::Mapped(Mapping::new(map, lines)?), key))
    }

    fn over(memory: Memory, key: FingerprintKey) -> Self {
        let [first, buckets @ ..] = memory.lines() else { unreachable!("a table has lines") };
        let mask = (buckets.len() - 1) as u32;
        for (word, value) in first.0.iter().zip(key.0.into_iter().chain([mask])) {
            word.store(value, Ordering::Relaxed);
        }
        Fingerprints { table: Arc::new(Table { memory, key, mask, refused: AtomicU64::new(0) }) }
    }

    /// The fingerprint of `words` as they lie in memory.
    #[inline]
    pub fn hash<const N: usize>(&self, words: &[u32; N]) -> Fingerprint {
        const { assert!(N.is_multiple_of(2) && N <= FINGERPRINT_WORDS_MAX) };
        let (pairs, _) = words.as_chunks::<2>();
        let (keys, _) = self.table.key.0.as_chunks::<2>();
        let sum = pairs.iter().zip(keys).fold(0_u64, |sum, (pair, key)| {
            let [first, second] = [0, 1].map(|at| u64::from(pair[at].wrapping_add(key[at])));
            sum.wrapping_add(first * second)
        });
        Fingerprint(finalise(sum))
    }

    /// Adds one, beside those that are there.
    ///
    /// `note`: of four bits. What has the same words has to have the same note.
    pub fn insert(&self, fingerprint: Fingerprint, note: u8) {
        let bucket = self.table.bucket(fingerprint);
        let word = fingerprint.word(note);
        let takes = |place: &AtomicU32| {
            place.compare_exchange(FREE, word, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        if !bucket.places().iter().any(takes) {
            bucket.unplaced().fetch_add(1, Ordering::Relaxed);
            self.table.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes out one that was inserted, if nobody else has.
    pub fn remove(&self, fingerprint: Fingerprint) {
        let bucket = self.table.bucket(fingerprint);
        let gives = |place: &AtomicU32| {
            let word = place.load(Ordering::Relaxed);
            fingerprint.note_in(word).is_some()
                && place.compare_exchange(word, FREE, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        if !bucket.places().iter().any(gives) {
            let one_less = |unplaced: u32| unplaced.checked_sub(1);
            let unplaced = bucket.unplaced();
            let _ = unplaced.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        }
    }

    #[inline]
    pub fn find(&self, fingerprint: Fingerprint) -> Found {
        let bucket = self.table.bucket(fingerprint);
        match bucket.find(fingerprint) {
            Some(note) => Found::Yes { note },
            None if bucket.unplaced().load(Ordering::Relaxed) > 0 => Found::Maybe,
            None => Found::No,
        }
    }

    /// Adds one, if it is not there. If there is no room, one gives way: each in its turn.
    pub fn remember(&self, fingerprint: Fingerprint) {
        let bucket = self.table.bucket(fingerprint);
        if bucket.find(fingerprint).is_some() {
            return;
        }
        let places = bucket.places();
        // The places are taken in turn from the first on, so that the next one is free or oldest.
        let turn = bucket.unplaced().fetch_add(1, Ordering::Relaxed);
        places[turn as usize % places.len()].store(fingerprint.word(0), Ordering::Relaxed);
    }

    /// Whether it is among those that are remembered.
    #[inline]
    pub fn is_remembered(&self, fingerprint: Fingerprint) -> bool {
        self.table.bucket(fingerprint).find(fingerprint).is_some()
    }

    /// Insertions so far that found no room, and were counted instead.
    pub fn refused(&self) -> u64 {
        self.table.refused.load(Ordering::Relaxed)
    }

    /// How many are there now. Walks the table.
    pub fn count(&self) -> usize {
        let [_, buckets @ ..] = self.table.memory.lines() else { return 0 };
        let count = |bucket: &Line| {
            let used = |place: &&AtomicU32| place.load(Ordering::Relaxed) != FREE;
            bucket.places().iter().filter(used).count()
                + bucket.unplaced().load(Ordering::Relaxed) as usize
        };
        buckets.iter().map(count).sum()
    }
}

impl FingerprintKey {
    /// `octets` are from a cryptographic source of randomness.
    pub fn new(octets: &[u8; 4 * FINGERPRINT_WORDS_MAX]) -> Self {
        let (words, _) = octets.as_chunks::<4>();
        let mut key = [0; FINGERPRINT_WORDS_MAX];
        key.iter_mut().zip(words).for_each(|(key, word)| *key = u32::from_ne_bytes(*word));
        FingerprintKey(key)
    }

    /// One from the kernel's source of randomness.
    pub fn draw() -> io::Result<Self> {
        let mut octets = [0; 4 * FINGERPRINT_WORDS_MAX];
        getrandom::fill(&mut octets)?;
        Ok(FingerprintKey::new(&octets))
    }
}

/// Never shows the key.
impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey(..)")
    }
}

impl Fingerprint {
    /// What a bucket has of it, without a note. Never zero, which is a free place.
    #[inline]
    fn tag(self) -> u32 {
        let tag = (self.0 >> 32) as u32 & !NOTE_MASK;
        if tag == 0 { NOTE_MASK + 1 } else { tag }
    }

    /// The lower and the upper half of the hash, for tables that others keep.
    #[inline]
    pub fn halves(self) -> (u32, u32) {
        (self.0 as u32, (self.0 >> 32) as u32)
    }

    fn word(self, note: u8) -> u32 {
        let note = u32::from(note);
        assert!(note <= NOTE_MASK, "a note has {NOTE_BITS} bits");
        self.tag() | note
    }

    /// The note, if `word` has this tag.
    #[inline]
    fn note_in(self, word: u32) -> Option<u8> {
        let note = word ^ self.tag();
        (note <= NOTE_MASK).then_some(note as u8)
    }
}

/// That of MurmurHash3 (Appleby): a bijection, so that it adds no collisions, after which every bit
/// depends on every bit.
#[inline]
fn finalise(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

/// Lines of a table that holds `capacity` as it should.
pub(crate) fn lines_for(capacity: usize) -> usize {
    assert!(capacity <= FINGERPRINTS_MAX, "{capacity} fingerprints");
    let buckets = (capacity * LOAD_DIVISOR).div_ceil(FINGERPRINTS_PER_BUCKET);
    1 + buckets.next_power_of_two()
}

#[derive(Debug)]
struct Table {
    memory: Memory,
    key: FingerprintKey,
    /// Number of buckets, less one.
    mask: u32,
    refused: AtomicU64,
}

impl Table {
    #[inline]
    fn bucket(&self, fingerprint: Fingerprint) -> &Line {
        &self.memory.lines()[1 + (fingerprint.0 as u32 & self.mask) as usize]
    }
}

/// A bucket, or the key: a cache line of the table.
#[derive(Debug, Default)]
#[repr(C, align(64))]
struct Line([AtomicU32; FINGERPRINTS_PER_BUCKET + 1]);

impl Line {
    #[inline]
    fn places(&self) -> &[AtomicU32; FINGERPRINTS_PER_BUCKET] {
        let Some(places) = self.0.first_chunk() else { unreachable!("all but the last") };
        places
    }

    /// How many found no room here; in a table that forgets, how many came.
    #[inline]
    fn unplaced(&self) -> &AtomicU32 {
        &self.0[FINGERPRINTS_PER_BUCKET]
    }

    #[inline]
    fn find(&self, fingerprint: Fingerprint) -> Option<u8> {
        let note = |place: &AtomicU32| fingerprint.note_in(place.load(Ordering::Relaxed));
        self.places().iter().find_map(note)
    }
}

#[derive(Debug)]
enum Memory {
    Owned(Box<[Line]>),
    Mapped(Mapping),
}

impl Memory {
    #[inline]
    fn lines(&self) -> &[Line] {
        match self {
            Memory::Owned(lines) => lines,
            Memory::Mapped(mapping) => mapping.lines(),
        }
    }
}

/// A shared mapping of a BPF array's values.
#[derive(Debug)]
struct Mapping {
    /// Start of a mapping of `len` lines, page-aligned, valid until drop.
    start: NonNull<Line>,
    len: usize,
}

impl Mapping {
    fn new(map: impl AsFd, len: usize) -> io::Result<Self> {
        let octets =
            NonZeroUsize::new(len * size_of::<Line>()).ok_or(io::ErrorKind::InvalidInput)?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, at an address of the kernel's choice: it replaces none. The kernel
        // refuses one that is longer than the array.
        let start = unsafe { mmap(None, octets, protection, MapFlags::MAP_SHARED, map, 0) }?;
        Ok(Mapping { start: start.cast(), len })
    }

    #[inline]
    fn lines(&self) -> &[Line] {
        // SAFETY: the mapping has `len` lines, aligned as pages are, of which any pattern of bits is
        // a value; it is valid as long as `self` is borrowed; all access to it is atomic here and by
        // single loads in the program.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

// SAFETY: the mapping belongs to no thread, and all access to it is atomic.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        let start: NonNull<c_void> = self.start.cast();
        // SAFETY: the mapping is ours, and no borrow of it is left.
        if let Err(error) = unsafe { munmap(start, self.len * size_of::<Line>()) } {
            tracing::debug!(%error, "cannot unmap a table of fingerprints");
        }
    }
}

const FREE: u32 = 0;

const NOTE_BITS: u32 = 4;
const NOTE_MASK: u32 = (1 << NOTE_BITS) - 1;

/// A table has room for this many times its capacity at least.
const LOAD_DIVISOR: usize = 3;

const _: () = assert!(size_of::<Line>() == size_of::<types::fingerprint_bucket>());

#[cfg(test)]
mod tests;
