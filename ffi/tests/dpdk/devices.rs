//! Devices in memory: nothing is lost, and every frame comes home.

use std::fs::File;
use std::slice;
use std::time::Duration;

use dpdk_sys::limits::{BURST_MAX, HEADROOM};
use dpdk_sys::{Checksum, Device, DeviceSettings, LinkReader, Packet, PacketPool};
use pcap_file::pcap::{PcapPacket, PcapWriter};
use tempfile::NamedTempFile;

use crate::frames::Frames;
use crate::{BUFFER_LEN, eal, open, pool, settings};

#[test]
fn every_frame_is_home_when_a_device_is_gone() {
    let eal = eal();
    let pool = pool(&eal, 1024);
    for (device, arguments) in [("net_null_home", ""), ("net_ring_home", "")] {
        for _ in 0..50 {
            let opened = open(&eal, &pool, device, arguments);
            let mut frames = Frames::new(&pool);
            let packets: Vec<Packet> =
                (0..40).map(|_| Packet::new(frames.take().unwrap(), 128, 60)).collect();
            // SAFETY: this thread's pool, and frames of ours.
            assert_eq!(unsafe { opened.tx_burst(0, &packets) }, 40);
            drop(opened);
            assert_eq!(pool.available(), pool.layout().usable, "{device}");
        }
    }
}

#[test]
fn a_second_reference_keeps_a_frame() {
    let eal = eal();
    let pool = pool(&eal, 64);
    let null = open(&eal, &pool, "net_null_kept", "");
    let mut frames = Frames::new(&pool);
    let index = frames.take().unwrap();
    *frames.refcount(index) = 2;
    // SAFETY: this thread's pool, and a frame of ours.
    assert_eq!(unsafe { null.tx_burst(0, &[Packet::new(index, 128, 60)]) }, 1);
    assert_eq!((*frames.refcount(index), pool.available()), (1, 63));
    // SAFETY: as above: it is still ours.
    assert_eq!(unsafe { null.tx_burst(0, &[Packet::new(index, 128, 60)]) }, 1);
    assert_eq!((*frames.refcount(index), pool.available()), (1, 64));
}

#[test]
fn a_full_device_takes_fewer_and_loses_none() {
    let eal = eal();
    let pool = pool(&eal, 4096);
    let ring = open(&eal, &pool, "net_ring_full", "");
    let mut frames = Frames::new(&pool);
    let (mut sent, mut refused) = (Vec::new(), Vec::new());
    while refused.is_empty() {
        let packets: Vec<Packet> =
            (0..64).map(|_| Packet::new(frames.take().unwrap(), 128, 60)).collect();
        // SAFETY: this thread's pool, and frames of ours.
        let taken = unsafe { ring.tx_burst(0, &packets) };
        sent.extend_from_slice(&packets[..taken]);
        refused.extend_from_slice(&packets[taken..]);
    }
    let mut received = Vec::new();
    loop {
        let mut packets = [Packet::default(); BURST_MAX];
        // SAFETY: this thread's pool.
        let count = unsafe { ring.rx_burst(0, &mut packets) };
        if count == 0 {
            break;
        }
        received.extend_from_slice(&packets[..count]);
    }
    assert_eq!(received, sent);
    assert_eq!(pool.available() as usize, 4096 - sent.len() - refused.len());
    let stats = ring.stats().unwrap();
    assert_eq!((stats.opackets, stats.ipackets), (sent.len() as u64, sent.len() as u64));
}

#[test]
fn a_capture_is_replayed_octet_by_octet() {
    let eal = eal();
    let pool = pool(&eal, 4096);
    let packets: Vec<Vec<u8>> =
        (1..=3u8).map(|n| (0..60 + u16::from(n)).map(|i| i as u8 ^ n).collect()).collect();
    let file = capture(packets.clone());
    let arguments = format!("rx_pcap={},infinite_rx=1", file.path().display());
    let replay = open(&eal, &pool, "net_pcap_replay", &arguments);
    let mut frames = Frames::new(&pool);
    let mut expected = packets.iter().cycle();
    for _ in 0..10 {
        let mut received = [Packet::default(); BURST_MAX];
        // SAFETY: this thread's pool.
        let count = unsafe { replay.rx_burst(0, &mut received) };
        assert!(count > 0);
        for packet in &received[..count] {
            let window = usize::from(packet.start)..usize::from(packet.start + packet.len);
            assert_eq!(frames.buffer(packet.index)[window], expected.next().unwrap()[..]);
            assert_eq!(packet.checksum, Checksum::UNKNOWN);
            frames.put(packet.index);
        }
    }
    drop(replay);
    assert_eq!(pool.available(), 4096);
}

