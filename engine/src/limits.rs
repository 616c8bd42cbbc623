//! Every bound of the engine, in one place, with what happens when it is reached.
//!
//! Relations between bounds that the code relies on are asserted at the end, at compile time.

use std::time::Duration;

/// Frames handled between two looks at the clock [frames]. A port hands over at most this many.
pub const BURST: usize = 64;

/// Room kept in front of every received packet [octets]. The kernel reserves the same
/// (`XDP_PACKET_HEADROOM`), so that a packet can be re-headed in place with any header we write.
pub const HEADROOM: usize = 256;

/// Smallest frame that AF_XDP accepts in aligned mode [octets].
pub const CHUNK_SIZE_MIN: usize = 2048;

/// Largest frame that AF_XDP accepts: one page [octets]. Bounds the MTU of an AF_XDP port without
/// multi-buffer.
pub const CHUNK_SIZE_MAX: usize = 4096;

/// Largest frame of any port [octets]: a jumbo packet behind its headroom.
pub const FRAME_SIZE_MAX: usize = 10_240;

/// Most frames in one pool [frames]; an index with its free-list links stays within 24 bits.
pub const FRAMES_MAX: usize = 1 << 24;

/// Most pools over one memory, one for each core that has packets [pools]: a handle names its pool
/// in an octet, beside the frame.
pub const POOLS_MAX: usize = 255;

/// Longest headers we ever write in front of a payload [octets]:
/// Ethernet 14 + two VLAN tags 8 + IPv6 40 + TCP with all options 60.
pub const HEADERS_MAX: usize = 14 + 8 + 40 + 60;

/// Most prefixes learnt from each of Linux's routing tables, IPv4 and IPv6 together: the whole
/// Internet's, with room to grow. A million take some 270 MB. Further ones are not learnt; what
/// they cover is reached by a wider route or not at all. Counted, warned of, and read again when
/// there is room.
pub const ROUTES_MAX: usize = 1 << 21;

/// Most addresses with a neighbour entry, well over Linux's own default bound (`gc_thresh3`, 1024)
/// for each family. Further ones are not learnt and stay unresolved; counted and warned of.
pub const NEIGHBOURS_MAX: usize = 1 << 16;

/// Most network devices. Further ones are not learnt: routes over them count as down.
pub const LINKS_MAX: usize = 1 << 13;

/// Most addresses of this host. Further ones are not learnt, and not chosen as sources.
pub const ADDRESSES_MAX: usize = 1 << 14;

/// Most neighbours kept from going stale at a time. Further ones are not: Linux may forget them
/// while they are in use, and they are resolved anew.
pub const NEIGHBOURS_IN_USE_MAX: usize = 1 << 12;

/// Questions for Linux that wait to be asked; a further one is refused, its asker tries later.
pub const KERNEL_QUESTIONS_MAX: usize = 1024;

/// News kept to be applied to tables that are being read meanwhile. When there are more, what was
/// read is used as it is, and read once again.
pub const NEWS_WHILE_READING_MAX: usize = 1 << 14;

/// Receive buffer of a netlink socket [octets]: some ten thousand notifications. When it
/// overflows everything is read again.
pub const NETLINK_BUFFER: usize = 8 << 20;

/// Most sockets reported as being in the way of our source ports: enough to see why.
pub const CLASHES_MAX: usize = 16;

/// IPv6 extension headers that are skipped to find TCP [headers]. RFC 8200 §4.1 knows fewer in
/// front of it. A packet with more goes to the kernel, so that no packet costs more than this.
pub const IPV6_EXTENSIONS_MAX: usize = 4;

/// Free frames that each open device may count on [frames]: what one turn can take out of its
/// fill ring, twice. With fewer free, the pool is scarce and nothing more is held back.
pub const DEVICE_RESERVE: usize = 2 * BURST;

/// How long after the last packet a DPDK device is asked in every turn what it is done with: longer
/// than any takes to send what it has. Frames that stayed with it could not be sent again.
pub const RECLAIM_FOR: Duration = Duration::from_millis(20);

/// Least and most entries in a ring shared with the kernel; a power of two [descriptors].
pub const RING_ENTRIES_MIN: u32 = 64;
pub const RING_ENTRIES_MAX: u32 = 1 << 16;

