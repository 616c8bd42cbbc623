//! What no sound TCP would send: a host panics at it.

use super::super::packet::{ACK, FIN, Segment};
use super::receive::TIMESTAMPS_FROM;
use super::{Peer, Status};

impl Peer {
    /// Judges a SYN or SYN-ACK; its MSS [octets].
    pub(super) fn judge_syn(&self, syn: &Segment) -> u16 {
        let options = &syn.options;
        assert!(options.sack.is_empty(), "SACK blocks on a SYN");
        if self.settings.forged {
            return options.mss.unwrap_or(536).clamp(64, 1460);
        }
        let mss = options.mss.expect("a SYN without an MSS");
        assert!((512..=1460).contains(&mss), "MSS {mss}");
        if self.status == Status::SynSent {
            // What was not offered is not answered.
            assert!(options.scale.is_none() || self.settings.scale.is_some());
            assert!(!options.sack_permitted || self.settings.sack);
            assert!(options.timestamps.is_none() || self.settings.timestamps);
            if self.timestamps {
                assert_ne!(options.timestamps.map(|ts| ts.1), Some(0), "echo on a SYN-ACK");
            }
        } else if let Some((_, echo)) = options.timestamps {
            assert_eq!(echo, 0, "an echo of nothing");
        }
        assert!(syn.window > 0, "a window of zero on a SYN stalls the start");
        assert!(options.scale.is_none_or(|scale| scale <= 14), "RFC 7323 §2.3");
        mss
    }

    /// Whether the engine may have another connection in our name.
    pub(super) fn may_have_double(&self) -> bool {
        self.settings.forged || self.odd_syns
    }

    /// Whether a segment belongs to this connection, where the engine may have another one in our
    /// name: by its timestamps, and by numbers that both ends are near.
    pub(super) fn could_be_ours(&self, segment: &Segment) -> bool {
        segment.options.timestamps.is_some() == self.timestamps
            && self.is_near(segment.seq)
            && is_near(segment.ack, self.iss, self.una)
            && self.iss.wrapping_add(self.max as u32).wrapping_sub(segment.ack) as i32 >= 0
    }

    /// Whether a number is that of what is to arrive next.
    pub(super) fn is_next(&self, seq: u32) -> bool {
        seq == self.irs.wrapping_add(self.rcv_nxt() as u32)
    }

    /// Whether a number is one that the engine may use.
    pub(super) fn is_near(&self, seq: u32) -> bool {
        is_near(seq, self.irs, self.rcv_nxt())
    }

    pub(super) fn judge_options(&self, segment: &Segment) {
        assert!(segment.has(ACK), "no ACK: {segment:?}");
        assert!(
            segment.options.mss.is_none()
                && segment.options.scale.is_none()
                && !segment.options.sack_permitted,
            "an option that belongs on a SYN: {segment:?}"
        );
    }

    /// Of an earlier connection from the same port, by its timestamp (RFC 7323 §5.3, R1).
    pub(super) fn is_old(&self, segment: &Segment) -> bool {
        let value = segment.options.timestamps.map(|(value, _)| value);
        value.is_some_and(|value| (value.wrapping_sub(self.ts_recent) as i32) < 0)
    }

    pub(super) fn judge_timestamps(&self, segment: &Segment) {
        assert_eq!(
            segment.options.timestamps.is_some(),
            self.timestamps,
            "timestamps on every segment or on none: {segment:?}"
        );
        let Some((value, echo)) = segment.options.timestamps else { return };
        if !self.settings.lossy {
            assert!((value.wrapping_sub(self.ts_recent) as i32) >= 0, "its clock went back");
        }
        assert!(echo >= TIMESTAMPS_FROM, "echoes {echo}, which was never sent");
    }

    pub(super) fn judge_reset(&self, segment: &Segment) {
        // RFC 9293 §3.10.7.4, RFC 5961 §3: believed at the very next number.
        let position = self.position_of(segment.seq);
        let next = self.rcv_nxt();
        assert!(
            position == next || self.settings.lossy,
            "a reset at {position}, expected at {next}: {segment:?}"
        );
    }

    pub(super) fn judge_acknowledgment(&self, ack: u64) {
        assert!(ack <= self.max, "acknowledges {ack} of {} that were sent", self.max);
    }

    pub(super) fn judge_edge(&self, edge: u64) {
        if !self.settings.lossy && self.window_from != (0, 0) {
            assert!(
                // A probe has moved our idea of the edge by an octet.
                edge + 1 >= self.snd_edge,
                "the window shrank from {} to {edge}",
                self.snd_edge
            );
        }
    }

    pub(super) fn judge_sack(&self, segment: &Segment) {
        assert!(segment.options.sack.is_empty() || self.sack, "SACK was not agreed on");
        if self.settings.sack_may_be_foreign {
            return;
        }
        for (nth, &(left, right)) in segment.options.sack.iter().enumerate() {
            // RFC 2883 §4: the first may be of what came again, whoever has sent that.
            let is_old = segment.ack.wrapping_sub(right) as i32 >= 0;
            if nth == 0 && is_old && self.settings.forged {
                continue;
            }
            let (left, right) = (left.wrapping_sub(self.iss), right.wrapping_sub(self.iss));
            assert!(
                left >= 1 && left < right && u64::from(right) <= self.max,
                "reports {left} to {right} of {} that were sent",
                self.max
            );
        }
    }

    pub(super) fn judge_payload(&self, segment: &Segment, position: u64) {
        let len = segment.payload.len();
        let options = if self.timestamps { 12 } else { 0 };
        assert!(
            len + options <= usize::from(self.settings.mss),
            "{len} octets of payload beyond our MSS"
        );
        let end = position + len as u64;
        // RFC 9293 §3.8.6.1: one octet beyond a window that is shut asks whether it still is.
        let probes = len == 1 && position == self.rcv_edge;
        assert!(
            end <= self.rcv_edge || probes,
            "payload to {end}, beyond the window to {}",
            self.rcv_edge
        );
        if segment.has(FIN) {
            assert!(self.finished_at.is_none_or(|at| at == end), "the end moved to {end}");
        }
        if let Some(at) = self.finished_at {
            assert!(end <= at, "payload behind the end");
        }
    }
}

/// Whether a number is behind the SYN, and no farther from `position` than any window is wide.
fn is_near(number: u32, start: u32, position: u64) -> bool {
    let distance = number.wrapping_sub(start.wrapping_add(position as u32)) as i32;
    distance.unsigned_abs() <= 1 << 24 && position.saturating_add_signed(distance.into()) > 0
}
