//! Bodies of any length with the same content each time: no two blocks alike, nothing to store.

/// Octets handed over at a time.
const CHUNK: usize = 64 << 10;

/// The first `octets` of the content, in chunks.
pub(super) fn chunks(octets: u64) -> impl Iterator<Item = Vec<u8>> {
    (0..octets.div_ceil(CHUNK as u64)).map(move |index| {
        let start = index * CHUNK as u64;
        let length = usize::try_from(octets - start).map_or(CHUNK, |rest| rest.min(CHUNK));
        chunk(start, length)
    })
}

fn chunk(start: u64, length: usize) -> Vec<u8> {
    let first = start / 8;
    let words = length.div_ceil(8) as u64;
    let mut chunk: Vec<u8> =
        (first..first + words).flat_map(|at| mixed(at).to_le_bytes()).collect();
    chunk.truncate(length);
    chunk
}

/// A bijection in which each bit of the input reaches all of the output (the finalizer of
/// SplitMix64): lost, doubled or exchanged pieces of a body all show in its hash.
fn mixed(at: u64) -> u64 {
    let mut z = at.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

const _: () = assert!(CHUNK.is_multiple_of(8));

#[cfg(test)]
mod tests {
    use super::{CHUNK, chunks};

    #[test]
    fn a_shorter_body_is_the_start_of_a_longer_one() {
        let whole: Vec<u8> = chunks(3 * CHUNK as u64 + 5).flatten().collect();
        assert_eq!(whole.len(), 3 * CHUNK + 5);
        for length in [0, 1, 7, 8, 9, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let part: Vec<u8> = chunks(length as u64).flatten().collect();
            assert_eq!(part, whole[..length]);
        }
    }

    #[test]
    fn no_two_chunks_are_alike() {
        let mut all: Vec<Vec<u8>> = chunks(100 * CHUNK as u64).collect();
        all.sort();
        assert!(all.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
