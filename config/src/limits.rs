//! Every bound on what a configuration may say, with its reason.
//!
//! A value beyond its bound is refused with a message that names the bound; a file beyond its
//! bounds is refused as a whole.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Most frames in a burst \[frames\]: what one turn of the engine's loop holds.
pub const BURST_MAX: usize = 64;

/// Frames that each queue's rings may hold \[frames\]: 2048 to receive into, 2048 on their way out.
pub const FRAMES_PER_QUEUE: u32 = 4096;

/// Frames left over for payload that is held until it is acknowledged \[frames\]; with fewer, a
/// single fast connection runs the pool dry.
pub const FRAMES_HELD_MIN: u32 = 4096;

/// Most frames in a lane's pool \[frames\]: a frame's index fits 24 bits.
pub const FRAMES_MAX: u32 = 1 << 24;

/// CPUs are numbered below this (Linux's largest `NR_CPUS`).
pub const CPU_MAX: usize = 8191;

/// Fewest cores of a pipeline: one that receives and sends, and one that processes.
pub const PIPELINE_CORES_MIN: usize = 2;

/// Longest name of a port or service \[octets\]. Names label metrics and log lines.
pub const NAME_MAX: usize = 32;

/// Longest name of a Linux interface \[octets\] (`IFNAMSIZ` less its final zero).
pub const INTERFACE_NAME_MAX: usize = 15;

/// Longest path of a Unix socket \[octets\] (`sun_path` less its final zero).
pub const SOCKET_PATH_MAX: usize = 107;

/// Most ports; a lane polls a queue of each in every turn.
pub const PORTS_MAX: usize = 8;

/// Most queues of a port; the XDP program has a heartbeat and a socket for each.
pub const QUEUES_MAX: u32 = 128;

/// Most services; the XDP program looks them up in a table of fixed size.
pub const SERVICES_MAX: usize = 1024;

/// Most addresses that one service listens on, and most origins of one service.
pub const ADDRESSES_MAX: usize = 256;

/// Most addresses that all services listen on together; the XDP program looks them up in a table
/// of fixed size.
pub const LISTEN_ADDRESSES_MAX: usize = 4096;

/// Most separate ranges of source ports of one egress address on one port; the XDP program looks
/// at each in turn. Those that touch or overlap count as one.
pub const EGRESS_RANGES_MAX: usize = 8;

/// Most prefixes in each of the shield's lists.
pub const PREFIXES_MAX: usize = 65_536;

/// SYNs or packets of one source or prefix, a second and at once. The shield counts the time between
/// two of them in nanoseconds: with more it would not be exact.
pub const PACKET_RATE: RangeInclusive<u32> = 1..=10_000_000;

/// Octets of one source or prefix, a second and at once \[octets\]. With fewer the largest packet
/// would never be within the rate.
pub const BYTE_RATE: RangeInclusive<u64> = 65_536..=100_000_000_000;

/// Half-open connections \[connections\] of one core: as many as a core has room for.
pub const HALF_OPEN: RangeInclusive<u32> = 1..=1 << 20;

/// Initial windows \[segments\]. One is what the first TCPs did; beyond a hundred a lossless start
/// is luck.
pub const INITIAL_WINDOW: RangeInclusive<u32> = 1..=100;

/// Least congestion windows \[segments\], as for the initial one.
pub const MIN_WINDOW: RangeInclusive<u32> = 1..=100;

/// Largest congestion windows \[segments\]: with one segment, a delayed acknowledgment would be waited
/// for each time; a million is more than any peer's window.
pub const MAX_WINDOW: RangeInclusive<u32> = 2..=1_000_000;

/// Largest windows that a peer may be offered \[octets\]: from one without scaling to a quarter of
/// what scaling can say.
pub const RECEIVE_BUFFER: RangeInclusive<u32> = 65_535..=268_435_456;

/// Silences after which a peer is asked for a sign of life, and times between two questions.
pub const KEEPALIVE_TIME: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(86_400);

/// Questions that may go unanswered.
pub const KEEPALIVE_PROBES: RangeInclusive<u8> = 1..=100;

/// User timeouts. Shorter ones end connections that a single lost segment holds up.
pub const USER_TIMEOUT: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(86_400);

/// Connections of one service \[connections\].
pub const CONNECTIONS: RangeInclusive<u32> = 1..=10_000_000;

/// Lowest source port for connections to origins: those below belong to well-known services.
pub const SOURCE_PORT_MIN: u16 = 1024;

/// Fewest source ports: below this, ports come round again before an old connection's last
/// segments have left the network.
pub const SOURCE_PORTS_MIN: u32 = 256;

/// Times that one call looks for packets (`SO_BUSY_POLL`); the engine waits meanwhile.
pub const BUSY_POLL: RangeInclusive<Duration> =
    Duration::from_micros(1)..=Duration::from_millis(10);

/// Times to drain; zero ends at once.
pub const DRAIN_TIMEOUT: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(86_400);

/// Limits on a lane's silence. Shorter ones mistake a scheduler's hiccup for a hang; longer ones
/// leave clients waiting.
pub const HEARTBEAT_LIMIT: RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(10);

/// Times to wait for an origin's handshake.
pub const CONNECT_TIMEOUT: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(120);

/// Times until an idle connection is reset.
pub const IDLE_TIMEOUT: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(604_800);

/// Times between two records on disk. The engine's counts are read once a second; after more than an
/// hour a curve shows nothing any more.
pub const RECORDING_INTERVAL: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3600);

/// Sizes after which a pair of recorded files is followed by the next \[octets\]: a record of all
/// measures fits several times, and one file fits into the memory of who reads it.
pub const RECORDING_SIZE: RangeInclusive<u64> = 256 << 10..=1 << 30;

/// Pairs of recorded files that are kept: the one that is being written, and no more than a directory
/// takes in its stride.
pub const RECORDING_PAIRS: RangeInclusive<u32> = 1..=10_000;

/// Longest file that is read \[octets\].
pub const FILE_MAX: u64 = 8 << 20;

/// Deepest nesting of a file; the schema needs six levels.
pub const DEPTH_MAX: usize = 16;

/// Problems of one file that are shown; the rest is counted.
pub const PROBLEMS_SHOWN: usize = 20;

/// Longest piece of a file that a message quotes \[characters\].
pub const TEXT_SHOWN: usize = 60;

/// Longest key that is compared with the known ones for a suggestion \[octets\]; the comparison
/// takes time with the product of the lengths.
pub const SUGGESTION_KEY_MAX: usize = 40;

const _: () = assert!(FRAMES_PER_QUEUE + FRAMES_HELD_MIN <= FRAMES_MAX);
