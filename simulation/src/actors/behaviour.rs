//! How one end of a connection behaves: as it should, or in one way as it should not.

use std::time::Duration;

use ringroad_engine::random::Random;

use super::Expectation;
use super::conduct::Conduct;
use super::script::{Role, Script};
use crate::appliance::peer::{Acks, App, Settings};

/// One way to behave, on a connection that is otherwise sound. Plain data: it can be printed,
/// compared and tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    Plain,
    /// Reads so much at a time [octets].
    ReadsSlowly {
        octets: u32,
        every: Duration,
    },
    /// Stops reading when so much has arrived [octets], for a while.
    PausesReading {
        after: u32,
        pause: Duration,
    },
    /// Says so much at a time [octets].
    Trickles {
        octets: u32,
        every: Duration,
    },
    /// Opens, and has nothing to say for a while.
    Idles {
        quiet: Duration,
    },
    /// Says all it has to say at once, ends, and listens on.
    ClosesHalf,
    /// Never ends.
    NeverCloses,
    Aborts {
        when: Moment,
    },
    /// The host is gone from one moment to the next.
    Vanishes {
        when: Moment,
    },
    /// Sends its SYN again though it was answered, its number so much higher.
    RepeatsSyn {
        higher: u32,
        every: Duration,
        times: u8,
    },
    /// Opens again from the same address and port, so long after the end and with a number that lies
    /// `ahead` of what was sent last, or behind it (RFC 9293 §3.6.1, RFC 6191).
    ReusesPort {
        after: Duration,
        ahead: i32,
        times: u8,
    },
    /// Takes its window back when so much has arrived, down to so much [octets], for a while (RFC
    /// 9293 §3.8.6).
    ShrinksWindow {
        after: u32,
        to: u32,
        pause: Duration,
    },
    /// Has no room for more [octets].
    TinyWindow {
        octets: u32,
    },
    /// Tells of every octet that it reads from a small buffer (RFC 9293 §3.8.6.2.2) [octets].
    SillyWindow {
        buffer: u32,
        octets: u32,
        every: Duration,
    },
    /// Takes only small segments [octets].
    TinyMss {
        octets: u16,
    },
    /// Acknowledges every so many octets by themselves (Savage et al., 1999).
    SplitsAcks {
        octets: u32,
    },
    /// Acknowledges every second segment, or after so long (RFC 9293 §3.8.6.3).
    DelaysAcks {
        by: Duration,
    },
    /// Acknowledges everything so much later.
    AcksLate {
        by: Duration,
    },
    /// Acknowledges every so many segments (RFC 2525 §2.13).
    StretchesAcks {
        segments: u32,
    },
    /// Throws away from time to time what it has reported to hold (RFC 2018 §8).
    Reneges {
        every: Duration,
    },
    /// Reports what has arrived twice (RFC 2883).
    ReportsDuplicates,
}

/// When something happens on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// So much that was said is acknowledged [octets].
    Said(u32),
    /// So much was heard [octets].
    Heard(u32),
    /// So long after the beginning.
    After(Duration),
}

impl Behaviour {
    /// How the host's TCP is to be set for it.
    pub fn settings(&self, base: Settings) -> Settings {
        let acks = |segments, at_latest| Acks { segments, at_latest, ..Acks::AT_ONCE };
        match *self {
            // What does not fit it throws away: for its host, the network has lost it.
            Behaviour::ShrinksWindow { .. } | Behaviour::Reneges { .. } => {
                Settings { lossy: true, ..base }
            }
            Behaviour::TinyWindow { octets: buffer } | Behaviour::SillyWindow { buffer, .. } => {
                Settings { buffer, scale: None, ..base }
            }
            Behaviour::TinyMss { octets } => Settings { mss: octets, ..base },
            Behaviour::SplitsAcks { octets } => {
                Settings { acks: Acks { step: octets.into(), ..Acks::AT_ONCE }, ..base }
            }
            Behaviour::DelaysAcks { by } => Settings { acks: acks(2, by), ..base },
            Behaviour::AcksLate { by } => Settings { acks: acks(u32::MAX, by), ..base },
            Behaviour::StretchesAcks { segments } => {
                Settings { acks: acks(segments, LONGEST_DELAY), ..base }
            }
            Behaviour::ReportsDuplicates => Settings { dsack: true, ..base },
            _ => base,
        }
    }