/// Shortest packet given to a device [octets]: an Ethernet header. The kernel takes shorter ones
/// off the ring without ever completing them, which would lose their frames; they are dropped.
pub const PACKET_MIN: usize = 14;

/// Calls into the kernel for one flush. In copy mode each sends at least
/// [`TX_PER_CALL`] packets, so a full burst leaves in two; the rest is for what earlier
/// flushes left. What is unsent after them waits for the next flush.
pub const KICKS_PER_FLUSH: u32 = 4;

/// Packets that the kernel sends per call in copy mode, unless told otherwise.
pub const TX_PER_CALL: u32 = 32;

/// How long opening waits for a queue that the kernel is still taking from its last socket, and
/// closing for the kernel to let go [ms]. Then opening fails (busy) and closing goes on.
pub const QUEUE_RELEASE_MS: u64 = 1_000;

/// Most flows in one table [flows]. A table is made for fewer; when it is full, new flows are
/// refused and the service's fallback decides what becomes of them.
pub const FLOWS_MAX: usize = 1 << 24;

/// Flow table buckets that are in use at most, in quarters: beyond, probes get long fast.
pub const FLOW_TABLE_LOAD_QUARTERS: usize = 3;

/// Buckets that a lookup may have to look at [buckets]. At three quarters load, a flow lies more
/// than k buckets from home with a probability of about e^(-0.54 k): 10^-30 for this many. An
/// insertion that would need more is refused as if the table were full.
pub const FLOW_PROBES_MAX: usize = 128;

/// Buckets that an insertion may have to move up by one [buckets]. Stretches of used buckets are
/// longer than k with a probability of about e^(-0.038 k): 10^-33 for this many. Refused likewise.
pub const FLOW_SHIFT_MAX: usize = 2048;

/// Most timers in one wheel [timers].
pub const TIMERS_MAX: usize = 1 << 26;

/// Largest congestion window [octets]: no peer can advertise a larger window (65,535 << 14,
/// RFC 7323 §2.3), so growth beyond it would mean nothing. A window that reaches it stays there.
pub const CONGESTION_WINDOW_MAX: u32 = 65_535 << 14;

/// Most segments that a connection may be configured to start with; more are taken as this many.
/// Twenty-five times what RFC 6928 allows is a burst that only a path of one's own can want.
pub const INITIAL_WINDOW_SEGMENTS_MAX: u32 = 256;

/// State of a congestion controller, whichever the algorithm [octets]. One per leg.
pub const CONGESTION_STATE_MAX: usize = 320;

/// Shortest retransmission timeout. Note: RFC 6298 §2.4 says one second; every widely deployed
/// stack uses less, as paths and timers have become faster. It is also what the timeout leaves,
/// on top of the round trip, for a peer that delays its acknowledgment.
pub const RTO_MIN: Duration = Duration::from_millis(200);

/// Retransmission timeout before anything was measured (RFC 6298 §2.1).
pub const RTO_INITIAL: Duration = Duration::from_secs(1);

/// Longest retransmission timeout: where doubling ends (RFC 6298 §2.5 wants at least this).
pub const RTO_MAX: Duration = Duration::from_secs(60);

/// How long a round trip counts as the shortest one seen. Routes change; a minimum from before
/// the change would make every later round trip look like queueing.
pub const MIN_RTT_WINDOW: Duration = Duration::from_secs(10);

/// Buffers that a simulated cable keeps to use again; more are freed.
pub const SIM_SPARE_BUFFERS: usize = 4096;

/// Packets that an impairment may hold back, each way [packets]; more are dropped there, and
/// counted, as by a router whose queue is full.
pub const IMPAIR_QUEUE_MAX: usize = 1 << 16;

/// Largest window scale shift (RFC 7323 §2.3). A larger one is taken for this.
pub const WINDOW_SCALE_MAX: u8 = 14;

/// Largest window without scaling [octets].
pub const WINDOW_UNSCALED_MAX: u32 = 65_535;

/// Frames that one connection's receive queue may hold, in order and out of order each: this many,
/// and one more for every so many octets of window. What arrives beyond is dropped and not
/// acknowledged: the peer sends it again. Octets are bounded by the window; this bounds what small
/// segments cost.
pub const RECEIVE_FRAMES_MIN: u32 = 256;
pub const RECEIVE_OCTETS_PER_FRAME: u32 = 256;

