use ringroad_engine::port::sim::{self, SimPeer, SimPort};

use super::*;

const MS: Duration = Duration::from_millis(1);
const FRAMES: usize = 1024;

/// A device whose faults are given by what they are, from the 10th millisecond on and before the 20th.
struct Rig {
    pool: FramePool,
    port: Faulty<SimPort>,
    peer: SimPeer,
    now: Instant,
}

impl Rig {
    fn new(kinds: &[PortFaultKind]) -> Self {
        let (port, peer) = SimPort::with_peer(sim::Settings::default());
        let fault = |kind: &PortFaultKind| PortFault { from: 10 * MS, to: 20 * MS, kind: *kind };
        let faults = kinds.iter().map(fault).collect();
        let mut rig = Rig {
            pool: FramePool::in_memory(FRAMES, 2048),
            port: Faulty::new(port, 1, faults),
            peer,
            now: Instant::from_millis(5000),
        };
        rig.port.set_now(rig.now);
        rig
    }

    /// So many milliseconds after the start.
    fn at(&mut self, millis: u32) {
        self.now = Instant::from_millis(5000) + millis * MS;
    }

    fn packet(number: u32) -> Vec<u8> {
        let mut packet = vec![0; 60];
        packet[56..].copy_from_slice(&number.to_be_bytes());
        packet
    }

    fn arrive(&mut self, numbers: std::ops::Range<u32>) {
        numbers.for_each(|number| self.peer.send(&Rig::packet(number)));
    }

    /// Begins a turn; the numbers of what is received.
    fn receive(&mut self) -> Vec<u32> {
        self.port.set_now(self.now);
        let mut burst = Burst::new();
        self.port.rx_burst(&mut self.pool, &mut burst);
        let number = |frame: &Frame| {
            let bytes = self.pool.bytes(frame);
            u32::from_be_bytes(bytes[56..60].try_into().unwrap())
        };
        let numbers = burst.iter().map(number).collect();
        burst.drain().for_each(|frame| self.pool.free(frame));
        numbers
    }

    /// Offers packets to be sent; returns those that were not taken.
    fn send(&mut self, numbers: std::ops::Range<u32>) -> Burst {
        let mut burst = Burst::new();
        for number in numbers {
            let mut frame = self.pool.alloc().unwrap();
            let packet = Rig::packet(number);
            self.pool.push_back(&mut frame, packet.len()).unwrap().copy_from_slice(&packet);
            burst.push(frame).unwrap();
        }
        self.port.tx_burst(&mut self.pool, &mut burst);
        burst
    }

    fn flush(&mut self) {
        self.port.flush(&mut self.pool);
    }

    /// The numbers of what has left.
    fn left(&mut self) -> Vec<u32> {
        let packets = std::iter::from_fn(|| self.peer.receive());
        packets.map(|packet| u32::from_be_bytes(packet[56..60].try_into().unwrap())).collect()
    }

    /// Every frame can be named, and comes home when the port closes.
    fn finish(mut self) {
        assert_eq!(self.pool.held_count(), Wire::held(&self.port));
        self.port.close(&mut self.pool);
        assert_eq!(self.port.kept(), 0);
        assert_eq!(self.pool.free_count(), FRAMES);
    }
}

#[test]
fn nothing_happens_before_a_fault_or_after_it() {
    use PortFaultKind::*;
    let all = [ShortBursts(1), FullRing(0), LateCompletions, LosesReceived(1_000_000), Hoard(1)];
    let mut rig = Rig::new(&all);
    for millis in [9, 20] {
        rig.at(millis);
        rig.arrive(0..60);
        assert!(rig.receive().into_iter().eq(0..60));
        assert!(rig.send(0..60).is_empty());
        rig.flush();
        assert!(rig.left().into_iter().eq(0..60));
        assert_eq!(rig.pool.free_count(), FRAMES);
    }
    assert_eq!(rig.port.fault_stats(), FaultStats::default());
    rig.finish();
}

#[test]
fn short_bursts_bring_everything_in_order_a_little_at_a_time() {
    let mut rig = Rig::new(&[PortFaultKind::ShortBursts(7)]);
    rig.at(10);
    rig.arrive(0..100);
    let mut seen = Vec::new();
    for _ in 0..10 {
        let burst = rig.receive();
        assert_eq!(burst.len(), if seen.len() == 63 { 1 } else { 7 });
        seen.extend(burst);
    }
    assert_eq!(rig.port.next_due(), Some(rig.now + 10 * MS), "what it has taken in is out");
    assert!(rig.receive().len() == 7 && rig.port.next_due() == Some(Instant::ZERO));
    seen.extend(64..71);
    rig.at(20);
    seen.extend(rig.receive());
    assert!(seen.into_iter().eq(0..100), "the rest at once, when it is over");
    rig.finish();
}

#[test]
fn a_full_ring_takes_as_much_in_a_turn_as_it_has_room_for() {
    let mut rig = Rig::new(&[PortFaultKind::FullRing(5)]);
    rig.at(15);
    rig.receive();
    let refused = rig.send(0..8);
    assert_eq!(refused.len(), 3);
    let mut again = refused;
    rig.port.tx_burst(&mut rig.pool, &mut again);
    assert_eq!(again.len(), 3, "not before it has been flushed");
    rig.flush();
    rig.port.tx_burst(&mut rig.pool, &mut again);
    rig.flush();
    assert!(again.is_empty() && rig.left().into_iter().eq(0..8));
    assert_eq!(rig.port.fault_stats().refused, 2);
    rig.finish();
}

