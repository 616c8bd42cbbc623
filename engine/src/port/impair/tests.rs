use super::super::sim::{self, SimPeer, SimPort};
use super::*;

const MS: Duration = Duration::from_millis(1);

struct Rig {
    pool: FramePool,
    port: Impair<SimPort>,
    peer: SimPeer,
    now: Instant,
}

impl Rig {
    fn new(seed: u64, rx: Settings, tx: Settings) -> Self {
        Rig::with_device(seed, rx, tx, sim::Settings::default())
    }

    fn with_device(seed: u64, rx: Settings, tx: Settings, device: sim::Settings) -> Self {
        let pool = FramePool::in_memory(4096, 2048);
        let (port, peer) = SimPort::with_peer(device);
        let port = Impair::new(port, seed, rx, tx);
        Rig { pool, port, peer, now: Instant::ZERO }
    }

    fn packet(number: u32) -> Vec<u8> {
        let mut packet = vec![0; 60];
        packet[56..].copy_from_slice(&number.to_be_bytes());
        packet
    }

    fn number(packet: &[u8]) -> u32 {
        u32::from_be_bytes(packet[56..60].try_into().unwrap())
    }

    /// One turn: what the peer sent is received and freed; returns the packets.
    fn receive(&mut self) -> Vec<Vec<u8>> {
        self.port.set_now(self.now);
        let mut packets = Vec::new();
        loop {
            let mut burst = Burst::new();
            self.port.rx_burst(&mut self.pool, &mut burst);
            packets.extend(burst.iter().map(|f| self.pool.bytes(f).to_vec()));
            let done = burst.is_empty();
            burst.drain().for_each(|f| self.pool.free(f));
            if done {
                return packets;
            }
        }
    }

    fn send(&mut self, packet: &[u8]) {
        self.port.set_now(self.now);
        let mut frame = self.pool.alloc().unwrap();
        self.pool.push_back(&mut frame, packet.len()).unwrap().copy_from_slice(packet);
        let mut burst = Burst::new();
        burst.push(frame).unwrap();
        self.port.tx_burst(&mut self.pool, &mut burst);
        assert!(burst.is_empty());
    }

    /// Everything is accounted for, and comes home.
    fn finish(mut self) {
        let (rx, tx) = self.port.path_stats();
        let out = |s: &PathStats| s.left + s.lost + s.queue_full;
        let held = rx.entered + rx.duplicated + tx.entered + tx.duplicated - out(&rx) - out(&tx);
        assert_eq!(held, self.port.held() as u64);
        assert_eq!(
            self.pool.held_count(),
            self.port.held() + self.port.inner().sending(),
            "every frame can be named"
        );
        self.port.close(&mut self.pool);
        assert_eq!(self.pool.free_count(), self.pool.capacity());
    }
}

/// Runs 2000 packets through a bad network and returns what came out, in order.
fn bad_day(seed: u64) -> Vec<Vec<u8>> {
    let rx = Settings {
        loss_ppm: 50_000,
        duplicate_ppm: 50_000,
        corrupt_ppm: 50_000,
        reorder_ppm: 50_000,
        jitter: 3 * MS,
        ..Settings::default()
    };
    let mut rig = Rig::new(seed, rx, Settings::default());
    let mut seen = Vec::new();
    for n in 0..2000 {
        rig.peer.send(&Rig::packet(n));
        rig.now += MS;
        seen.extend(rig.receive());
    }
    rig.now += 200 * MS;
    seen.extend(rig.receive());
    let (stats, _) = rig.port.path_stats();
    for count in [stats.lost, stats.duplicated, stats.corrupted, stats.reordered] {
        assert!((60..140).contains(&count), "{stats:?}");
    }
    assert_eq!(seen.len() as u64, 2000 + stats.duplicated - stats.lost);
    assert_eq!(rig.port.stats().rx_dropped, stats.lost);
    rig.finish();
    seen
}

#[test]
fn the_same_seed_is_the_same_network() {
    let day = bad_day(1);
    assert_eq!(day, bad_day(1));
    assert_ne!(day, bad_day(2));
}

#[test]
fn nothing_happens_unless_asked_for() {
    let mut rig = Rig::new(3, Settings::default(), Settings::default());
    (0..500).for_each(|n| rig.peer.send(&Rig::packet(n)));
    assert!(rig.receive().iter().map(|p| Rig::number(p)).eq(0..500));
    (0..500).for_each(|n| rig.send(&Rig::packet(n)));
    rig.port.flush(&mut rig.pool);
    let sent: Vec<_> = std::iter::from_fn(|| rig.peer.receive()).collect();
    assert!(sent.iter().map(|p| Rig::number(p)).eq(0..500));
    rig.finish();
}

#[test]
fn a_delay_is_kept_to_the_nanosecond() {
    let slow = Settings { delay: 10 * MS, ..Settings::default() };
    let mut rig = Rig::new(4, slow, Settings::default());
    rig.peer.send(&Rig::packet(0));
    assert!(rig.receive().is_empty());
    let due = rig.port.next_due().unwrap();
    assert_eq!(due, Instant::from_millis(10));
    rig.now = Instant::from_nanos(due.as_nanos() - 1);
    assert!(rig.receive().is_empty());
    rig.now = due;
    assert_eq!(rig.receive().len(), 1);
    assert_eq!(rig.port.next_due(), None);
    rig.finish();
}

