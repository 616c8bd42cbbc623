//! A device that verifies checksums: no segment with a wrong one is handed over, whether the device
//! noticed or had no opinion, and nobody reads the payload of the others again.

use ringroad_engine::frame::{Burst, FramePool};
use ringroad_engine::port::dpdk::Dpdk;
use ringroad_engine::port::sim::SimPort;
use ringroad_engine::port::{Port, PortStats};
use ringroad_engine::shield::Rates;
use ringroad_engine::time::Instant;

use crate::Bench;
use crate::apps::{send, send_then_wait};
use crate::packet::{self, ACK, Link, Options, Segment};
use crate::peer::Settings;
use crate::rig::{self, CLIENTS, OURS, Plan, THEIRS, World, address, origin, pattern, secs, seed};
use crate::tap::{self, eventually, in_namespace};
use ringroad_simulation::faults::stop;

/// A segment, and where things are in it.
#[derive(Clone, Debug)]
struct Sample {
    packet: Vec<u8>,
    /// Where IP, TCP, and what is behind TCP start.
    ip: usize,
    tcp: usize,
    end: usize,
}

impl Sample {
    fn new(is_v6: bool, vlan: Option<u16>, payload: usize) -> Sample {
        let addresses = match is_v6 {
            true => ("[2001:db8:99::7]:40000", "[2001:db8:1::1]:80"),
            false => ("198.51.100.7:40000", "10.10.1.1:80"),
        };
        let segment = Segment {
            link: Link { source: THEIRS[CLIENTS], destination: OURS[CLIENTS], tags: vlan.into() },
            source: address(addresses.0),
            destination: address(addresses.1),
            seq: 0x1234_5678,
            ack: 0x9abc_def0,
            flags: ACK,
            window: 1000,
            options: Options::default(),
            payload: pattern(1, payload),
        };
        let packet = segment.build();
        let ip = if vlan.is_some() { 18 } else { 14 };
        let tcp = ip + if is_v6 { 40 } else { 20 };
        Sample { ip, tcp, end: packet.len(), packet }
    }

    /// With octets behind the IP packet, as short packets have on a real wire.
    fn padded(mut self) -> Sample {
        self.packet.extend([0xa5; 7]);
        self
    }

    /// With destination options between IPv6 and TCP.
    fn extended(mut self) -> Sample {
        let payload_len = (self.end - self.tcp + 8) as u16;
        self.packet[self.ip + 4..self.ip + 6].copy_from_slice(&payload_len.to_be_bytes());
        self.packet[self.ip + 6] = 60;
        self.packet.splice(self.tcp..self.tcp, [6, 0, 1, 4, 0, 0, 0, 0]);
        Sample { tcp: self.tcp + 8, end: self.end + 8, ..self }
    }

    /// With one bit flipped.
    fn damaged(&self, at: usize) -> Vec<u8> {
        let mut packet = self.packet.clone();
        packet[at] ^= 0x10;
        packet
    }
}

/// What the port hands over of `packets`.
fn handed_over(
    bench: &mut Bench,
    port: &mut Dpdk,
    wire: &tap::Wire,
    packets: &[Vec<u8>],
) -> Vec<Vec<u8>> {
    let mut arrived = Vec::new();
    for packet in packets {
        wire.send(packet);
    }
    let mut mark = [[0xff; 6], [2, 0, 0, 0, 0, 1]].concat();
    mark.extend([0x08, 0x06]);
    mark.resize(60, 0);
    wire.send(&mark);
    eventually(|| {
        let mut burst = Burst::new();
        port.rx_burst(&mut bench.pool, &mut burst);
        for frame in burst.drain() {
            arrived.push(bench.pool.bytes(&frame).to_vec());
            bench.pool.free(frame);
        }
        arrived.pop_if(|last| *last == mark)
    });
    arrived
}

#[test]
fn a_segment_with_a_wrong_checksum_is_not_handed_over() {
    in_namespace(|| {
        let mut bench = Bench::new(2048);
        let (mut port, wire) = tap::open(&mut bench, 0, 1);
        assert!(port.verifies_checksums());
        let mut samples = Vec::new();
        for payload in [0, 1, 2, 3, 535, 1400] {
            for (is_v6, vlan) in [(false, None), (true, None), (false, Some(7)), (true, Some(7))] {
                let sample = Sample::new(is_v6, vlan, payload);
                samples.extend([sample.clone(), sample.padded()]);
            }
            // Of which this device has no opinion.
            let sample = Sample::new(true, None, payload).extended();
            samples.extend([sample.clone(), sample.padded()]);
        }
        let mut dropped = 0;
        for sample in samples {
            let mut wrong: Vec<usize> = vec![sample.tcp + 4, sample.tcp + 16, sample.end - 1];
            if sample.packet[sample.ip] >> 4 == 4 {
                wrong.push(sample.ip + 8);
            }
            let wrong: Vec<Vec<u8>> = wrong.into_iter().map(|at| sample.damaged(at)).collect();
            assert!(handed_over(&mut bench, &mut port, &wire, &wrong).is_empty(), "{sample:x?}");
            dropped += wrong.len() as u64;
            assert_eq!(port.stats().rx_checksum_errors, dropped);
            // Nobody is answerable for what is behind the packet.
            let mut right = vec![sample.packet.clone()];
            if sample.end < sample.packet.len() {
                right.push(sample.damaged(sample.end));
            }
            assert_eq!(handed_over(&mut bench, &mut port, &wire, &right), right, "{sample:x?}");
        }
        port.close(&mut bench.pool);
        assert_eq!(port.stats().rx_checksum_errors, dropped);
        bench.assert_all_home();
    });
}

