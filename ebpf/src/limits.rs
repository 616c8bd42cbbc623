//! Every bound of the shield, with what happens when it is reached.
//!
//! The same numbers stand in `bpf/consts.h`. They are compared at compile time, through the
//! structures that the skeleton was given.

use std::mem::{offset_of, size_of};
use std::time::Duration;

use crate::skeleton::types;

/// Interfaces that one shield serves. More are refused when it is loaded.
pub const PORTS_MAX: usize = 16;

/// Receive queues of an interface. A socket on a higher one is refused; what arrives on it is the
/// kernel's.
pub const QUEUES_MAX: usize = 128;

/// Services, each of which can be told apart in [`crate::Control::set_accepting`]. More are
/// refused when the shield is loaded or configured anew.
pub const SERVICES_MAX: usize = 1024;

/// Addresses and ports that all services listen on together. More are refused.
pub const SERVICE_ADDRESSES_MAX: usize = 4096;

/// Addresses that the engine connects from, on all interfaces together. More are refused.
pub const EGRESS_ADDRESSES_MAX: usize = 1024;

/// Ranges of source ports of one egress address, after those that touch have become one. More are
/// refused: the program looks at each in turn.
pub const EGRESS_RANGES_MAX: usize = 8;

/// Words that a fingerprint is made of at most [32 bits].
pub const FINGERPRINT_WORDS_MAX: usize = 12;

/// Fingerprints in one bucket, which is a cache line. One more is only counted: see
/// [`crate::Fingerprints`].
pub const FINGERPRINTS_PER_BUCKET: usize = 15;

/// Fingerprints that one table can be made for, in half a gigabyte.
pub const FINGERPRINTS_MAX: usize = 1 << 24;

/// Prefixes in the lists of denied and allowed sources together, of each address family. More are
/// refused. The program's tables hold twice as many: see [`crate::Shield::set_lists`].
pub const LIST_PREFIXES_MAX: usize = 131_072;

/// Sources that have completed a handshake. Of so many, the one that did so longest ago gives way to
/// another, and counts as one of its prefix until it completes a handshake again.
pub const PROVEN_SOURCES_MAX: usize = 262_144;

/// Sources, and prefixes of others, whose token buckets are kept: sets of so many places. A bucket
/// gives way when it is full, as nothing is forgotten then; if none of a set is, the one that is full
/// soonest gives way and is counted, and its source begins with a whole burst when it comes again.
pub const BUCKET_SETS: usize = 16_384;
pub const BUCKETS_PER_SET: usize = 4;

/// SYNs or packets of one source, a second and at once: with more the nanoseconds between two are
/// too few to be exact to a percent.
pub const PACKET_RATE_MAX: u32 = 10_000_000;

/// Octets of one source, a second and at once: with fewer the largest packet would never be within
/// the rate; with more the time of one octet is too short to be exact to a percent.
pub const BYTE_RATE_MIN: u64 = 65_536;
pub const BYTE_RATE_MAX: u64 = 100_000_000_000;

/// Connections just made by cookies, which the engine may not have said yet to be its own. The least
/// recently used one gives way: what of it then overtakes the engine's word is sent again.
pub const PROVEN_FLOWS_MAX: usize = 16_384;

/// How long segments pass for what an earlier one has proven: many times what a lane takes to say
/// that it has the connection.
pub const PROVEN_FLOW_MEMORY: Duration = Duration::from_secs(1);

/// Segments of unknown connections that the kernel gets to answer, each second and at once: enough
/// for what restarts and reboots leave behind, and no load. More are dropped.
pub const UNKNOWN_TO_KERNEL_PER_SECOND: u32 = 1_000;

/// Of a dropped packet in a sample [octets]: all headers, and a look at what follows.
pub const SAMPLE_OCTETS_MAX: usize = 128;

/// Samples that one CPU takes in a second, so that a flood costs nothing more. A quarter of them may
/// come at once. The others are counted with their verdict alone.
pub const SAMPLES_PER_SECOND: u32 = 256;
pub const SAMPLES_AT_ONCE: u32 = SAMPLES_PER_SECOND / 4;

/// Octets kept of what libbpf and the verifier say when a program does not load. The end is kept.
pub const LOAD_LOG_OCTETS_MAX: usize = 2048;

const _: () =
    assert!(size_of::<types::sample>() - offset_of!(types::sample, head) == SAMPLE_OCTETS_MAX);
const _: () = assert!(
    offset_of!(types::control, cookie_services) - offset_of!(types::control, accepting)
        == QUEUES_MAX * SERVICES_MAX
);
const _: () = assert!(
    offset_of!(types::control, heartbeats) - offset_of!(types::control, cookie_services)
        == SERVICES_MAX * size_of::<types::cookie_service>()
);
const _: () = assert!(
    offset_of!(types::control, intakes) - offset_of!(types::control, heartbeats)
        == QUEUES_MAX * size_of::<types::heartbeat>()
);
const _: () = assert!(
    offset_of!(types::control, fell_back) - offset_of!(types::control, intakes)
        == PORTS_MAX * QUEUES_MAX * size_of::<types::intake>()
);
const _: () = assert!(
    size_of::<types::control>() - offset_of!(types::control, fell_back)
        == SERVICES_MAX * size_of::<u64>()
);
const _: () = assert!(
    size_of::<types::fingerprint_bucket>() == (FINGERPRINTS_PER_BUCKET + 1) * size_of::<u32>()
);
// A place in a table and a tag are of different bits of the hash.
const _: () = assert!(FINGERPRINTS_MAX < 1 << 28);
const _: () = assert!(
    size_of::<types::bucket_set>() - offset_of!(types::bucket_set, buckets)
        == BUCKETS_PER_SET * size_of::<types::buckets>() + 2 * size_of::<u64>()
);
const _: () = assert!(
    size_of::<types::egress>() - offset_of!(types::egress, ranges)
        == EGRESS_RANGES_MAX * size_of::<types::port_range>()
);