/// Of the frames that devices do not need, one in this many is kept for payload in order. With
/// fewer free, payload behind a gap is dropped: gaps on many connections, by chance or malice,
/// must not hold the frames that fill them.
pub const KEPT_FOR_ORDER: usize = 4;

/// Ranges of payload out of order that a segment's place is looked for among [ranges]. One that is
/// farther from either end, and from where a gap was filled last, is dropped; when the peer sends it
/// again the search goes on from where it ended.
pub const REASSEMBLY_STEPS_MAX: u32 = 1024;

/// A chunk up to this size is appended by copy to one that waits before it, so that a frame is not
/// held for one octet [octets].
pub const COPYBREAK: usize = 256;

/// Segments in flight per segment's worth of congestion window [segments]. The window counts
/// octets; this bounds the frames that small segments can hold.
pub const SEGMENTS_PER_WINDOW_SEGMENT: u32 = 2;

/// Smallest payload per segment that a peer or a path can ask us to send [octets]. A smaller MSS
/// is taken for this, as in Linux (`tcp_min_snd_mss`): less would be an attack on our packet rate.
pub const SEND_MSS_MIN: u16 = 48;

/// Timeouts in a row after which a full-sized segment is taken to be too large for the path, where
/// ICMP does not say so: 1.4 seconds on a short path (Linux: `tcp_retries1`).
pub const BLACK_HOLE_TIMEOUTS: u8 = 3;

/// MSS to begin a search at, when nothing else is known to arrive [octets] (RFC 4821 §7.2).
pub const MTU_SEARCH_BASE: u16 = 1024;

/// What is not worth another probe [octets] (Linux: `tcp_probe_threshold`).
pub const MTU_SEARCH_STEP: u16 = 8;

/// Lost probes of one size after which it is taken for too large (RFC 8899 §5.1.2, MAX_PROBES).
pub const MTU_PROBES_MAX: u8 = 3;

/// How long what was found out about a path's MTU counts, before more is tried (RFC 8201 §4, RFC
/// 1191 §6.3).
pub const MTU_RAISE_AFTER: Duration = Duration::from_secs(600);

/// Chunks or runs that one ACK's selective acknowledgments may make the scoreboard pass without
/// learning anything. Blocks that are farther away are left to the next ACK, which repeats them;
/// what an honest peer reports is near what it reported before.
pub const SACK_STEPS_MAX: u32 = 1024;

/// What a tail loss probe of a single segment waits on top of two round trips, for a peer that
/// delays its ACK (RFC 8985 §7.2, TLP.max_ack_delay: 200 ms is the longest in common use).
pub const TLP_ACK_DELAY_MAX: Duration = Duration::from_millis(200);

/// Least time that a peer has to acknowledge what it has reported already, before that is taken
/// for thrown away (RFC 2018 §8; as Linux).
pub const RENEGING_DELAY_MIN: Duration = Duration::from_millis(10);

/// How soon a SYN follows the reset that ended what an origin still had of an earlier connection.
pub const SYN_AGAIN: Duration = Duration::from_millis(2);

/// How soon a connection tries again what an empty pool or a frame on its way out held back.
pub const OUTPUT_RETRY: Duration = Duration::from_millis(1);

/// Longest time that an ACK waits for payload to ride on (RFC 9293 §3.8.6.3 asks for less than
/// half a second; Linux waits 40 ms at least).
pub const DELAYED_ACK: Duration = Duration::from_millis(40);

/// Least time between two ACKs that answer segments which cannot be right, per connection (RFC
/// 5961 §7, §10; Linux: `tcp_invalid_ratelimit`). Those in between are dropped silently.
pub const CHALLENGE_ACK_INTERVAL: Duration = Duration::from_millis(500);

/// How long TIME-WAIT lasts (RFC 9293 §3.4.2: 2 MSL, with Linux's 60 s in place of 4 minutes).
pub const TIME_WAIT: Duration = Duration::from_secs(60);

/// Silence after which a peer's last timestamp says nothing any more (RFC 7323 §5.5).
pub const TIMESTAMP_VALID: Duration = Duration::from_secs(24 * 24 * 3600);

/// Ethernet with two VLAN tags [octets].
pub const LINK_HEADERS_MAX: usize = 22;

