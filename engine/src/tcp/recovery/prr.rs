//! Proportional Rate Reduction (RFC 9937, which replaces RFC 6937): how much may leave for each
//! ACK of a fast recovery, so that the flight shrinks to the threshold over one round trip.
//!
//! In octets throughout, so that a peer that acknowledges in small pieces gains nothing by it.

/// What one ACK of the recovery brought.
#[derive(Clone, Copy, Debug)]
pub(in crate::tcp) struct Delivery {
    /// DeliveredData: newly acknowledged, cumulatively or selectively [octets].
    pub(in crate::tcp) delivered: u32,
    /// In flight now (inflight) [octets].
    pub(in crate::tcp) in_flight: u32,
    pub(in crate::tcp) ssthresh: u32,
    pub(in crate::tcp) mss: u32,
    /// SafeACK: SND.UNA has advanced, and nothing more was found lost.
    pub(in crate::tcp) is_safe: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub(in crate::tcp) struct Prr {
    /// RecoverFS: what was in flight when the recovery began [octets].
    recover_fs: u32,
    /// prr_delivered and prr_out: delivered and sent since then [octets].
    delivered: u32,
    out: u32,
    /// The window until the next ACK [octets].
    window: u32,
}

impl Prr {
    /// RFC 9937 §6.1: a recovery begins with this much in flight, what the ACK that began it
    /// acknowledged included [octets].
    pub(in crate::tcp) fn begin(in_flight: u32) -> Self {
        Prr { recover_fs: in_flight.max(1), ..Prr::default() }
    }

    /// RFC 9937 §6.2. Nothing delivered allows nothing more.
    pub(in crate::tcp) fn on_ack(&mut self, ack: &Delivery) {
        if ack.delivered == 0 && self.delivered > 0 {
            return;
        }
        self.delivered = self.delivered.saturating_add(ack.delivered);
        let mut send = if ack.in_flight > ack.ssthresh {
            // Between the window of before and the threshold, in proportion.
            let target = u64::from(self.delivered) * u64::from(ack.ssthresh);
            let target = target.div_ceil(u64::from(self.recover_fs));
            target.saturating_sub(u64::from(self.out)).min(u64::from(u32::MAX)) as u32
        } else {
            // Below the threshold: as much as was delivered (PRR-CRB), and a segment more when
            // that goes well (PRR-SSRB).
            let conserved = self.delivered.saturating_sub(self.out).max(ack.delivered);
            let grown = conserved.saturating_add(if ack.is_safe { ack.mss } else { 0 });
            grown.min(ack.ssthresh - ack.in_flight)
        };
        if self.out == 0 {
            send = send.max(ack.mss); // The fast retransmit itself.
        }
        self.window = ack.in_flight.saturating_add(send);
    }

    /// RFC 9937 §6.3.
    pub(in crate::tcp) fn on_sent(&mut self, octets: u32) {
        self.out = self.out.saturating_add(octets);
    }

    /// How much may be in flight until the next ACK [octets].
    pub(in crate::tcp) fn window(&self) -> u32 {
        self.window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u32 = 1000;

    /// A recovery of 20 segments towards 10, of which `lost` are lost; each ACK delivers one.
    /// Returns what was sent for each, and what is in flight in the end [segments].
    fn recover(lost: u32, acks: u32) -> (Vec<u32>, u32) {
        let mut prr = Prr::begin(20 * MSS);
        let mut in_flight = (20 - lost) * MSS;
        let sent = (0..acks)
            .map(|_| {
                in_flight -= MSS;
                prr.on_ack(&Delivery {
                    delivered: MSS,
                    in_flight,
                    ssthresh: 10 * MSS,
                    mss: MSS,
                    is_safe: false,
                });
                let segments = (prr.window() - in_flight) / MSS;
                prr.on_sent(segments * MSS);
                in_flight += segments * MSS;
                segments
            })
            .collect();
        (sent, in_flight / MSS)
    }

    #[test]
    fn one_loss_sends_one_segment_for_every_two_delivered() {
        let (sent, in_flight) = recover(1, 19);
        assert_eq!(sent[..6], [1, 0, 0, 1, 0, 1], "the fast retransmit leaves at once");
        assert_eq!(in_flight, 10, "at the threshold when all has been heard of");
        assert!(sent.iter().all(|segments| *segments <= 1));
    }

    #[test]
    fn many_losses_send_one_segment_for_each_delivered() {
        let (sent, in_flight) = recover(15, 5);
        assert_eq!(sent, [1, 1, 1, 1, 1]);
        assert_eq!(in_flight, 5, "conserved, not made good in one burst");
    }

    #[test]
    fn progress_without_further_loss_makes_it_good_by_slow_start() {
        let mut prr = Prr::begin(20 * MSS);
        let ack = Delivery {
            delivered: MSS,
            in_flight: 4 * MSS,
            ssthresh: 10 * MSS,
            mss: MSS,
            is_safe: true,
        };
        prr.on_ack(&ack);
        assert_eq!(prr.window(), 6 * MSS);
        prr.on_sent(2 * MSS);
        prr.on_ack(&Delivery { in_flight: 9 * MSS, ..ack });
        assert_eq!(prr.window(), 10 * MSS, "never beyond the threshold");
    }

    #[test]
    fn acknowledging_in_small_pieces_gains_nothing() {
        let mut prr = Prr::begin(20 * MSS);
        let mut in_flight = 19 * MSS;
        let mut sent = 0;
        for _ in 0..4000 {
            in_flight -= 1;
            let ack =
                Delivery { delivered: 1, in_flight, ssthresh: 10 * MSS, mss: MSS, is_safe: false };
            prr.on_ack(&ack);
            if prr.window() - in_flight >= MSS {
                prr.on_sent(MSS);
                in_flight += MSS;
                sent += 1;
            }
        }
        assert_eq!(sent, 2, "half of four segments' worth");
    }

    #[test]
    fn extremes_do_not_overflow() {
        let mut prr = Prr::begin(0);
        for in_flight in [0, 1, u32::MAX] {
            for ssthresh in [0, 1, u32::MAX] {
                let delivered = u32::MAX;
                prr.on_ack(&Delivery { delivered, in_flight, ssthresh, mss: 1, is_safe: true });
                prr.on_sent(u32::MAX);
                assert!(prr.window() >= in_flight);
            }
        }
    }
}
