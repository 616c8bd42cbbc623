//! TCP options: the list behind the fixed header, read into values and written from them.
//!
//! Written in the order and alignment that Linux uses, so that what we send looks like what
//! middleboxes see most, and so that the receiver's fast path for timestamps matches.

use super::{FastOpen, SackBlock, SackBlocks, SeqNum, TcpOptions, Timestamps};

/// Option kinds and their lengths (RFC 9293 §3.1, RFC 7323 §2 and §3, RFC 2018 §2 and §3,
/// RFC 7413 §4.1.1).
const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const MSS_LEN: u8 = 4;
const WINDOW_SCALE: u8 = 3;
const WINDOW_SCALE_LEN: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK_PERMITTED_LEN: u8 = 2;
const SACK: u8 = 5;
const SACK_BLOCK_LEN: usize = 8;
const TIMESTAMPS: u8 = 8;
const TIMESTAMPS_LEN: u8 = 10;
const FAST_OPEN: u8 = 34;
const FAST_OPEN_WANTED_LEN: u8 = 2;
const FAST_OPEN_COOKIE_LEN: u8 = 10;

/// Room that the data offset leaves for options [octets].
const ROOM: usize = super::HEADER_LEN_MAX - super::HEADER_LEN_MIN;

impl TcpOptions {
    /// Reads a list of options. Of an option that occurs twice the last one counts.
    #[inline]
    pub(super) fn read_list(&mut self, list: &[u8]) {
        match list {
            [] => {}
            // What nearly every segment of a connection with timestamps looks like
            // (RFC 7323 appendix A).
            [NOP, NOP, TIMESTAMPS, TIMESTAMPS_LEN, rest @ ..] if rest.len() == 8 => {
                self.timestamps = parse_timestamps(rest);
            }
            _ => self.read_any_list(list),
        }
    }

    fn read_any_list(&mut self, mut list: &[u8]) {
        while let [kind, behind_kind @ ..] = list {
            match *kind {
                END => break,
                NOP => list = behind_kind,
                kind => {
                    // RFC 9293 §3.1: a length covers kind and length octets. One that does not,
                    // or that reaches past the end, leaves no way to find the next option.
                    let Some((option, behind)) = behind_kind
                        .first()
                        .and_then(|length| list.split_at_checked(usize::from(*length)))
                    else {
                        break;
                    };
                    let [_, _, value @ ..] = option else { break };
                    self.read(kind, value);
                    list = behind;
                }
            }
        }
    }

    /// Takes one option in. One with a length that its kind does not have is skipped.
    fn read(&mut self, kind: u8, value: &[u8]) {
        match (kind, value) {
            (MSS, &[high, low]) => {
                let mss = u16::from_be_bytes([high, low]);
                self.mss = (mss != 0).then_some(mss);
            }
            (WINDOW_SCALE, &[shift]) => self.window_scale = Some(shift),
            (SACK_PERMITTED, []) => self.sack_permitted = true,
            (SACK, value) => {
                if let (blocks @ [_, ..], []) = value.as_chunks::<SACK_BLOCK_LEN>() {
                    self.sack = parse_sack(blocks);
                }
            }
            (TIMESTAMPS, value) => {
                if let Some(timestamps) = parse_timestamps(value) {
                    self.timestamps = Some(timestamps);
                }
            }
            // RFC 7413 §4.1.1: a cookie has an even number of octets, from 4 to 16.
            (FAST_OPEN, value) => match (value.try_into(), value.len()) {
                (Ok(cookie), _) => self.fast_open = Some(FastOpen::Cookie(cookie)),
                (_, 0 | 4 | 6 | 10 | 12 | 14 | 16) => self.fast_open = Some(FastOpen::Wanted),
                _ => {}
            },
            _ => {}
        }
    }

    /// Length of the options as written, padding included [octets]: a multiple of 4, at most 40.
    #[inline]
    pub(super) fn len(&self) -> usize {
        let mut length = self.len_without_sack();
        if let blocks @ 1.. = self.sack_blocks_written() {
            length += 4 + blocks * SACK_BLOCK_LEN;
        }
        length
    }