/// Largest MTU of a port [octets]: its packets fit one frame.
pub const MTU_MAX: usize = CHUNK_SIZE_MAX - HEADROOM - LINK_HEADERS_MAX;

/// Smallest MTU that a path can have [octets]: RFC 1191 §3 for IPv4, RFC 8200 §5 for IPv6.
/// A router that claims less is not believed: small segments would be an attack.
pub const IPV4_MTU_MIN: u16 = 552;
pub const IPV6_MTU_MIN: u16 = 1280;

/// Pairs of connections on one lane [pairs]; a service's `max_connections` bounds it further. New
/// connections beyond are the kernel's, or what the service's `fallback` says.
pub const PAIRS_PER_LANE_MAX: usize = 1 << 20;

/// Pairs awake at one time on one lane are as many as its pool has frames, or this many if that is
/// more [pairs]. One that is at work holds a frame, or waits for one or for a handshake; all others
/// can sleep. Where even so all awake are busy, new connections are the kernel's, or what the
/// service's `fallback` says, and segments of those that sleep are dropped, to be sent again.
pub const AWAKE_PAIRS_MIN: usize = 4096;

/// Places for pairs awake that are kept free, so that nobody has to wait for another to fall
/// asleep [pairs]: each packet of a burst may be of another pair.
pub const AWAKE_PAIRS_SPARE: usize = 512;

/// A pair on which nothing happens for this long falls asleep. Longer than a round trip and a
/// delayed acknowledgment, so that a conversation does not wake it with each word.
pub const DORMANT_AFTER: Duration = Duration::from_secs(1);

/// Pairs awake that are asked in one turn, or for one that needs room, whether they may sleep.
pub const LOOKS_FOR_QUIET_MAX: usize = 64;

/// Pairs awake that the cache of one core holds, of some three KiB each [pairs]. With more, what a
/// burst will touch is fetched ahead.
pub const CACHED_PAIRS: usize = 256;

/// When a sleeping pair that found no room to wake for its timer tries again.
pub const WAKE_RETRY: Duration = Duration::from_millis(10);

/// What an idle connection takes at most, both of its legs and its share of every table [octets].
pub const IDLE_CONNECTION_OCTETS_MAX: usize = 1024;

/// Connections that one look at them passes, asked for by an operator [pairs]. In so many words: what
/// traffic waits for at most, as long as a burst takes and no longer. A table of 100,000 is so shown in
/// some 800 pages.
pub const CONNECTIONS_PER_PAGE: usize = 128;

/// Least time between two samples that the legs of a pair give of their paths, where round trips are
/// shorter.
pub const PATH_SAMPLE_INTERVAL: Duration = Duration::from_millis(100);

/// Connections in TIME-WAIT on one lane. Full, the oldest goes early.
pub const TIME_WAIT_MAX: usize = 1 << 17;

/// SYN cookies that one lane remembers as spent: 8 MiB, touched as they are used. A cookie lives
/// for a minute at most, so at up to 10,000 connections per second each of them is remembered for
/// as long as it could be used again. Full, the oldest is forgotten.
pub const SPENT_COOKIES_MAX: usize = 1 << 20;

/// Ports of one lane. A configuration with more is refused.
pub const PORTS_PER_LANE_MAX: usize = 8;

/// Connections that the shield's twin remembers as the kernel's, as many as the XDP program. The
/// least recently used one gives way.
pub const KERNEL_FLOWS_MAX: usize = 1 << 16;

/// How long after the last packet of any of the kernel's connections they are still looked for:
/// longer than the two hours after which keep-alives are sent (RFC 9293 §3.8.4), as in the XDP
/// program.
pub const KERNEL_FLOW_MEMORY: Duration = Duration::from_secs(7500);

/// Packets per second that one port may hand to Linux, of each class, where that costs a system
/// call each in which Linux receives the packet as well: four to eight microseconds in a virtual
/// machine, so that all four together take a quarter of a core. Beyond, they are dropped and
/// counted.
///
/// What keeps the link together: many times what ARP and NDP of a full subnet need.
pub const KERNEL_LINK_PER_SECOND: u32 = 5_000;
/// What keeps the network together and can come from afar, forged as well: some full routing tables a
/// minute.
pub const KERNEL_CONTROL_PER_SECOND: u32 = 5_000;
/// Connections that Linux was given: 350 Mbit/s of full segments.
pub const KERNEL_CONNECTIONS_PER_SECOND: u32 = 30_000;
/// All else: 120 Mbit/s of full packets to what listens in Linux.
pub const KERNEL_REST_PER_SECOND: u32 = 10_000;

