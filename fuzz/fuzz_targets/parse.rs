//! Any octets as a received frame: parsing must not panic, and what it accepts must be true.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringroad_engine::wire::checksum;
use ringroad_engine::wire::packet::{self, Transport};
use ringroad_engine::wire::tcp::TcpHeader;

fuzz_target!(|frame: &[u8]| {
    judge(frame);
    // Few inputs guess a checksum. With it put right, they reach what lies behind.
    let mut repaired = frame.to_vec();
    if repair_ipv4_checksum(&mut repaired).is_some() {
        judge(&repaired);
    }
});

fn judge(frame: &[u8]) {
    let Ok(packet) = packet::parse(frame) else { return };
    assert!(packet.transport_offset <= packet.end && usize::from(packet.end) <= frame.len());
    let Transport::Tcp { header, payload_offset } = packet.transport else { return };
    assert!(packet.transport_offset < payload_offset && payload_offset <= packet.end);
    written_reads_the_same(&header);

    let payload = &frame[usize::from(payload_offset)..usize::from(packet.end)];
    if let Ok(sum) = packet.verify_tcp_checksum(frame) {
        assert_eq!(sum, checksum::sum(payload));
        let derived = packet.derive_payload_sum(frame).expect("the frame that was parsed");
        assert!(checksum::same(derived, sum));
    }
}

fn written_reads_the_same(header: &TcpHeader) {
    let mut written = [0; 60];
    let written = &mut written[..header.header_len()];
    header.emit(written);
    let (mut again, length) = TcpHeader::parse(written).expect("what emit writes is valid");
    assert_eq!(length, written.len());
    // SACK blocks for which there is no room in our alignment are left out from the end.
    assert!(again.options.sack.iter().zip(header.options.sack.iter()).all(|(a, b)| a == b));
    again.options.sack = header.options.sack;
    assert_eq!(again, *header);
}

/// Puts the checksum of an IPv4 header in an untagged frame right, if there is one.
fn repair_ipv4_checksum(frame: &mut [u8]) -> Option<()> {
    let (ethernet, packet) = frame.split_at_mut_checked(14)?;
    if ethernet[12..] != [0x08, 0x00] {
        return None;
    }
    let length = usize::from(packet.first()? & 0x0f) * 4;
    let header = packet.get_mut(..length.max(20))?;
    header[10..12].fill(0);
    let checksum = checksum::finish(checksum::sum(header));
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    Some(())
}
