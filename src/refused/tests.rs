use std::process::{Command, Stdio};

use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use ringroad_engine::stage::monotonic;

use super::*;

fn names() -> Names {
    Names {
        services: vec!["web".to_owned()],
        ports: vec!["wan".to_owned(), "lan".to_owned()],
        ..Names::default()
    }
}

/// Ethernet and IPv4, and some octets.
fn from_v4(source: [u8; 4]) -> Vec<u8> {
    let ip = [&[0x45, 0, 0, 200, 0, 0, 0, 0, 64, 6, 0, 0][..], &source, &[10, 0, 0, 1]].concat();
    [&[2; 12][..], &[8, 0], &ip, &[0xab; 180]].concat()
}

fn from_v6(source: &str) -> Vec<u8> {
    let source: Ipv6Addr = source.parse().unwrap();
    [&[2; 12][..], &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, 6, 64], &source.octets(), &[0; 36]].concat()
}

fn sample(packet: &[u8], service: Option<u32>, verdict: Verdict) -> Sample {
    Sample::of(packet, monotonic().as_nanos(), 1, service, verdict)
}

#[test]
fn the_worst_sources_are_named_with_their_share() {
    let mut refused = Refused::new();
    for (packet, verdict, times) in [
        (from_v4([192, 0, 2, 7]), Verdict::RateLimited, 60),
        (from_v4([192, 0, 2, 7]), Verdict::BadFlags, 5),
        (from_v6("2001:db8:1:2::7"), Verdict::Denied, 10),
        (from_v6("2001:db8:1:2:ffff::8"), Verdict::Denied, 15),
        (vec![0; 60], Verdict::FragmentDropped, 10),
    ] {
        (0..times).for_each(|_| refused.add(sample(&packet, None, verdict)));
    }
    let worst: Vec<_> = refused.worst().into_iter().map(|s| (s.source, s.verdict)).collect();
    let named = |source: &str, verdict: &str| (source.to_owned(), verdict.to_owned());
    assert_eq!(
        worst,
        [
            named("192.0.2.7/32", "rate_limited"),
            named("2001:db8:1:2::/64", "denied"),
            named("192.0.2.7/32", "bad_flags"),
        ]
    );
    assert!((refused.worst()[0].share - 60.0 / 90.0).abs() < 1e-9);
    assert_eq!(refused.seen(), 100);
    (0..10).for_each(|_| refused.age());
    assert!(refused.worst().is_empty(), "long ago");
}

#[test]
fn sources_are_found_behind_tags_and_not_where_there_are_none() {
    let inner = from_v4([192, 0, 2, 7]);
    for tags in [&[][..], &[0x81, 0, 0, 7], &[0x88, 0xa8, 0, 7, 0x81, 0, 0, 8]] {
        let frame = [&inner[..12], tags, &inner[12..]].concat();
        assert_eq!(source_of(&frame), Some("192.0.2.7/32".parse().unwrap()));
        for len in 0..12 + tags.len() + 2 + 16 {
            assert_eq!(source_of(&frame[..len]), None, "{len} octets");
        }
    }
}

#[test]
fn a_capture_says_why_each_packet_was_refused() {
    let mut refused = Refused::new();
    let long = from_v4([192, 0, 2, 7]);
    (0..SAMPLES_KEPT).for_each(|_| refused.add(sample(&long, None, Verdict::Land)));
    refused.add(sample(&long, Some(0), Verdict::RateLimited));
    refused.add(sample(&from_v6("2001:db8::7"), None, Verdict::BadFlags));
    let capture = refused.to_pcapng(&names()).unwrap();

    let mut reader = PcapNgReader::new(&capture[..]).unwrap();
    let (mut interfaces, mut packets) = (0, Vec::new());
    while let Some(block) = reader.next_block() {
        match block.unwrap() {
            Block::InterfaceDescription(_) => interfaces += 1,
            Block::EnhancedPacket(packet) => packets.push(packet.into_owned()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((interfaces, packets.len()), (2, SAMPLES_KEPT), "the latest");
    let [.., limited, flags] = &packets[..] else { panic!("{} packets", packets.len()) };
    assert_eq!((limited.interface_id, limited.original_len as usize), (1, long.len()));
    assert_eq!(&limited.data[..], &long[..128]);
    let comment = |text: &str| vec![EnhancedPacketOption::Comment(text.to_owned().into())];
    assert_eq!(limited.options, comment("rate_limited, service web"));
    assert_eq!(flags.options, comment("bad_flags"));
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    assert!(now - flags.timestamp < std::time::Duration::from_secs(60), "{:?}", flags.timestamp);
}

#[test]
fn wireshark_reads_it() {
    let mut refused = Refused::new();
    refused.add(sample(&from_v4([192, 0, 2, 7]), Some(0), Verdict::RateLimited));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("refused.pcapng");
    std::fs::write(&path, refused.to_pcapng(&names()).unwrap()).unwrap();
    let fields =
        ["-T", "fields", "-e", "ip.src", "-e", "frame.interface_name", "-e", "frame.comment"];
    let output =
        Command::new("tshark").arg("-r").arg(&path).args(fields).stdin(Stdio::null()).output();
    let Ok(output) = output else {
        let _ = writeln!(std::io::stderr(), "SKIP needs tshark");
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said.trim(), "192.0.2.7\tlan\trate_limited, service web");
}