#[test]
fn what_is_completed_late_has_left_and_is_kept() {
    let mut rig = Rig::new(&[PortFaultKind::LateCompletions]);
    rig.at(10);
    rig.receive();
    assert!(rig.send(0..50).is_empty());
    rig.flush();
    assert!(rig.left().into_iter().eq(0..50), "in time");
    assert_eq!((rig.port.kept(), rig.pool.held_count()), (50, 50));
    rig.at(19);
    rig.receive();
    assert_eq!(rig.port.kept(), 50);
    assert_eq!(rig.port.next_due(), Some(rig.now + MS));
    rig.at(20);
    rig.receive();
    assert_eq!((rig.port.kept(), rig.pool.free_count()), (0, FRAMES));
    rig.finish();
}

#[test]
fn a_frame_that_is_kept_for_retransmission_too_stays_shared_until_it_is_completed() {
    let mut rig = Rig::new(&[PortFaultKind::LateCompletions]);
    rig.at(10);
    rig.receive();
    let mut kept = rig.pool.alloc().unwrap();
    rig.pool.push_back(&mut kept, 60).unwrap();
    let mut burst = Burst::new();
    burst.push(rig.pool.share(&kept)).unwrap();
    rig.port.tx_burst(&mut rig.pool, &mut burst);
    rig.flush();
    assert!(rig.pool.is_shared(&kept));
    rig.at(20);
    rig.receive();
    assert!(!rig.pool.is_shared(&kept));
    rig.pool.free(kept);
    rig.finish();
}

#[test]
fn no_more_than_a_ring_is_completed_late() {
    let mut rig = Rig::new(&[PortFaultKind::LateCompletions]);
    rig.at(10);
    rig.receive();
    for _ in 0..RING_ENTRIES / 64 {
        assert!(rig.send(0..64).is_empty());
        rig.flush();
    }
    let refused = rig.send(0..64);
    assert_eq!(refused.len(), 64);
    let mut refused = refused;
    refused.drain().for_each(|frame| rig.pool.free(frame));
    rig.finish();
}

#[test]
fn a_device_that_stands_still_does_nothing_until_it_goes_on() {
    let mut rig = Rig::new(&[PortFaultKind::Stalled]);
    rig.at(9);
    rig.receive();
    assert!(rig.send(0..3).is_empty());
    rig.at(10);
    rig.arrive(0..50);
    assert!(rig.receive().is_empty());
    let mut refused = rig.send(3..10);
    rig.flush();
    assert_eq!((refused.len(), rig.left().len()), (7, 0));
    assert_eq!(rig.port.next_due(), Some(rig.now + 10 * MS));
    rig.at(20);
    assert!(rig.receive().into_iter().eq(0..50));
    rig.port.tx_burst(&mut rig.pool, &mut refused);
    rig.flush();
    assert!(refused.is_empty() && rig.left().into_iter().eq(0..10), "in order");
    rig.finish();
}

#[test]
fn what_is_lost_is_counted_and_follows_from_the_seed() {
    let lost = |rig: &mut Rig| {
        rig.at(10);
        let mut seen = Vec::new();
        for turn in 0..100 {
            rig.arrive(50 * turn..50 * (turn + 1));
            seen.extend(rig.receive());
        }
        let lost = rig.port.fault_stats().lost;
        assert_eq!(seen.len() as u64 + lost, 5000);
        assert_eq!((rig.port.stats().received, rig.port.stats().rx_dropped), (5000 - lost, lost));
        assert!((350..650).contains(&lost), "{lost}");
        seen
    };
    let mut rigs = [(); 2].map(|()| Rig::new(&[PortFaultKind::LosesReceived(100_000)]));
    let [one, other] = rigs.each_mut().map(lost);
    assert_eq!(one, other);
    rigs.into_iter().for_each(Rig::finish);
}

#[test]
fn hoarded_frames_are_taken_as_they_come_free_and_given_back() {
    let mut rig = Rig::new(&[PortFaultKind::Hoard(10)]);
    let engines: Vec<_> = (0..100).map(|_| rig.pool.alloc().unwrap()).collect();
    rig.at(10);
    rig.receive();
    assert_eq!((rig.pool.free_count(), rig.port.kept()), (10, FRAMES - 110));
    engines.into_iter().for_each(|frame| rig.pool.free(frame));
    rig.receive();
    assert_eq!((rig.pool.free_count(), rig.port.kept()), (10, FRAMES - 10));
    // With what is left it goes on.
    rig.arrive(0..10);
    assert!(rig.receive().into_iter().eq(0..10));
    rig.at(20);
    rig.receive();
    assert_eq!(rig.pool.free_count(), FRAMES);
    assert_eq!(rig.port.fault_stats().hoarded_max, FRAMES - 10);
    rig.finish();
}

#[test]
fn healing_ends_it_all() {
    use PortFaultKind::*;
    let mut rig = Rig::new(&[ShortBursts(1), LateCompletions, Hoard(20)]);
    rig.at(10);
    rig.arrive(0..10);
    assert!(rig.receive().into_iter().eq(0..1));
    assert!(rig.send(0..5).is_empty());
    rig.flush();
    rig.port.heal();
    assert!(rig.receive().into_iter().eq(1..10));
    assert_eq!((rig.port.kept(), rig.pool.free_count()), (0, FRAMES));
    assert_eq!(rig.port.next_due(), None);
    rig.finish();
}

#[test]
fn a_port_that_is_closed_in_its_worst_hour_gives_all_back() {
    use PortFaultKind::*;
    let mut rig = Rig::new(&[ShortBursts(1), LateCompletions, Hoard(20)]);
    rig.at(10);
    rig.arrive(0..10);
    rig.receive();
    assert!(rig.send(0..5).is_empty());
    rig.flush();
    assert!(rig.port.kept() > 900);
    rig.finish();
}
