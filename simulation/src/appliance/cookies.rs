//! A shield that answers SYNs by cookies in front of the engine, and remembers nothing of them.
//!
//! It uses the engine's own `bake`, whose bits have tests of their own; what is on trial here is
//! what the engine makes of the ACK.

use ringroad_ebpf::CookieService;
use ringroad_engine::flow::FlowKey;
use ringroad_engine::proxy::cookie_service;
use ringroad_engine::shield::cookie::{Keys, SynOptions, bake};
use ringroad_engine::stage::{Command, Cookies, Gate};
use ringroad_engine::tcp::LegSettings;
use ringroad_engine::wire::tcp::SeqNum;

use super::packet::{ACK, CWR, ECE, Options, SYN, Segment};
use super::rig::{CLIENTS, Wire, World};

pub struct CookieShield {
    pub keys: Keys,
    pub says: CookieService,
    /// SYN-ACKs that get lost before the next arrives.
    pub answers_to_lose: u32,
    /// Segments behind the SYN that get lost before the next arrives.
    pub segments_to_lose: u32,
    pub answered: u64,
}

/// What becomes of a client's segment.
pub enum Fate {
    Passed,
    Answered(Segment),
    Lost,
}

pub const MASTER: [u8; 16] = *b"the master's own";
/// Some time in the first of two periods.
pub const THEN: u64 = 1_800_000_000;

/// Puts a shield with cookies in front of the engine, and gives both the keys.
pub fn shield<P: Wire>(world: &mut World<P>) {
    let says = cookie_service(&LegSettings::default(), 1500, u16::MAX);
    world.hosts.0[CLIENTS].cookies = Some(CookieShield::new(Keys::at(&MASTER, THEN), says));
    give_keys(world, Keys::at(&MASTER, THEN));
    world.edge.set_cookies(Cookies::Always);
}

pub fn give_keys<P: Wire, G: Gate>(world: &mut World<P, G>, keys: Keys) {
    world.edge.tell(|| Command::CookieKeys(keys));
}

impl CookieShield {
    pub fn new(keys: Keys, says: CookieService) -> CookieShield {
        CookieShield { keys, says, answers_to_lose: 0, segments_to_lose: 0, answered: 0 }
    }

    pub fn see(&mut self, segment: &Segment) -> Fate {
        let (fate, to_lose) = match segment.has(SYN) {
            true => (Fate::Answered(self.answer(segment)), &mut self.answers_to_lose),
            false => (Fate::Passed, &mut self.segments_to_lose),
        };
        if *to_lose > 0 {
            *to_lose -= 1;
            return Fate::Lost;
        }
        fate
    }

    pub fn answer(&mut self, syn: &Segment) -> Segment {
        self.answered += 1;
        let offered = SynOptions {
            mss: syn.options.mss,
            window_scale: syn.options.scale,
            sack: syn.options.sack_permitted,
            timestamps: syn.options.timestamps.is_some(),
            ecn: self.says.ecn
                && syn.options.timestamps.is_some()
                && syn.flags & (ECE | CWR) == ECE | CWR,
        };
        let flow = FlowKey::new(syn.destination, syn.source);
        let our_mss = if syn.source.is_ipv4() { self.says.mss_v4 } else { self.says.mss_v6 };
        let cookie = bake(&self.keys, &flow, SeqNum(syn.seq), &offered, our_mss);
        Segment {
            link: syn.link.reversed(),
            source: syn.destination,
            destination: syn.source,
            seq: cookie.sequence.0,
            ack: syn.seq.wrapping_add(1),
            flags: SYN | ACK | if offered.ecn { ECE } else { 0 },
            window: self.says.window,
            options: Options {
                mss: Some(our_mss),
                scale: syn.options.scale.map(|_| self.says.window_scale),
                sack_permitted: syn.options.sack_permitted,
                timestamps: cookie.timestamp.zip(syn.options.timestamps).map(|(v, ts)| (v, ts.0)),
                ..Options::default()
            },
            payload: Vec::new(),
        }
    }
}
