use proptest::prelude::*;

use super::*;

/// The SYN of a Linux client: MSS, SACK-permitted, timestamps, window scale.
const SYN: [u8; 40] = [
    0xb2, 0x6e, 0x01, 0xbb, 0x4f, 0x3a, 0x10, 0x02, 0x00, 0x00, 0x00, 0x00, 0xa0, 0x02, 0xfa, 0xf0,
    0x00, 0x00, 0x00, 0x00, 0x02, 0x04, 0x05, 0xb4, 0x04, 0x02, 0x08, 0x0a, 0x11, 0x22, 0x33, 0x44,
    0x00, 0x00, 0x00, 0x00, 0x01, 0x03, 0x03, 0x07,
];

fn syn() -> TcpHeader {
    TcpHeader {
        source_port: 45_678,
        destination_port: 443,
        sequence: SeqNum(0x4f3a_1002),
        acknowledgment: SeqNum(0),
        flags: Flags::SYN,
        window: 64_240,
        options: TcpOptions {
            mss: Some(1460),
            window_scale: Some(7),
            sack_permitted: true,
            timestamps: Some(Timestamps { value: 0x1122_3344, echo_reply: 0 }),
            fast_open: None,
            sack: SackBlocks::default(),
        },
    }
}

fn emitted(header: &TcpHeader) -> Vec<u8> {
    let mut bytes = vec![0xee; header.header_len()];
    header.emit(&mut bytes);
    bytes
}

/// A header with `list` as its options, padded by end-of-list to a multiple of 4.
fn with_options(list: &[u8]) -> TcpOptions {
    let mut bytes = SYN[..HEADER_LEN_MIN].to_vec();
    bytes.extend_from_slice(list);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes[12] = ((bytes.len() / 4) as u8) << 4;
    TcpHeader::parse(&bytes).expect("a valid data offset").0.options
}

fn sack(blocks: &[(u32, u32)]) -> SackBlocks {
    let mut sack = SackBlocks::default();
    for &(left, right) in blocks {
        sack.push(SackBlock { left: SeqNum(left), right: SeqNum(right) });
    }
    sack
}

#[test]
fn a_syn_reads_and_writes_as_linux_writes_it() {
    assert_eq!(TcpHeader::parse(&SYN), Ok((syn(), 40)));
    assert_eq!(emitted(&syn()), SYN);
}