/// How long a segment of no connection may wait for its worker, on a core of its own. A core that does not
/// turn is given nothing new after a tenth of a second (`engine.heartbeat_limit`), while a client waits
/// for a second before it sends its SYN again (RFC 6298 §2): to Linux, which has the connection then.
pub const UNKNOWN_WAIT_MAX: Duration = Duration::from_millis(100);

/// In how many turns a core that was away has taken out what lay in its devices' rings. Who finds bursts
/// that are full from then on is not behind but busy.
pub const ABSENCE_TURNS_MAX: u32 = RING_ENTRIES_MAX / BURST as u32;

/// Of how many looks at a ring it is known what they found: as many as empty the largest.
pub const LOOKS_KEPT: usize = RING_ENTRIES_MAX as usize / BURST;

/// Questions per second to Linux whether it has a connection still, which take two system calls each: a
/// fiftieth of a core. Only who sends SYNs between the ends of Linux's connections makes it so many; what
/// is beyond is taken for Linux's.
pub const KERNEL_QUESTIONS_PER_SECOND: u32 = 10_000;

/// How long a class that was quiet may exceed its rate, by as much as it would have had in this
/// time.
pub const KERNEL_PATH_BURST: Duration = Duration::from_millis(50);

/// How long a port's interface in Linux is not looked at again when it had nothing to send. A
/// look costs a system call.
pub const KERNEL_LOOK_INTERVAL: Duration = Duration::from_micros(50);

/// How long one key is used for SYN cookies. A cookie is good for one to two of these: longer than
/// the acknowledgment of an answer is on its way, also when it was lost and the client sends data
/// after its retransmission timeouts of one, two, four and eight seconds (RFC 6298 §2, §5.5).
pub const COOKIE_PERIOD: Duration = Duration::from_secs(32);

/// How long one key is used for cookies of Fast Open, which are good for one to two of these: long
/// enough that who comes back finds them good, short enough that one that was overheard is soon
/// worth nothing (RFC 7413 §4.1.2).
pub const FAST_OPEN_KEY_PERIOD: Duration = Duration::from_secs(3600);

/// Connections of one service on one lane that were opened early and whose clients are still to be
/// heard of (RFC 7413 §5.1) [connections]; beyond, clients do without. Each may hold a request and
/// a connection to an origin.
pub const FAST_OPEN_PENDING_MAX: usize = 256;

/// How long one of them counts on after a reset (RFC 7413 §5.1; as in Linux).
pub const FAST_OPEN_RESET_MEMORY: Duration = Duration::from_secs(60);

/// How often it is asked whether SYN cookies are to be on: a flood of a million a second has brought
/// a thousand SYNs by then.
pub const PRESSURE_INTERVAL: Duration = Duration::from_millis(1);

/// SYNs may exceed their rate by what it makes in this time: browsers open several connections at
/// once, and a lane may be late.
pub const PRESSURE_WINDOW: Duration = Duration::from_millis(100);

/// How long there has to be calm before SYN cookies go off: longer than a client waits before it
/// sends its SYN for the third time (RFC 6298 §2, §5.5), and floods come in waves.
pub const PRESSURE_HOLD: Duration = Duration::from_secs(10);

/// Samples of dropped packets that wait to be looked at, of the shield's twin; further ones are
/// lost, and counted. As many as come in four seconds.
pub const SAMPLES_WAITING_MAX: usize = 1024;

/// A leg's send queue holds at most one frame in this many of those that neither anybody holds nor
/// the devices need. One busy connection can so have a fifth of the pool, a hundred all but a
/// twenty-fifth together.
pub const SEND_QUEUE_SHARE: usize = 4;

/// What the peer of a leg is offered besides is at least this much, or half of all there is room for
/// [octets]: 45 full segments, of which one may come short.
pub const WINDOW_STEP: u32 = 64 * 1024;