    /// What a client does that behaves so.
    pub fn client(&self, script: Script) -> App {
        Conduct::new(*self, Role::Client, Some(script)).app()
    }

    /// What an origin does that behaves so; it hears from the client what the script is.
    pub fn origin(&self) -> App {
        Conduct::new(*self, Role::Origin, None).app()
    }

    /// What is justified at the end of a connection with one that behaves so, and somebody plain, by a
    /// service that ends what is idle for so long, over a network that loses nothing for good.
    pub fn expectation(&self, idle_timeout: Duration) -> Expectation {
        match *self {
            Behaviour::Vanishes { .. } => Expectation::Nothing,
            Behaviour::Aborts { .. } | Behaviour::NeverCloses => Expectation::EitherEndMayReset,
            _ if self.silence() >= idle_timeout => Expectation::EitherEndMayReset,
            _ => Expectation::Whole,
        }
    }

    /// How long it may keep payload from crossing.
    pub fn silence(&self) -> Duration {
        match *self {
            Behaviour::ReadsSlowly { every, .. }
            | Behaviour::SillyWindow { every, .. }
            | Behaviour::Trickles { every, .. } => every,
            Behaviour::PausesReading { pause, .. } | Behaviour::ShrinksWindow { pause, .. } => {
                pause
            }
            Behaviour::Idles { quiet } => quiet,
            _ => Duration::ZERO,
        }
    }

    /// How much longer than by a plain host the script may take.
    pub fn lasts(&self, script: &Script) -> Duration {
        let most = script.len(Role::Client).max(script.len(Role::Origin)) as u32;
        match *self {
            Behaviour::ReadsSlowly { octets, every }
            | Behaviour::SillyWindow { octets, every, .. }
            | Behaviour::Trickles { octets, every } => every * most.div_ceil(octets),
            Behaviour::ReusesPort { after, times, .. } => {
                // The SYN may be refused until TIME-WAIT is over.
                (after + 2 * ringroad_engine::limits::TIME_WAIT) * times.into()
            }
            Behaviour::AcksLate { by } => by * most.div_ceil(10_000),
            _ => 2 * self.silence(),
        }
    }

    /// One of all, by chance, that does not last for hours.
    pub fn any(random: &mut Random) -> Behaviour {
        let octets = 1 << random.below(17);
        let every = Duration::from_millis(1 << random.below(8));
        let pause = Duration::from_millis(1 << random.below(18));
        let moment = match random.below(3) {
            0 => Moment::Said(octets),
            1 => Moment::Heard(octets),
            _ => Moment::After(pause / 8),
        };
        let ahead = random.draw() as i32 >> random.below(31);
        let times = 1 + random.below(4) as u8;
        match random.below(21) {
            0 => Behaviour::ReadsSlowly { octets: octets.max(1000), every },
            1 => Behaviour::PausesReading { after: octets, pause },
            2 => Behaviour::Trickles { octets: octets.max(32), every: every / 8 },
            3 => Behaviour::Idles { quiet: pause },
            4 => Behaviour::ClosesHalf,
            5 => Behaviour::NeverCloses,
            6 => Behaviour::Aborts { when: moment },
            7 => Behaviour::Vanishes { when: moment },
            8 => Behaviour::RepeatsSyn { higher: ahead.unsigned_abs(), every, times },
            9 => Behaviour::ReusesPort { after: pause / 16, ahead, times },
            10 => Behaviour::ShrinksWindow { after: octets, to: octets / 16, pause: pause / 2 },
            11 => Behaviour::TinyWindow { octets: 1000 + octets / 16 },
            12 => Behaviour::SillyWindow {
                buffer: 4096,
                octets: octets.clamp(64, 512),
                every: every / 32,
            },
            13 => Behaviour::TinyMss { octets: 64 + (octets / 128) as u16 },
            14 => Behaviour::SplitsAcks { octets: octets.min(1000) },
            15 => Behaviour::DelaysAcks { by: every.max(Duration::from_millis(40)) },
            16 => Behaviour::AcksLate { by: every },
            17 => Behaviour::StretchesAcks { segments: 2 + random.below(30) as u32 },
            18 => Behaviour::Reneges { every },
            19 => Behaviour::ReportsDuplicates,
            _ => Behaviour::Plain,
        }
    }
}

/// RFC 9293 §3.8.6.3: what an acknowledgment may be delayed by.
const LONGEST_DELAY: Duration = Duration::from_millis(500);
