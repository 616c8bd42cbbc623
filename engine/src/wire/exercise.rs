//! Any octets as a received frame and as a list of TCP options: for property tests and for fuzzing.
//!
//! Parsing must not panic, what it accepts must be true, and what is written must read back.

use super::checksum;
use super::packet::{self, Transport};
use super::tcp::{
    FastOpen, HEADER_LEN_MAX, HEADER_LEN_MIN, SackBlock, SackBlocks, SeqNum, TcpHeader, TcpOptions,
    Timestamps,
};

/// Parses `input` as a frame.
///
/// # Panics
/// If what is accepted contradicts the octets.
pub fn frame(input: &[u8]) {
    judge(input);
    // Few inputs guess a checksum. With it put right, they reach what lies behind.
    let mut repaired = input.to_vec();
    if repair_ipv4_checksum(&mut repaired).is_some() {
        judge(&repaired);
    }
}

/// Reads `input` as a list of options, and as what a header may hold to be written.
///
/// # Panics
/// If what is read and written differs, or a list that we write is none that others can read.
pub fn options(input: &[u8]) {
    let mut segment = vec![0; HEADER_LEN_MIN];
    segment.extend_from_slice(&input[..input.len().min(HEADER_LEN_MAX - HEADER_LEN_MIN)]);
    segment.resize(segment.len().next_multiple_of(4), 0);
    segment[12] = ((segment.len() / 4) << 4) as u8;
    let (header, length) = TcpHeader::parse(&segment).expect("a data offset that is right");
    assert_eq!(length, segment.len());
    written_reads_the_same(&header);
    written_reads_the_same(&TcpHeader { options: any_options(input), ..header });
}

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
    let mut written = [0xee; HEADER_LEN_MAX];
    let written = &mut written[..header.header_len()];
    header.emit(written);
    is_a_list(&written[HEADER_LEN_MIN..]);
    let (mut again, length) = TcpHeader::parse(written).expect("what emit writes is valid");
    assert_eq!(length, written.len());
    // SACK blocks for which there is no room in our alignment are left out from the end.
    let (kept, whole) = (again.options.sack.len, header.options.sack.len);
    // The first one brings kind, length and two octets of padding along.
    let another = if kept == 0 { 12 } else { 8 };
    assert!(kept == whole || written.len() + another > HEADER_LEN_MAX);
    assert!(again.options.sack.iter().zip(header.options.sack.iter()).all(|(a, b)| a == b));
    again.options.sack = header.options.sack;
    assert_eq!(again, *header);
}

/// Walks over a list as RFC 9293 §3.1 has it, by kinds and lengths alone: nothing but NOPs and
/// options in it, none twice, and no octet left.
fn is_a_list(mut list: &[u8]) {
    const NOP: u8 = 1;
    let mut seen = [false; 256];
    while let Some((&kind, behind)) = list.split_first() {
        if kind == NOP {
            list = behind;
            continue;
        }
        assert_ne!(kind, 0, "an end within a list that fills its room");
        assert!(!std::mem::replace(&mut seen[usize::from(kind)], true), "kind {kind} twice");
        let length = usize::from(*behind.first().expect("a length"));
        assert!((2..=list.len()).contains(&length), "kind {kind} has length {length}");
        list = &list[length..];
    }
}

/// Options that `input` chooses: also such as no list of 40 octets can bring together.
fn any_options(input: &[u8]) -> TcpOptions {
    let mut octets = input.iter().copied().chain(std::iter::repeat(0));
    let mut octet = || octets.next().unwrap_or_default();
    let mut number = || u32::from_be_bytes([octet(), octet(), octet(), octet()]);
    let choice = number();
    let chosen = |bit: u32| choice >> bit & 1 == 1;
    let mut options = TcpOptions {
        // A size of zero counts as not sent.
        mss: chosen(0).then(|| (number() as u16).max(1)),
        window_scale: chosen(1).then(|| number() as u8),
        sack_permitted: chosen(2),
        timestamps: chosen(3).then(|| Timestamps { value: number(), echo_reply: number() }),
        fast_open: chosen(4).then(|| match chosen(5) {
            true => {
                FastOpen::Cookie((u64::from(number()) << 32 | u64::from(number())).to_be_bytes())
            }
            false => FastOpen::Wanted,
        }),
        sack: SackBlocks::default(),
    };
    for _ in 0..(choice >> 6) % 5 {
        options.sack.push(SackBlock { left: SeqNum(number()), right: SeqNum(number()) });
    }
    options
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
