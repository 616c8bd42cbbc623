use super::*;
use crate::frame::Frame;

fn frame(pool: &mut FramePool, bytes: &[u8]) -> Frame {
    let mut frame = pool.alloc().unwrap();
    pool.push_back(&mut frame, bytes.len()).unwrap().copy_from_slice(bytes);
    frame
}

fn send(port: &mut SimPort, pool: &mut FramePool, bytes: &[u8]) -> bool {
    let mut burst = Burst::new();
    burst.push(frame(pool, bytes)).unwrap();
    port.tx_burst(pool, &mut burst);
    let taken = burst.is_empty();
    burst.drain().for_each(|f| pool.free(f));
    taken
}

fn finish(mut port: SimPort, mut pool: FramePool) {
    port.close(&mut pool);
    assert_eq!((pool.free_count(), pool.with_devices()), (pool.capacity(), 0));
    assert!(!pool.is_scarce());
}

#[test]
fn packets_come_and_go_in_order() {
    let mut pool = FramePool::in_memory(128, 2048);
    let (mut port, mut peer) = SimPort::with_peer(Settings::default());
    for n in 0..100u8 {
        peer.send(&[n; 60]);
    }
    let mut seen = 0u8;
    for expected in [64, 36, 0] {
        let mut burst = Burst::new();
        port.rx_burst(&mut pool, &mut burst);
        assert_eq!(burst.len(), expected);
        for f in burst.iter() {
            assert_eq!(pool.bytes(f), [seen; 60]);
            assert_eq!(f.start(), crate::limits::HEADROOM);
            seen += 1;
        }
        port.tx_burst(&mut pool, &mut burst);
        assert_eq!(peer.waiting(), usize::from(seen) - expected, "not before the flush");
        port.flush(&mut pool);
        assert_eq!(pool.held_count(), 0);
    }
    for n in 0..100u8 {
        assert_eq!(peer.receive(), Some(vec![n; 60]));
    }
    assert_eq!(port.stats(), PortStats { received: 100, sent: 100, ..PortStats::default() });
    finish(port, pool);
}

#[test]
fn packets_are_lost_without_frames_and_beyond_the_ring() {
    let mut pool = FramePool::in_memory(8, 2048);
    let settings = Settings { rx_entries: 10, ..Settings::default() };
    let (mut port, mut peer) = SimPort::with_peer(settings);
    (0..12).for_each(|n| peer.send(&[n; 60]));
    let mut burst = Burst::new();
    port.rx_burst(&mut pool, &mut burst);
    assert_eq!(burst.len(), 8);
    let expected = PortStats { received: 8, rx_dropped: 4, ..PortStats::default() };
    assert_eq!(port.stats(), expected, "two beyond the ring, two without a frame");
    burst.drain().for_each(|f| pool.free(f));
    peer.send(&[0; 2000]);
    port.rx_burst(&mut pool, &mut burst);
    assert!(burst.is_empty(), "longer than a frame");
    assert_eq!(port.stats().rx_dropped, 5);
    finish(port, pool);
}

#[test]
fn a_full_transmit_ring_takes_no_more() {
    let mut pool = FramePool::in_memory(8, 2048);
    let settings = Settings {
        tx_entries: 2,
        completion: Completion::OnRequest,
        packet_max: 100,
        ..Settings::default()
    };
    let (mut port, mut peer) = SimPort::with_peer(settings);
    assert!(send(&mut port, &mut pool, &[1; 60]));
    assert!(send(&mut port, &mut pool, &[2; 60]));
    assert!(!send(&mut port, &mut pool, &[3; 60]));
    port.flush(&mut pool);
    assert_eq!((peer.waiting(), port.sending()), (2, 2), "sent, but not completed");
    assert!(!send(&mut port, &mut pool, &[3; 60]));
    peer.complete(1);
    port.flush(&mut pool);
    assert_eq!((pool.held_count(), port.sending()), (1, 1));
    assert!(send(&mut port, &mut pool, &[3; 101]), "taken, and dropped for its length");
    assert_eq!(port.stats(), PortStats { sent: 3, tx_dropped: 1, ..PortStats::default() });
    finish(port, pool);
}

#[test]
fn completions_take_as_many_flushes_as_asked_for() {
    let mut pool = FramePool::in_memory(4, 2048);
    let settings = Settings { completion: Completion::AfterFlushes(2), ..Settings::default() };
    let (mut port, mut peer) = SimPort::with_peer(settings);
    let kept = frame(&mut pool, &[7; 60]);
    let mut burst = Burst::new();
    burst.push(pool.share(&kept)).unwrap();
    port.tx_burst(&mut pool, &mut burst);
    for still_out in [true, true, false] {
        port.flush(&mut pool);
        assert_eq!(peer.waiting(), 1);
        assert_eq!(pool.is_shared(&kept), still_out);
    }
    assert_eq!(peer.receive(), Some(vec![7; 60]));
    pool.free(kept);
    finish(port, pool);
}

#[test]
fn linked_ports_hear_each_other() {
    let mut pool = FramePool::in_memory(8, 2048);
    let (mut one, mut other) = SimPort::linked(Settings::default(), Settings::default());
    assert!(send(&mut one, &mut pool, &[1; 60]));
    assert!(send(&mut other, &mut pool, &[2; 60]));
    one.flush(&mut pool);
    other.flush(&mut pool);
    for (port, expected) in [(&mut one, 2), (&mut other, 1)] {
        let mut burst = Burst::new();
        port.rx_burst(&mut pool, &mut burst);
        assert_eq!(burst.iter().map(|f| pool.bytes(f)[0]).collect::<Vec<_>>(), [expected]);
        burst.drain().for_each(|f| pool.free(f));
    }
    one.close(&mut pool);
    finish(other, pool);
}
