use std::io;
use std::sync::{Arc, Mutex};

use super::super::sim::{Settings, SimPort};
use super::*;

/// A file that a test can look into; it may be given too little room.
#[derive(Clone, Default, Debug)]
struct Paper {
    text: Arc<Mutex<Vec<u8>>>,
    room: Option<usize>,
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut text = self.text.lock().unwrap();
        if self.room.is_some_and(|room| text.len() + bytes.len() > room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const EPOCH: Duration = Duration::from_secs(1_700_000_000);

/// Sends what it receives back, once a millisecond, `turns` times; returns what the file has.
fn echo(paper: Paper, octets_max: u64, turns: u64) -> (Vec<u8>, u64) {
    let mut pool = FramePool::in_memory(256, 2048);
    let settings = Settings { tx_entries: 3, ..Settings::default() };
    let (port, mut peer) = SimPort::with_peer(settings);
    let mut port = Recorder::new(port, paper.clone(), octets_max, EPOCH).unwrap();
    for turn in 0..turns {
        port.set_now(Instant::from_millis(turn));
        (0..4).for_each(|n| peer.send(&[turn as u8 * 4 + n; 60]));
        let mut burst = Burst::new();
        port.rx_burst(&mut pool, &mut burst);
        assert_eq!(burst.len(), 4);
        port.tx_burst(&mut pool, &mut burst);
        assert_eq!(burst.len(), 1, "the ring takes three");
        port.flush(&mut pool);
        port.tx_burst(&mut pool, &mut burst);
        port.flush(&mut pool);
        for n in 0..4 {
            assert_eq!(peer.receive(), Some(vec![turn as u8 * 4 + n; 60]), "traffic goes on");
        }
    }
    let recorded = port.recorded();
    port.close(&mut pool);
    assert_eq!(pool.free_count(), pool.capacity());
    let text = paper.text.lock().unwrap().clone();
    (text, recorded)
}

#[test]
fn what_was_recorded_can_be_replayed_at_its_pace() {
    let (text, recorded) = echo(Paper::default(), u64::MAX, 3);
    assert_eq!(recorded, 24, "each was received once and sent once");
    let mut times = PcapReader::new(&text[..]).unwrap();
    let first = times.next_packet().unwrap().unwrap();
    assert_eq!((first.timestamp, first.orig_len), (EPOCH, 60));

    let mut pool = FramePool::in_memory(64, 2048);
    let mut replay = Replay::new(&text[..], Pace::Recorded).unwrap();
    let start = Instant::from_millis(500);
    for turn in 0..3u8 {
        replay.set_now(start + Duration::from_millis(turn.into()));
        let mut burst = Burst::new();
        replay.rx_burst(&mut pool, &mut burst);
        let seen: Vec<u8> = burst.iter().map(|f| pool.bytes(f)[0]).collect();
        let base = turn * 4;
        assert_eq!(seen, [0, 1, 2, 3, 0, 1, 2, 3].map(|n| base + n));
        replay.tx_burst(&mut pool, &mut burst);
    }
    assert!(replay.is_done());
    assert_eq!(replay.stats(), PortStats { received: 24, sent: 24, ..PortStats::default() });
    assert_eq!(pool.free_count(), pool.capacity());
}

#[test]
fn a_recording_ends_at_its_size_or_when_its_file_is_full() {
    let (text, recorded) = echo(Paper::default(), 10 * (16 + 60) + 5, 3);
    assert_eq!((recorded, text.len()), (10, 24 + 10 * (16 + 60)));
    let (text, recorded) = echo(Paper { room: Some(100), ..Paper::default() }, u64::MAX, 60);
    assert!(recorded < 480 && text.len() <= 100, "recorded {recorded}");
}

#[test]
fn a_damaged_capture_ends_the_replay() {
    let (mut text, _) = echo(Paper::default(), u64::MAX, 1);
    text.truncate(text.len() - 30);
    let mut pool = FramePool::in_memory(64, 2048);
    let mut replay = Replay::new(&text[..], Pace::Unlimited).unwrap();
    let mut burst = Burst::new();
    replay.rx_burst(&mut pool, &mut burst);
    assert_eq!(burst.len(), 7);
    assert!(replay.is_done());
    replay.tx_burst(&mut pool, &mut burst);
    assert_eq!(pool.free_count(), pool.capacity());
    assert!(Replay::new(&b"no capture at all, but text"[..], Pace::Unlimited).is_err());
}