/// Largest send queue of a leg [octets]: twice what fills 10 Gbit/s at 100 ms. What the path of the
/// leg takes, and its share of the frames, bound it long before. Reached, the other leg's window
/// closes.
pub const SEND_QUEUE_OCTETS_MAX: u32 = 1 << 28;

/// What a peer is offered before it is known what the taker takes [octets]: a window without
/// scaling, six times the initial window (RFC 6928). Until a proxied connection is open it is all
/// that a client can park here.
pub const RECEIVE_ROOM_INITIAL: u32 = WINDOW_UNSCALED_MAX;

/// Payload from one measurement of a receiver's round trip to the next, with timestamps [octets]:
/// often enough for any path, and seldom enough to cost nothing.
pub const RECEIVE_RTT_SPACING: u32 = 1 << 14;

/// How long what a connection holds must not have moved before it is reset for want of packet
/// memory: many round trips, and several retransmissions. While there is memory, `idle_timeout`
/// decides alone.
pub const RECLAIM_AFTER: Duration = Duration::from_secs(5);

/// Pairs that are looked at for that in one turn.
pub const RECLAIM_PAIRS_PER_TURN: usize = 64;

/// Of these, those that are reset: no more than it takes to go on.
pub const RECLAIMED_PER_TURN_MAX: usize = 4;

/// Source ports that are looked at before an origin counts as out of them.
pub const SOURCE_PORT_TRIES: usize = 16;

/// How often Linux is told which neighbours lead to the origins. It forgets those that it hears
/// nothing of after a minute or more.
pub const ORIGIN_PATH_INTERVAL: Duration = Duration::from_secs(20);

/// Segments that one leg sends in one turn before the others have theirs.
pub const SEGMENTS_PER_TURN_MAX: usize = 64;

/// Pairs that may be left with more to send before the lane receives again [pairs]: a burst of each is
/// twice what a device has room for. Where it has none, asking the next ten thousand finds none either,
/// while what would make room (completions, acknowledgments) waits to be received.
pub const UNFINISHED_PER_TURN_MAX: usize = 64;

/// Steps of the timing wheel in one turn; the rest is done in the next.
pub const TIMER_STEPS_PER_TURN_MAX: u32 = 1024;

/// Resolution of the timing wheel: a power of two nanoseconds, with which it spans eighteen
/// minutes. Fine enough that a burst of paced segments at 4 Gbit/s is no more than
/// [`PACING_QUANTUM_MAX`].
pub const WHEEL_TICK: Duration = Duration::from_nanos(1 << 16);

/// Most that a paced connection sends in one burst, as long as the timing wheel comes by often
/// enough to keep its rate so [octets] (draft-ietf-ccwg-bbr-06 §5.6.3).
pub const PACING_QUANTUM_MAX: u32 = 64 * 1024;

/// Resets per second in answer to segments without a connection; more are not answered. How many it
/// is in a given second, from half of this up, is kept secret.
pub const RESETS_PER_SECOND_MAX: u32 = 10_000;

/// Commands that wait for a lane; further ones are refused to whoever sends them.
pub const COMMANDS_MAX: usize = 64;

/// Packets in one turn that make the next turn follow at once [packets].
pub const BUSY_PACKETS: usize = 16;

/// How long a lane with little to do lets packets gather: the latency that `idle: adaptive` may
/// add to each of them. Waking costs several times what a packet does, most of all in a virtual
/// machine.
pub const NAP: Duration = Duration::from_micros(100);

/// Times that a lane which has rested may be woken in a row for little, before it naps: a connection
/// and its first request and reply, some eight packets, twice. One more comes with each [`NAP`].
pub const PROMPT_WAKES: u32 = 16;

/// Longest time for which a lane leaves a device alone that cannot wake it: the latency that `idle:
/// adaptive` may add to a packet of such a device. To look costs some 30 to 60 µs in a virtual machine:
/// every four milliseconds, that is 1 to 1.5 % of a core.
pub const BLIND_NAP_MAX: Duration = Duration::from_millis(4);

/// Longest sleep: the shield must see a sign of life well within the shortest limit that it can be
/// given, 10 ms.
pub const SLEEP_MAX: Duration = Duration::from_millis(5);

/// How long a service that took no more connections stays closed at least. Room that comes and
/// goes from turn to turn would draw SYNs that find it gone, and wait a second to be sent again.
pub const REOPEN_AFTER: Duration = Duration::from_millis(10);