#[test]
fn a_narrow_link_spaces_packets_and_its_queue_is_bounded() {
    // 60 octets at 480 kbit/s take a millisecond.
    let narrow = Settings { rate_bps: Some(480_000), queue: Some(5), ..Settings::default() };
    let mut rig = Rig::new(5, Settings::default(), narrow);
    (0..8).for_each(|n| rig.send(&Rig::packet(n)));
    assert_eq!(rig.port.path_stats().1.queue_full, 3);
    for n in 0..5 {
        rig.port.flush(&mut rig.pool);
        assert_eq!(rig.peer.receive(), None);
        rig.now += MS;
        rig.port.set_now(rig.now);
        rig.port.flush(&mut rig.pool);
        assert_eq!(rig.peer.receive().map(|p| Rig::number(&p)), Some(n));
    }
    assert_eq!(rig.port.stats(), PortStats { sent: 8, tx_dropped: 3, ..PortStats::default() });
    rig.finish();
}

#[test]
fn a_queue_in_octets_counts_what_waits_for_the_link_and_not_what_is_behind_it() {
    // Sixty octets take a millisecond, and then a second.
    let narrow = Settings {
        rate_bps: Some(480_000),
        queue_octets: Some(130),
        delay: 1000 * MS,
        ..Settings::default()
    };
    let mut rig = Rig::new(5, Settings::default(), narrow);
    (0..4).for_each(|n| rig.send(&Rig::packet(n)));
    assert_eq!(rig.port.path_stats().1.queue_full, 2, "two fit, the one being sent included");
    // As fast as the link takes them, there is always room, however many are on the path.
    for n in 4..104 {
        rig.now += MS;
        rig.send(&Rig::packet(n));
    }
    let stats = rig.port.path_stats().1;
    assert_eq!((stats.queue_full, stats.queued_octets_max), (2, 120));
    assert_eq!(rig.port.held(), 102);
    rig.finish();
}

#[test]
fn a_reordered_packet_is_overtaken_by_as_many_as_asked() {
    let mut rig = Rig::new(6, Settings::default(), Settings::default());
    let reordered = Settings { reorder_ppm: 1_000_000, ..Settings::default() };
    rig.port.set(reordered, Settings::default());
    rig.peer.send(&Rig::packet(0));
    assert!(rig.receive().is_empty());
    rig.port.set(Settings::default(), Settings::default());
    let mut seen = Vec::new();
    for n in 1..6 {
        rig.peer.send(&Rig::packet(n));
        seen.extend(rig.receive().iter().map(|p| Rig::number(p)));
    }
    assert_eq!(seen, [1, 2, 3, 0, 4, 5]);
    // With nothing behind it, it leaves when its time is up.
    rig.port.set(reordered, Settings::default());
    rig.peer.send(&Rig::packet(6));
    assert!(rig.receive().is_empty());
    rig.now = rig.port.next_due().unwrap();
    assert_eq!(rig.now, Instant::from_millis(100));
    assert_eq!(rig.receive().len(), 1);
    rig.finish();
}

#[test]
fn corruption_flips_one_bit_and_spares_what_is_kept() {
    let corrupting = Settings { corrupt_ppm: 1_000_000, ..Settings::default() };
    let mut rig = Rig::new(7, Settings::default(), corrupting);
    let original = Rig::packet(0x5555_5555);
    let mut frame = rig.pool.alloc().unwrap();
    rig.pool.push_back(&mut frame, 60).unwrap().copy_from_slice(&original);
    let mut burst = Burst::new();
    burst.push(rig.pool.share(&frame)).unwrap();
    rig.port.tx_burst(&mut rig.pool, &mut burst);
    rig.port.flush(&mut rig.pool);
    assert_eq!(rig.pool.bytes(&frame), original, "kept for retransmission, untouched");
    rig.pool.free(frame);
    let arrived = rig.peer.receive().unwrap();
    let flipped: u32 = original.iter().zip(&arrived).map(|(a, b)| (a ^ b).count_ones()).sum();
    assert_eq!(flipped, 1);
    assert_eq!(arrived[..14], original[..14]);
    rig.finish();
}

#[test]
fn what_the_device_has_no_room_for_waits_its_turn() {
    let device = sim::Settings { tx_entries: 2, ..sim::Settings::default() };
    let duplicating = Settings { duplicate_ppm: 1_000_000, ..Settings::default() };
    let mut rig = Rig::with_device(8, Settings::default(), duplicating, device);
    (0..3).for_each(|n| rig.send(&Rig::packet(n)));
    assert_eq!((rig.port.held(), rig.port.next_due()), (4, Some(Instant::ZERO)));
    let mut seen = Vec::new();
    for _ in 0..4 {
        rig.port.flush(&mut rig.pool);
        seen.extend(std::iter::from_fn(|| rig.peer.receive()).map(|p| Rig::number(&p)));
    }
    assert_eq!(seen, [0, 0, 1, 1, 2, 2]);
    rig.finish();
}

#[test]
fn closing_brings_home_what_was_on_its_way() {
    let slow =
        Settings { delay: Duration::from_secs(1), reorder_ppm: 500_000, ..Settings::default() };
    let mut rig = Rig::new(9, slow, slow);
    (0..60).for_each(|n| rig.peer.send(&Rig::packet(n)));
    assert!(rig.receive().is_empty());
    (0..100).for_each(|n| rig.send(&Rig::packet(n)));
    assert_eq!(rig.port.held(), 160);
    rig.finish();
}
