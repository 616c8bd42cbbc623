//! What stands in the hosts' end of a network and meddles with what passes.
//!
//! [`Middlebox`] says which there are, and what becomes of connections behind each. Inside, each is
//! a [`Treat`]: it is given one segment after another and says what goes on, in which direction.
//! Boxes know connections by their SYN, and what belongs to none that they have seen begin passes
//! as it is; so does whatever is no sound TCP segment over IP.

mod hold;
mod idle;
mod options;
mod payload;
mod reset;
mod sequence;
mod window;

use std::fmt::Debug;
use std::time::Duration;

use ringroad_engine::time::Instant;

use super::segment::Raw;
use super::{End, Way};

/// A kind of box and its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Middlebox {
    /// Puts NOPs in the place of options. Connections survive without what they are for.
    StripOptions(Stripped),
    /// Adds a constant of each connection to the sequence numbers of one end, as firewalls do that
    /// do not trust an end's choice, and takes it from what the other acknowledges. Connections
    /// survive.
    RewriteSequence {
        of: End,
        /// As some do: SACK blocks that go to the appliance speak of numbers it has never sent.
        /// Connections survive as if without SACK.
        forgets_sack: bool,
    },
    /// No larger window than so many octets, whoever offers it. Connections survive, slower.
    ClampWindow { octets: u32 },
    /// No larger MSS on SYNs than this. Connections survive.
    ClampMss { octets: u16 },
    /// Ends connections with a reset. They do not survive: an end that is told has its reset, one
    /// that is not hears nothing more, until the network is healed.
    ResetAfter { limit: Limit, tells: Tells },
    /// A NAT that forgets connections which were idle for longer, and drops what comes for them. One
    /// that has been idle does not survive, and neither end hears of it, until the network is healed.
    ForgetIdle { after: Duration },
    /// Segments with more payload are sent on as several. Connections survive.
    SplitSegments { octets: usize },
    /// Segments that follow each other within so long are sent on as one (as receive offload does,
    /// in a router), no larger than the receiver's MSS and the network's MTU. Connections survive.
    JoinSegments { within: Duration },
    /// Of pure acknowledgments that follow each other within so long the last is sent on
    /// (RFC 3449 §5.2.1). Connections survive.
    ThinAcks { within: Duration },
    /// Payload on a SYN does not pass. Connections survive: it is sent again.
    StripPayloadOfSyn,
}

/// What is taken from SYNs and from the answers to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stripped {
    pub timestamps: bool,
    pub sack: bool,
    pub scale: bool,
    pub fast_open: bool,
    /// The flags that ask for it and agree (RFC 3168 §6.1.1).
    pub ecn: bool,
    /// From all other segments: SACK blocks, although the ends have agreed on SACK.
    pub sack_blocks: bool,
}

/// When a connection has had enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// More payload than so much has passed, both ways together [octets].
    Octets(u64),
    /// A segment passes so long after the first SYN.
    Time(Duration),
}

/// Who is sent a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tells {
    Both,
    Only(End),
}

/// A box at work.
pub(super) trait Treat: Debug {
    fn take(&mut self, now: Instant, way: Way, segment: Raw, out: &mut Passage);

    /// What it has held until now goes on.
    fn wake(&mut self, _now: Instant, _out: &mut Passage) {}

    /// It ends no more connections.
    fn heal(&mut self) {}
}

/// What leaves a box.
#[derive(Debug, Default)]
pub(super) struct Passage {
    /// Each goes its way, away from the box.
    pub(super) segments: Vec<(Way, Raw)>,
    /// When it wants to be woken, once more.
    pub(super) wakes_at: Option<Instant>,
    /// Segments that did not pass, or not by themselves.
    pub(super) swallowed: u64,
    pub(super) resets: u64,
}

impl Passage {
    fn pass(&mut self, way: Way, segment: Raw) {
        self.segments.push((way, segment));
    }

    fn reset(&mut self, way: Way, reset: Raw) {
        self.resets += 1;
        self.pass(way, reset);
    }
}

impl Middlebox {
    pub fn name(self) -> &'static str {
        match self {
            Middlebox::StripOptions(_) => "strips options",
            Middlebox::RewriteSequence { .. } => "rewrites numbers",
            Middlebox::ClampWindow { .. } => "clamps windows",
            Middlebox::ClampMss { .. } => "clamps the MSS",
            Middlebox::ResetAfter { .. } => "resets",
            Middlebox::ForgetIdle { .. } => "forgets",
            Middlebox::SplitSegments { .. } => "splits",
            Middlebox::JoinSegments { .. } => "joins",
            Middlebox::ThinAcks { .. } => "thins ACKs",
            Middlebox::StripPayloadOfSyn => "strips payload of SYNs",
        }
    }

    /// Puts the box to work, in a network of this MTU.
    pub(super) fn build(self, mtu: u16, seed: u64) -> Box<dyn Treat> {
        match self {
            Middlebox::StripOptions(stripped) => Box::new(options::Strip(stripped)),
            Middlebox::RewriteSequence { of, forgets_sack } => {
                Box::new(sequence::Rewrite::new(of, forgets_sack, seed))
            }
            Middlebox::ClampWindow { octets } => Box::new(window::Clamp::new(octets)),
            Middlebox::ClampMss { octets } => Box::new(options::ClampMss(octets)),
            Middlebox::ResetAfter { limit, tells } => Box::new(reset::Reset::new(limit, tells)),
            Middlebox::ForgetIdle { after } => Box::new(idle::Forget::new(after)),
            Middlebox::SplitSegments { octets } => Box::new(payload::Split(octets)),
            Middlebox::JoinSegments { within } => Box::new(hold::Join::new(within, mtu)),
            Middlebox::ThinAcks { within } => Box::new(hold::Thin::new(within)),
            Middlebox::StripPayloadOfSyn => Box::new(payload::StripOfSyn),
        }
    }
}
