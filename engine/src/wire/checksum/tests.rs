use proptest::prelude::*;

use super::*;

/// The definition, word by word.
fn naive(bytes: &[u8]) -> u16 {
    let mut total = 0_u32;
    for word in bytes.chunks(2) {
        let low = word.get(1).copied().unwrap_or(0);
        total += u32::from(u16::from_be_bytes([word[0], low]));
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

#[test]
fn agrees_with_the_definition_at_every_length_and_alignment() {
    let bytes: Vec<u8> = (0..240_u32).map(|i| (i * 167 + 13) as u8).collect();
    for start in 0..16 {
        for length in 0..=200 {
            let part = &bytes[start..start + length];
            assert_eq!(sum(part), naive(part), "{length} octets from {start}");
        }
    }
}

#[test]
fn carries_are_never_lost() {
    for length in [1, 2, 7, 8, 9, 1448, 9000, 65_535] {
        let bytes = vec![0xff; length];
        assert_eq!(sum(&bytes), naive(&bytes), "{length} octets of 0xff");
    }
}

#[test]
fn only_zero_octets_sum_to_plus_zero() {
    assert_eq!(sum(&[]), 0);
    assert_eq!(sum(&[0; 100]), 0);
    assert_eq!(sum(&[0x12, 0x34, 0xed, 0xcb]), 0xffff);
}

#[test]
fn the_numerical_example_of_rfc_1071() {
    // RFC 1071 §3.
    let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(sum(&bytes), 0xddf2);
    assert_eq!(finish(sum(&bytes)), 0x220d);
}

#[test]
fn the_example_of_rfc_1624() {
    // RFC 1624 §4: the checksum 0xDD2F covers a word 0x5555 that becomes 0x3285. The formula of
    // RFC 1141 gives 0xffff here, which is wrong.
    assert_eq!(update(0xdd2f, 0x5555, 0x3285), 0x0000);
}

#[test]
fn length_beyond_16_bits_is_folded_in() {
    assert_eq!(with_length(0, 0x1_0002), 3);
    assert_eq!(with_length(0xffff, 1), 1);
}

proptest! {
    #[test]
    fn parts_combine_and_come_apart(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0_usize..300) {
        let (a, b) = bytes.split_at(at.min(bytes.len()));
        let second = if a.len() % 2 == 0 { sum(b) } else { swap(sum(b)) };
        prop_assert!(same(combine(sum(a), second), sum(&bytes)));
        prop_assert!(same(subtract(sum(&bytes), second), sum(a)));
    }

    #[test]
    fn updating_equals_computing_anew(
        mut bytes in prop::collection::vec(any::<u8>(), 20..=20),
        word in 0_usize..8,
        new in any::<u32>(),
    ) {
        // An IPv4 header is never all zeros.
        bytes[0] = 0x45;
        let before = finish(sum(&bytes));
        let at = 2 + word * 2;
        let old = u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        bytes[at..at + 4].copy_from_slice(&new.to_be_bytes());
        prop_assert_eq!(update_u32(before, old, new), finish(sum(&bytes)));
    }
}