/// Turns that a stopping lane spends to send its resets.
pub const STOP_TURNS_MAX: usize = 10_000;

/// Received packets that wait for a worker on a core of its own, of each port [packets]: what arrives
/// at line rate while the worker is busy with a burst of each port, several times over.
pub const HOP_RX_ENTRIES: usize = 1024;

/// New connections are sent to a worker only if as much room is left for those that it has [packets].
pub const HOP_RX_FOR_KNOWN: usize = HOP_RX_ENTRIES / 4;

/// Packets that a worker on a core of its own has sent and the device has not been given, of each
/// port [packets]. More would be a queue that no congestion control sees.
pub const HOP_TX_ENTRIES: usize = 256;

/// Packets on their way from one lane to another [packets]. More come only if a lane falls behind.
pub const HAND_OVER_ENTRIES: usize = 1024;

/// Clients by which a worker counts new connections, between two looks at its counts. Whoever opens
/// more than one in this many is found; others take each other's places.
pub const SOURCES_COUNTED: usize = 512;

/// How often the core with the devices looks how its workers are.
pub const WORKERS_LOOK: Duration = Duration::from_millis(1);

/// Alternatives of a capture's filter, and tests in each of them. A longer one is refused, and can be two
/// captures.
pub const CAPTURE_ALTERNATIVES_MAX: usize = 16;
pub const CAPTURE_TESTS_MAX: usize = 8;

/// Handshakes with an origin that fail in a row before it counts as down.
pub const ORIGIN_DOWN_AFTER: u32 = 3;

/// Events of one kind that a worker tells in one [`EVENTS_WINDOW`]; of the others it tells how many they were.
pub const EVENTS_PER_WINDOW: u32 = 5;
pub const EVENTS_WINDOW: Duration = Duration::from_secs(5);

/// Events of a worker that wait for their reader: all that it tells in some windows. Further ones count as held
/// back.
pub const EVENTS_MAX: usize = 64;

const _: () = assert!(RTO_MIN.as_micros() <= RTO_INITIAL.as_micros());
const _: () = assert!(RTO_INITIAL.as_micros() < RTO_MAX.as_micros());
const _: () = assert!(RTO_MAX.as_micros() < (u32::MAX / 16) as u128);
const _: () = assert!(FLOW_TABLE_LOAD_QUARTERS < 4);
// Bucket indices are at most 25 bits, so that a tag of 32 has bits left to tell keys apart.
const _: () = assert!(FLOWS_MAX * 4 / FLOW_TABLE_LOAD_QUARTERS < 1 << 25);
const _: () = assert!(TIMERS_MAX < (u32::MAX / 2) as usize);
const _: () = assert!(HEADERS_MAX <= HEADROOM);
// IPv6, and TCP with all options.
const _: () = assert!(LINK_HEADERS_MAX + 40 + 60 <= HEADERS_MAX);
const _: () = assert!(FRAME_SIZE_MAX <= u16::MAX as usize);
const _: () = assert!(CHUNK_SIZE_MIN.is_power_of_two() && CHUNK_SIZE_MAX.is_power_of_two());
const _: () = assert!(CHUNK_SIZE_MAX <= FRAME_SIZE_MAX);
const _: () = assert!((TX_PER_CALL * KICKS_PER_FLUSH) as usize >= 2 * BURST);
const _: () = assert!(RING_ENTRIES_MIN as usize >= BURST);
const _: () = assert!(COPYBREAK <= CHUNK_SIZE_MIN - HEADROOM);
const _: () = assert!(SPENT_COOKIES_MAX.is_power_of_two());
// The shield's twin keeps a set of ports in an octet.
const _: () = assert!(PORTS_PER_LANE_MAX <= u8::BITS as usize);
const _: () = assert!(AWAKE_PAIRS_SPARE >= BURST * PORTS_PER_LANE_MAX);
const _: () = assert!(AWAKE_PAIRS_MIN >= 2 * AWAKE_PAIRS_SPARE);
const _: () = assert!(HOP_RX_ENTRIES.is_power_of_two() && HOP_TX_ENTRIES.is_power_of_two());
const _: () = assert!(HOP_TX_ENTRIES >= 2 * BURST && HOP_RX_FOR_KNOWN >= 2 * BURST);