#[test]
fn what_is_no_segment_is_for_others_to_judge() {
    in_namespace(|| {
        let mut bench = Bench::new(2048);
        let (mut port, wire) = tap::open(&mut bench, 1, 1);
        // The first fragment of a segment: its checksum is over what is not there.
        let mut fragment = Sample::new(false, None, 100).packet;
        fragment[20] = 0x20;
        packet::fix_checksums(&mut fragment);
        *fragment.last_mut().unwrap() ^= 1;
        let mut cut_short = Sample::new(true, None, 100).packet;
        cut_short.truncate(100);
        let packets = [fragment, cut_short];
        assert_eq!(handed_over(&mut bench, &mut port, &wire, &packets), packets);
        port.close(&mut bench.pool);
        bench.assert_all_home();
    });
}

/// A TAP with the cable to the hosts behind it, where now and then a bit is flipped. What was sent
/// from either end is at the other before a call returns.
struct Tapped {
    port: Dpdk,
    wire: tap::Wire,
    cable: SimPort,
    /// For the cable's end.
    pool: FramePool,
    sent_here: u64,
    received_here: u64,
    damaged: u64,
}

impl Port for Tapped {
    fn rx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        let mut arriving = Burst::new();
        self.cable.rx_burst(&mut self.pool, &mut arriving);
        for frame in arriving.drain() {
            let mut packet = self.pool.bytes(&frame).to_vec();
            self.sent_here += 1;
            if self.sent_here.is_multiple_of(20) {
                self.damaged += 1;
                *packet.last_mut().expect("a packet has octets") ^= 1;
            }
            self.wire.send(&packet);
            self.pool.free(frame);
        }
        eventually(|| {
            self.port.rx_burst(pool, burst);
            let PortStats { received, rx_checksum_errors, .. } = self.port.stats();
            (burst.is_full() || received + rx_checksum_errors == self.sent_here).then_some(())
        });
    }

    fn tx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        self.port.tx_burst(pool, burst);
        while self.received_here < self.port.stats().sent {
            let packet = eventually(|| self.wire.receive());
            self.received_here += 1;
            let mut frame = self.pool.alloc().expect("a free frame");
            self.pool.push_back(&mut frame, packet.len()).expect("room").copy_from_slice(&packet);
            let mut leaving = Burst::new();
            leaving.push(frame).expect("an empty burst");
            self.cable.tx_burst(&mut self.pool, &mut leaving);
            self.cable.flush(&mut self.pool);
        }
    }

    fn flush(&mut self, pool: &mut FramePool) {
        self.port.flush(pool);
    }

    fn close(&mut self, pool: &mut FramePool) {
        self.port.close(pool);
    }

    fn stats(&self) -> PortStats {
        self.port.stats()
    }

    fn verifies_checksums(&self) -> bool {
        self.port.verifies_checksums()
    }
}

impl rig::Wire for Tapped {
    fn next_due(&self) -> Option<Instant> {
        (self.held() > 0).then_some(Instant::ZERO)
    }

    fn held(&self) -> usize {
        let PortStats { received, rx_checksum_errors, .. } = self.port.stats();
        (self.sent_here - received - rx_checksum_errors) as usize
    }
}

/// The hosts verify every checksum of what the engine sends on, and it never verified one.
#[test]
fn what_the_device_found_right_goes_on_right() {
    in_namespace(|| {
        let mut bench = Bench::new(4096);
        let mut devices = [2, 3].map(|number| tap::open(&mut bench, number, 1)).into_iter();
        let Bench { pool, memory: _memory, eal: _eal } = bench;
        let plan = Plan { verified: true, ..Plan::new(seed()) };
        let mut world = World::with_twin(plan, pool, Rates::default(), |cable, _| {
            let (port, wire) = devices.next().expect("one for each side");
            assert!(port.verifies_checksums());
            let pool = FramePool::in_memory(1024, 2048);
            Tapped { port, wire, cable, pool, sent_here: 0, received_here: 0, damaged: 0 }
        });
        let hosts = Settings { lossy: true, segment_max: 1401, ..Settings::MODERN };
        world.listen(origin(1), hosts, || send_then_wait(pattern(2, 300_000)));
        let v4 = world.client(1, hosts, send(pattern(1, 200_000)));
        let v6 = (address("[2001:db8:99::7]:40000"), address("[2001:db8:1::1]:80"));
        let of_v6 = Settings { mss: 1440, ..hosts };
        world.client_at(v6, None, of_v6, send(vec![0; 200_001]));
        world.run_to_the_end(secs(600));
        assert!(world.peer(v4).received == pattern(2, 300_000));
        assert!(world.peer(v6).received == pattern(2, 300_000));
        let mut received: Vec<_> =
            world.origin_peers().into_iter().map(|peer| peer.received.clone()).collect();
        received.sort_unstable();
        assert!(received == [vec![0; 200_001], pattern(1, 200_000)]);

        let damaged: Vec<u64> = world.edge.ports_mut().iter().map(|port| port.damaged).collect();
        let (last, _) = stop(world);
        let refused: Vec<u64> = last.ports.iter().map(|port| port.rx_checksum_errors).collect();
        assert_eq!(refused, damaged);
        assert!(damaged.iter().all(|damaged| *damaged > 20), "{damaged:?}");
        assert_eq!(last.ledger.dropped.iter().sum::<u64>(), 0, "nothing wrong came in");
    });
}