#[test]
fn timestamps_alone_are_aligned_as_in_rfc_7323() {
    let mut header = syn();
    header.options = TcpOptions {
        timestamps: Some(Timestamps { value: 1, echo_reply: 2 }),
        ..TcpOptions::default()
    };
    let bytes = emitted(&header);
    assert_eq!(bytes[20..], [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
    assert_eq!(TcpHeader::parse(&bytes), Ok((header, 32)));
}

#[test]
fn sack_blocks_beside_timestamps_are_three() {
    let four = sack(&[(10, 20), (30, 40), (50, 60), (70, 80)]);
    let mut header = syn();
    header.options = TcpOptions { sack: four, ..TcpOptions::default() };
    assert_eq!(header.header_len(), 20 + 4 + 4 * 8);
    assert_eq!(TcpHeader::parse(&emitted(&header)).expect("valid").0.options.sack, four);

    header.options.timestamps = Some(Timestamps::default());
    assert_eq!(header.header_len(), HEADER_LEN_MAX);
    let read = TcpHeader::parse(&emitted(&header)).expect("valid").0.options;
    assert_eq!(read.sack, sack(&[(10, 20), (30, 40), (50, 60)]));
}

#[test]
fn fast_open_asks_and_brings_in_the_room_that_a_syn_has() {
    let mut header = syn();
    for (fast_open, tail) in [
        (FastOpen::Wanted, &[1, 1, 34, 2][..]),
        (FastOpen::Cookie([1, 2, 3, 4, 5, 6, 7, 8]), &[1, 1, 34, 10, 1, 2, 3, 4, 5, 6, 7, 8]),
    ] {
        header.options.fast_open = Some(fast_open);
        let bytes = emitted(&header);
        assert_eq!(bytes[40..], *tail);
        assert_eq!(TcpHeader::parse(&bytes), Ok((header, bytes.len())));
    }
    // RFC 7413 §4.1.1: another even length may be a cookie, but none of ours.
    for len in 0..=20 {
        let list = [&[34, 2 + len as u8][..], &vec![7; len]].concat();
        let expected = match len {
            8 => Some(FastOpen::Cookie([7; 8])),
            0 | 4 | 6 | 10 | 12 | 14 | 16 => Some(FastOpen::Wanted),
            _ => None,
        };
        assert_eq!(with_options(&list).fast_open, expected, "{len}");
    }
}

#[test]
fn odd_option_lists_are_read_as_far_as_they_make_sense() {
    let mss = TcpOptions { mss: Some(1460), ..TcpOptions::default() };
    let nothing = TcpOptions::default();
    let cases: [(&str, &[u8], TcpOptions); 13] = [
        ("length zero ends the list", &[2, 4, 5, 0xb4, 3, 0, 3, 7], mss),
        ("length one ends the list", &[2, 4, 5, 0xb4, 3, 1, 3, 7], mss),
        ("past the end", &[2, 4, 5, 0xb4, 8, 10, 0, 0], mss),
        ("a kind without a length", &[2, 4, 5, 0xb4, 1, 1, 1, 8], mss),
        ("end of list", &[0, 4, 5, 0xb4, 2, 4, 5, 0xb4], nothing),
        ("unknown kinds are skipped", &[254, 4, 9, 9, 2, 4, 5, 0xb4], mss),
        ("MSS of another length is skipped", &[2, 3, 5, 1, 2, 4, 5, 0xb4], mss),
        ("MSS zero counts as not sent", &[2, 4, 0, 0], nothing),
        ("the last one counts", &[2, 4, 1, 0, 2, 4, 5, 0xb4], mss),
        ("SACK without blocks", &[5, 2, 1, 1, 2, 4, 5, 0xb4], mss),
        ("SACK with half a block", &[5, 6, 0, 0, 0, 1, 1, 1, 2, 4, 5, 0xb4], mss),
        ("timestamps of another length", &[8, 6, 0, 0, 0, 1, 1, 1, 2, 4, 5, 0xb4], mss),
        ("SACK-permitted of another length", &[4, 3, 0, 1, 2, 4, 5, 0xb4], mss),
    ];
    for (what, list, expected) in cases {
        assert_eq!(with_options(list), expected, "{what}");
    }
}

#[test]
fn timestamps_are_found_wherever_they_stand() {
    let timestamps = Some(Timestamps { value: 0x0102_0304, echo_reply: 0x0506_0708 });
    for lead in 0..4 {
        let mut list = vec![NOP; lead];
        list.extend([8, 10, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(with_options(&list).timestamps, timestamps, "{lead} NOPs in front");
    }
}

const NOP: u8 = 1;

#[test]
fn truncated_at_every_length() {
    for length in 0..SYN.len() {
        let expected = if length < 20 { Malformed::TcpTruncated } else { Malformed::TcpDataOffset };
        assert_eq!(TcpHeader::parse(&SYN[..length]), Err(expected), "{length} octets");
    }
}

#[test]
fn a_data_offset_under_five_is_refused() {
    for words in 0..5 {
        let mut bytes = SYN;
        bytes[12] = words << 4;
        assert_eq!(TcpHeader::parse(&bytes), Err(Malformed::TcpDataOffset), "{words} words");
    }
}

#[test]
fn each_of_the_256_flag_combinations_is_judged() {
    for bits in 0..=u8::MAX {
        let [fin, syn, rst, ack] = [0x01, 0x02, 0x04, 0x10].map(|bit| bits & bit != 0);
        let expected = match (syn, rst, fin, ack) {
            (true, _, true, _) => Err(Malformed::TcpFlagsSynFin),
            (true, true, false, _) => Err(Malformed::TcpFlagsSynRst),
            (false, true, true, _) => Err(Malformed::TcpFlagsFinRst),
            (false, false, true, false) => Err(Malformed::TcpFlagsFinWithoutAck),
            (false, false, false, false) => Err(Malformed::TcpFlagsNone),
            _ => Ok(()),
        };
        assert_eq!(Flags(bits).check(), expected, "{:?}", Flags(bits));
    }
}

#[test]
fn a_filled_in_checksum_verifies() {
    let payload = b"odd length.";
    let mut bytes = emitted(&syn());
    fill_in_checksum(&mut bytes, 0x1234, checksum::sum(payload), payload.len());
    let total = checksum::combine(checksum::sum(&bytes), checksum::sum(payload));
    let length = bytes.len() + payload.len();
    assert_eq!(checksum::combine(total, checksum::with_length(0x1234, length)), 0xffff);
}

prop_compose! {
    fn any_sack()(blocks in prop::collection::vec(any::<(u32, u32)>(), 0..=4)) -> SackBlocks {
        sack(&blocks)
    }
}

prop_compose! {
    pub(crate) fn any_header()(
        ports in any::<(u16, u16)>(),
        numbers in any::<(u32, u32)>(),
        flags in any::<u8>(),
        window in any::<u16>(),
        mss in prop::option::of(1_u16..),
        window_scale in any::<Option<u8>>(),
        sack_permitted in any::<bool>(),
        timestamps in any::<Option<(u32, u32)>>(),
        fast_open in any::<Option<Option<[u8; 8]>>>(),
        sack in any_sack(),
    ) -> TcpHeader {
        let timestamps =
            timestamps.map(|(value, echo_reply)| Timestamps { value, echo_reply });
        let fast_open =
            fast_open.map(|cookie| cookie.map_or(FastOpen::Wanted, FastOpen::Cookie));
        TcpHeader {
            source_port: ports.0,
            destination_port: ports.1,
            sequence: SeqNum(numbers.0),
            acknowledgment: SeqNum(numbers.1),
            flags: Flags(flags),
            window,
            options: TcpOptions {
                mss,
                window_scale,
                sack_permitted,
                timestamps,
                fast_open,
                sack,
            },
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(header in any_header()) {
        let bytes = emitted(&header);
        prop_assert_eq!(bytes.len() % 4, 0);
        prop_assert!(bytes.len() <= HEADER_LEN_MAX);
        let (read, length) = TcpHeader::parse(&bytes).expect("what we write is valid");
        prop_assert_eq!(length, bytes.len());
        // SACK blocks beyond the room are left out from the end; all else is kept.
        let kept = usize::from(read.options.sack.len);
        prop_assert!(kept == usize::from(header.options.sack.len) || bytes.len() > HEADER_LEN_MAX - 12);
        let expected = sack(
            &header.options.sack.iter().take(kept).map(|b| (b.left.0, b.right.0)).collect::<Vec<_>>(),
        );
        let expected = TcpHeader {
            options: TcpOptions { sack: expected, ..header.options },
            ..header
        };
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn no_octets_make_parsing_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok((_, length)) = TcpHeader::parse(&bytes) {
            prop_assert!((HEADER_LEN_MIN..=bytes.len()).contains(&length));
        }
    }
}
