//! Samples of what is refused, and counts for each service.

use std::net::SocketAddr;

use ringroad_ebpf::limits::{SAMPLE_OCTETS_MAX, SAMPLES_AT_ONCE};
use ringroad_ebpf::{Lists, Sample, ShieldSettings, Verdict};

use crate::packets::{ACK, SYN, segment};
use crate::rig::{Rig, in_namespace, now_ns, settings};

fn from(client: &str, service: &str, flags: u8, payload: usize) -> Vec<u8> {
    let ends: [SocketAddr; 2] =
        [client, service].map(|end| end.parse().expect("an address and port"));
    segment(ends[0], ends[1], flags, payload)
}

/// Denies all of IPv6.
fn rig() -> Rig {
    let deny = vec!["::/0".parse().expect("a prefix")];
    Rig::with(&ShieldSettings { lists: Lists { deny, allow: vec![] }, ..settings() })
}

fn taken(rig: &Rig) -> Vec<Sample> {
    rig.shield.samples().take().expect("read the samples")
}

#[test]
fn what_is_refused_can_be_looked_at() {
    in_namespace(|| {
        let rig = rig();
        let before = now_ns();
        let null = from("192.0.2.7:1", "10.1.0.1:443", 0, 500);
        let denied = from("[2001:db8::7]:1", "[fd00:1::1]:80", ACK, 0);
        let of_egress = from("192.0.2.7:1", "10.2.0.1:20000", 0, 0);
        let unknown = from("192.0.2.7:1", "10.1.0.1:80", ACK, 0);
        let kept = [
            (&null, Some(1), Verdict::BadFlags),
            (&denied, Some(0), Verdict::Denied),
            (&of_egress, None, Verdict::BadFlags),
            (&unknown, Some(0), Verdict::Unknown),
        ];
        for (packet, _, verdict) in kept {
            assert_eq!(rig.verdict(packet), verdict);
            rig.verdict(&from("192.0.2.7:1", "10.1.0.1:80", SYN, 0));
        }
        let samples = taken(&rig);
        assert_eq!(samples.len(), kept.len(), "refused ones and no others");
        for (sample, (packet, service, verdict)) in samples.iter().zip(kept) {
            assert_eq!((sample.verdict, sample.service_index), (verdict, service));
            assert_eq!((sample.octets as usize, sample.port_index), (packet.len(), 0));
            assert_eq!(sample.head(), &packet[..packet.len().min(SAMPLE_OCTETS_MAX)]);
            // The coarse clock is late by a tick or two.
            assert!(sample.at_ns + 25_000_000 > before && sample.at_ns <= now_ns());
        }
        assert!(taken(&rig).is_empty(), "each once");
    });
}

#[test]
fn a_flood_has_few_samples_and_what_finds_no_room_is_counted() {
    in_namespace(|| {
        let rig = rig();
        let null = from("192.0.2.7:1", "10.1.0.1:80", 0, 0);
        let flood = |packets| {
            rig.shield.dry_run(0, 0, &null, packets).expect("a flood");
        };
        let start = now_ns();
        flood(1_000_000);
        let seconds = (now_ns() - start) / 1_000_000_000 + 1;
        let samples = taken(&rig).len() as u64;
        let per_cpu = u64::from(SAMPLES_AT_ONCE) + 256 * seconds;
        assert!((1..=per_cpu).contains(&samples), "{samples} samples of {seconds} s");

        let lost = || rig.shield.samples().lost().expect("read what was lost");
        assert_eq!(lost(), 0);
        let until = now_ns() + 60_000_000_000;
        while lost() == 0 {
            assert!(now_ns() < until, "nobody reads them");
            flood(100_000);
        }
        let kept = taken(&rig);
        assert!(kept.len() > 1000, "{} fit", kept.len());
        flood(1);
    });
}

#[test]
fn each_service_has_its_verdicts() {
    in_namespace(|| {
        let rig = rig();
        rig.control.set_accepting(0, 1, false);
        for (packet, times) in [
            (from("192.0.2.7:1", "10.1.0.1:80", SYN, 0), 3),
            (from("192.0.2.7:1", "10.1.0.1:80", 0, 0), 2),
            (from("[2001:db8::7]:1", "[fd00:1::1]:80", SYN, 0), 4),
            (from("192.0.2.7:1", "10.1.0.1:443", SYN, 0), 5),
            (from("192.0.2.7:1", "10.2.0.1:20000", ACK, 0), 6),
            (from("192.0.2.7:1", "10.2.0.1:20000", 0, 0), 7),
            (from("192.0.2.7:1", "10.1.0.1:22", SYN, 0), 8),
        ] {
            for _ in 0..times {
                rig.verdict(&packet);
            }
        }
        let reader = rig.shield.counters_reader();
        let of = |service| {
            let counts = reader.of_service(service).expect("read the counters");
            let seen: Vec<_> = counts.iter().filter(|(_, count)| *count > 0).collect();
            assert_eq!(counts.received, seen.iter().map(|(_, count)| count).sum::<u64>());
            seen
        };
        use Verdict::{BadFlags, Denied, NotAccepting, ToEngine};
        assert_eq!(of(0), [(ToEngine, 3), (BadFlags, 2), (Denied, 4)]);
        assert_eq!(of(1), [(NotAccepting, 5)]);
        assert_eq!(of(2), [], "there is none");
    });
}
