//! Forward RTO-recovery (RFC 5682): after a timeout, two acknowledgments tell whether anything was
//! lost at all, or only late.
//!
//! The first segment is sent again, as ever. Once that is acknowledged two new segments go out
//! instead of what is presumed lost. If the next ACK then covers something that was never sent
//! again, it had been on its way all the time: the timeout was spurious.

/// Where the detection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tcp) enum Frto {
    /// Not at work: recovery goes the ordinary way.
    Off,
    /// RFC 5682 §3.1 step 2: waits until the segment that was sent again is acknowledged.
    SentAgain,
    /// Step 3: new segments may leave, this many more; what is presumed lost may not.
    SendsNew(u8),
}

/// What an ACK says, as far as this asks.
#[derive(Clone, Copy, Debug)]
pub(in crate::tcp) struct Signs {
    /// SND.UNA has advanced, not as far as what was sent before the timeout.
    pub(in crate::tcp) advances: bool,
    /// A duplicate, or something newly sacked.
    pub(in crate::tcp) is_duplicate: bool,
    /// Of what was sent before the timeout, something that was never sent again has arrived.
    pub(in crate::tcp) original_arrived: bool,
    pub(in crate::tcp) sack: bool,
    /// There is something new to send, and the peer's window takes it.
    pub(in crate::tcp) can_send_new: bool,
}

/// RFC 5682 §3.1 step 2b: new segments sent to find out.
const NEW_SEGMENTS: u8 = 2;

impl Frto {
    /// Takes an ACK into account; whether it shows that the timeout was spurious.
    pub(in crate::tcp) fn on_ack(&mut self, signs: &Signs) -> bool {
        *self = match *self {
            Frto::Off => return false,
            Frto::SentAgain if signs.advances && signs.can_send_new => Frto::SendsNew(NEW_SEGMENTS),
            // Step 2a; with SACK, duplicates only bring the scoreboard up to date.
            Frto::SentAgain if signs.advances || (signs.is_duplicate && !signs.sack) => Frto::Off,
            Frto::SentAgain => Frto::SentAgain,
            Frto::SendsNew(_) if signs.original_arrived => {
                *self = Frto::Off;
                return true;
            }
            // Step 3a: what came after has arrived, what was before has not.
            Frto::SendsNew(_) if signs.advances || signs.is_duplicate => Frto::Off,
            waiting @ Frto::SendsNew(_) => waiting,
        };
        false
    }

    /// Whether what is presumed lost must wait.
    pub(in crate::tcp) fn holds_lost(self) -> bool {
        matches!(self, Frto::SendsNew(_))
    }

    /// Whether new segments must wait.
    pub(in crate::tcp) fn holds_new(self) -> bool {
        self == Frto::SendsNew(0)
    }

    pub(in crate::tcp) fn on_new_sent(&mut self) {
        if let Frto::SendsNew(left) = self {
            *left = left.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Signs = Signs {
        advances: false,
        is_duplicate: false,
        original_arrived: false,
        sack: true,
        can_send_new: true,
    };
    const ADVANCES: Signs = Signs { advances: true, ..NOTHING };
    const DUPLICATE: Signs = Signs { is_duplicate: true, ..NOTHING };

    #[test]
    fn an_original_that_arrives_after_all_shows_a_spurious_timeout() {
        let mut frto = Frto::SentAgain;
        assert!(!frto.on_ack(&DUPLICATE));
        assert_eq!(frto, Frto::SentAgain);
        assert!(!frto.on_ack(&Signs { original_arrived: true, ..ADVANCES }));
        assert!(frto.holds_lost() && !frto.holds_new());
        frto.on_new_sent();
        frto.on_new_sent();
        assert!(frto.holds_new());
        assert!(frto.on_ack(&Signs { original_arrived: true, ..ADVANCES }));
        assert_eq!(frto, Frto::Off);
    }

    #[test]
    fn a_report_of_new_data_alone_shows_a_genuine_one() {
        let mut frto = Frto::SentAgain;
        frto.on_ack(&ADVANCES);
        assert!(!frto.on_ack(&DUPLICATE));
        assert_eq!(frto, Frto::Off);
    }

    #[test]
    fn a_duplicate_that_brings_no_news_does_not_hold_recovery_up() {
        let mut frto = Frto::SendsNew(1);
        assert!(!frto.on_ack(&Signs { is_duplicate: true, ..NOTHING }));
        assert_eq!(frto, Frto::Off);
    }

    #[test]
    fn without_new_data_or_without_sack_recovery_is_the_ordinary_one() {
        let mut frto = Frto::SentAgain;
        frto.on_ack(&Signs { can_send_new: false, ..ADVANCES });
        assert_eq!(frto, Frto::Off);
        let mut frto = Frto::SentAgain;
        frto.on_ack(&Signs { sack: false, ..DUPLICATE });
        assert_eq!(frto, Frto::Off);
    }
}