    fn len_without_sack(&self) -> usize {
        let mut length = 0;
        if self.mss.is_some() {
            length += 4;
        }
        if self.timestamps.is_some() {
            length += 12;
        } else if self.sack_permitted {
            length += 4;
        }
        if self.window_scale.is_some() {
            length += 4;
        }
        length
            + match self.fast_open {
                Some(FastOpen::Cookie(_)) => 12,
                Some(FastOpen::Wanted) => 4,
                None => 0,
            }
    }

    /// How many SACK blocks fit behind all else: three beside timestamps, four without. The first
    /// ones are written; they are the most recent (RFC 2018 §4).
    fn sack_blocks_written(&self) -> usize {
        if self.sack.len == 0 {
            return 0;
        }
        let room = ROOM.saturating_sub(self.len_without_sack() + 4);
        self.sack.iter().count().min(room / SACK_BLOCK_LEN)
    }

    /// Writes the options into `out`, which is as long as [`TcpOptions::len`] says.
    #[inline]
    pub(super) fn emit(&self, out: &mut [u8]) {
        let mut rest = out;
        if let Some(mss) = self.mss {
            let [high, low] = mss.to_be_bytes();
            rest = put(rest, [MSS, MSS_LEN, high, low]);
        }
        if let Some(timestamps) = self.timestamps {
            // SACK-permitted takes the place of the padding.
            let lead = if self.sack_permitted {
                [SACK_PERMITTED, SACK_PERMITTED_LEN, TIMESTAMPS, TIMESTAMPS_LEN]
            } else {
                [NOP, NOP, TIMESTAMPS, TIMESTAMPS_LEN]
            };
            rest = put(rest, lead);
            rest = put(rest, timestamps.value.to_be_bytes());
            rest = put(rest, timestamps.echo_reply.to_be_bytes());
        } else if self.sack_permitted {
            rest = put(rest, [NOP, NOP, SACK_PERMITTED, SACK_PERMITTED_LEN]);
        }
        if let Some(shift) = self.window_scale {
            rest = put(rest, [NOP, WINDOW_SCALE, WINDOW_SCALE_LEN, shift]);
        }
        match self.fast_open {
            Some(FastOpen::Cookie([c0, c1, c2, c3, c4, c5, c6, c7])) => {
                rest = put(rest, [NOP, NOP, FAST_OPEN, FAST_OPEN_COOKIE_LEN]);
                rest = put(rest, [c0, c1, c2, c3]);
                rest = put(rest, [c4, c5, c6, c7]);
            }
            Some(FastOpen::Wanted) => {
                rest = put(rest, [NOP, NOP, FAST_OPEN, FAST_OPEN_WANTED_LEN]);
            }
            None => {}
        }
        if let blocks @ 1.. = self.sack_blocks_written() {
            rest = put(rest, [NOP, NOP, SACK, (2 + blocks * SACK_BLOCK_LEN) as u8]);
            for block in self.sack.iter().take(blocks) {
                rest = put(rest, block.left.0.to_be_bytes());
                rest = put(rest, block.right.0.to_be_bytes());
            }
        }
        debug_assert!(rest.is_empty(), "options are as long as they said");
    }
}

fn parse_timestamps(value: &[u8]) -> Option<Timestamps> {
    let (value, behind) = value.split_first_chunk::<4>()?;
    let echo_reply: [u8; 4] = behind.try_into().ok()?;
    Some(Timestamps {
        value: u32::from_be_bytes(*value),
        echo_reply: u32::from_be_bytes(echo_reply),
    })
}

fn parse_sack(blocks: &[[u8; SACK_BLOCK_LEN]]) -> SackBlocks {
    let mut sack = SackBlocks::default();
    for &[l0, l1, l2, l3, r0, r1, r2, r3] in blocks {
        sack.push(SackBlock {
            left: SeqNum(u32::from_be_bytes([l0, l1, l2, l3])),
            right: SeqNum(u32::from_be_bytes([r0, r1, r2, r3])),
        });
    }
    sack
}

/// Writes one group of four octets and returns what is behind it. Room was counted before, so
/// that it is always there.
#[inline]
fn put(out: &mut [u8], group: [u8; 4]) -> &mut [u8] {
    match out.split_first_chunk_mut::<4>() {
        Some((room, rest)) => {
            *room = group;
            rest
        }
        None => &mut [],
    }
}
