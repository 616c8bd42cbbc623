//! Faults that are planted on purpose, one at a time, to see that the simulation finds them.
//!
//! For tests of the simulation alone, and only there if the feature `planted-faults` is on: without it
//! [`is`] is the constant `false`, and nothing of this is left in what is built. The command refuses to
//! be built with it ([`POSSIBLE`]). Each fault is one condition where it would be made in earnest; who
//! has [`plant`]ed one has it in all that the thread runs, until what was returned is dropped.

#[cfg(feature = "planted-faults")]
pub use soil::{Planted, plant};

/// Whether anything can be planted in what was built.
pub const POSSIBLE: bool = cfg!(feature = "planted-faults");

macro_rules! faults {
    ($($variant:ident = $name:literal, $noticed:literal,)+) => {
        /// A mistake that could have been made.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault { $(#[doc = $noticed] $variant,)+ }

        impl Fault {
            pub const ALL: &[Fault] = &[$(Fault::$variant,)+];

            /// What was done wrong.
            pub fn name(self) -> &'static str {
                match self { $(Fault::$variant => $name,)+ }
            }

            /// What a user would notice.
            pub fn noticed(self) -> &'static str {
                match self { $(Fault::$variant => $noticed,)+ }
            }
        }
    };
}

faults! {
    ChecksumNotVerified = "skips the verification of TCP checksums",
        "Octets that were damaged on the way reach the other side.",
    StaleSumTrusted = "re-heads a payload that was cut by the sum of the whole",
        "Segments go out with a wrong checksum, are discarded, and the stream stands still.",
    FinNotAcknowledged = "drops the update of the acknowledgment number for a FIN",
        "Who has finished repeats its FIN until it gives up.",
    WindowOverrun = "takes the peer's window for an octet larger",
        "A slow reader is sent more than it has room for.",
    ReleasedEarly = "releases a frame of which a part is acknowledged",
        "Octets are missing in the middle of a stream after a loss.",
    RetransmissionTimerForgotten = "forgets to arm the retransmission timer",
        "What is lost stays lost, and its connection hangs.",
    ReassembledAcrossGap = "joins a run behind a gap to the one before",
        "Octets that overtook others come out in their place.",
    SackOneTooMany = "reports an octet behind what has arrived out of order",
        "A peer does not send an octet again that was lost.",
    SupersededNotCounted = "does not count the frames that a larger one replaces",
        "`ringroad stats` does not add up.",
    FrameLeaked = "keeps frames out of order when their connection is reset",
        "Packet memory gets less with each such connection, until none is left.",
    PeerMssIgnored = "sends segments as large as the path takes, not the peer",
        "Who has said to take small segments is sent large ones.",
    FinNotCarried = "does not carry a FIN to the other side",
        "Who waits for the end of a stream waits for ever.",
    ResetNotCarried = "does not carry a reset to the other side",
        "An origin keeps connections whose clients are long gone.",
    SleeperLosesTimestamps = "forgets that timestamps are in use while a connection sleeps",
        "A connection that was quiet breaks when it is used again.",
    FlowNotForgotten = "leaves the flow of a closed connection in the table",
        "A client that uses its port again reaches nobody.",
    SourcePortNotGivenBack = "keeps the source port of a closed connection",
        "After some ten thousand connections an origin is out of ports.",
    CookieMssTooLarge = "reads the next larger class of segment sizes from a SYN cookie",
        "During a flood clients behind tunnels are sent segments that do not fit.",
    SentWhileWithDevice = "sends a frame again that the device still has",
        "Packets change while they are sent.",
}

/// Whether a fault is planted here and now.
#[cfg(not(feature = "planted-faults"))]
#[inline(always)]
pub const fn is(_: Fault) -> bool {
    false
}

#[cfg(feature = "planted-faults")]
pub fn is(fault: Fault) -> bool {
    soil::holds(fault)
}

#[cfg(feature = "planted-faults")]
mod soil {
    use std::cell::Cell;
    use std::marker::PhantomData;

    use super::Fault;

    thread_local! {
        static PLANTED: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    /// A fault is planted in this thread for as long as this lives.
    #[derive(Debug)]
    #[must_use = "a fault is dug up when this is dropped"]
    pub struct Planted(PhantomData<*const ()>);

    /// Plants a fault, in the place of any other.
    pub fn plant(fault: Fault) -> Planted {
        PLANTED.set(Some(fault));
        Planted(PhantomData)
    }

    impl Drop for Planted {
        fn drop(&mut self) {
            PLANTED.set(None);
        }
    }

    pub(super) fn holds(fault: Fault) -> bool {
        PLANTED.get() == Some(fault)
    }
}

#[cfg(all(test, feature = "planted-faults"))]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_planted_in_one_thread_until_it_is_dug_up() {
        let planted = plant(Fault::FinNotCarried);
        assert!(is(Fault::FinNotCarried) && !is(Fault::ResetNotCarried));
        let elsewhere = std::thread::spawn(|| is(Fault::FinNotCarried)).join();
        assert!(!elsewhere.expect("nothing goes wrong there"));
        drop(planted);
        assert!(Fault::ALL.iter().all(|fault| !is(*fault)));
    }
}