/// A packet that does not fit a buffer comes in pieces from this driver; it is let go of.
#[test]
fn a_packet_in_pieces_is_refused_and_counted() {
    let eal = eal();
    let pool = PacketPool::new(&eal, "pieces", 1024, BUFFER_LEN, None).unwrap();
    let file = capture([100, 5000, 200].map(|octets| vec![7; octets]));
    let arguments = format!("rx_pcap={}", file.path().display());
    let replay = open(&eal, &pool, "net_pcap_pieces", &arguments);
    let mut received = [Packet::default(); BURST_MAX];
    // SAFETY: this thread's pool.
    let count = unsafe { replay.rx_burst(0, &mut received) };
    let lengths: Vec<u16> = received[..count].iter().map(|packet| packet.len).collect();
    assert_eq!(lengths, [100, 200]);
    assert_eq!(replay.stats().unwrap().refused, 1);
    assert_eq!(pool.available(), 1024 - 2);
}

#[test]
fn a_jumbo_packet_lies_in_one_frame() {
    let eal = eal();
    let pool = PacketPool::new(&eal, "jumbo", 1024, 9216 + HEADROOM, None).unwrap();
    let file = capture([vec![9; 9014]]);
    let id = eal.attach("net_pcap_jumbo", &format!("rx_pcap={}", file.path().display())).unwrap();
    let settings = DeviceSettings { mtu: 9000, ..settings() };
    let replay = Device::open(id, slice::from_ref(&pool), &settings).unwrap();
    let mut received = [Packet::default(); BURST_MAX];
    // SAFETY: this thread's pool.
    assert_eq!(unsafe { replay.rx_burst(0, &mut received) }, 1);
    assert_eq!(received[0].len, 9014);
    assert_eq!(Frames::new(&pool).buffer(received[0].index)[128..][..9014], [9; 9014]);
}

#[test]
fn a_device_says_what_it_can() {
    let eal = eal();
    let pool = pool(&eal, 1024);
    let id = eal.attach("net_null_able", "").unwrap();
    let able = id.capabilities().unwrap();
    assert_eq!((able.driver.as_str(), able.rx_checksum, able.mtu), ("net_null", false, 1500));
    let asked = DeviceSettings { rx_queues: 2, rx_checksum: true, ..settings() };
    let link = LinkReader::of(&id);
    let device = Device::open(id, slice::from_ref(&pool), &asked).unwrap();
    assert_eq!((device.mac(), device.rx_checksum()), (able.mac, false));
    assert!(link.read().up);
    assert!(device.rx_interrupt_fd(0).is_none());
    drop(device);
    assert!(!link.read().up, "gone");
}

#[test]
fn what_a_device_cannot_do_is_refused_in_one_line() {
    let eal = eal();
    let pool = pool(&eal, 1024);
    let refused = |settings: DeviceSettings| {
        let id = eal.attach("net_ring_refused", "").unwrap();
        Device::open(id, slice::from_ref(&pool), &settings).unwrap_err().to_string()
    };
    assert_eq!(
        refused(DeviceSettings { rx_queues: 17, ..settings() }),
        "net_ring_refused takes 1 to 16 receive queues, 17 were asked for; ask for so many"
    );
    assert_eq!(
        refused(DeviceSettings { mtu: 9000, ..settings() }),
        "an MTU of 9000 does not fit net_ring_refused, which takes 46 to 2026 here; \
         lower it, or make the pool's buffers longer"
    );
    assert_eq!(pool.available(), 1024);
}

#[test]
fn a_thread_is_registered_once() {
    let eal = eal();
    // A thread that has not started DPDK, as this one may have.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let registration = eal.register_thread().unwrap();
            assert_eq!(
                eal.register_thread().unwrap_err().to_string(),
                "this thread is registered with DPDK already; keep what it was given then"
            );
            drop(registration);
            // More often than DPDK has numbers.
            (0..200).for_each(|_| drop(eal.register_thread().unwrap()));
        });
    });
}

/// A capture file with these packets in it.
fn capture(packets: impl IntoIterator<Item = Vec<u8>>) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    let mut writer = PcapWriter::new(File::create(file.path()).unwrap()).unwrap();
    for packet in packets {
        let octets = packet.len() as u32;
        writer.write_packet(&PcapPacket::new_owned(Duration::ZERO, octets, packet)).unwrap();
    }
    file
}

/// The key is the device's own: this one takes no other.
#[test]
fn a_device_says_how_it_spreads_packets_or_that_it_does_not() {
    let eal = eal();
    let pool = pool(&eal, 1024);
    let queues = DeviceSettings { rx_queues: 2, tx_queues: 2, ..settings() };
    let null = eal.attach("net_null_rss", "").unwrap();
    let rss = Device::open(null, slice::from_ref(&pool), &queues)
        .unwrap()
        .rss()
        .expect("it can be asked");
    assert_eq!((rss.key.len(), &rss.key[..4]), (40, &[0x6d, 0x5a, 0x56, 0xda][..]));
    assert!(!rss.indirection.is_empty() && rss.indirection.iter().all(|queue| *queue < 2));

    assert_eq!(open(&eal, &pool, "net_null_alone", "").rss(), None, "one queue has all");
    assert_eq!(open(&eal, &pool, "net_ring_rss", "").rss(), None, "no such thing");
}
