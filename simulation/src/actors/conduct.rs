//! What a host does from one moment to the next, to say its part in the way it behaves.

use std::time::Duration;

use ringroad_engine::time::Instant;

use super::behaviour::{Behaviour, Moment};
use super::script::{Role, Script};
use crate::appliance::peer::{App, Peer, Status};

/// One end of a conversation, by one host.
pub(super) struct Conduct {
    behaviour: Behaviour,
    role: Role,
    /// An origin learns it from the request.
    script: Option<Script>,
    /// In front of what the other end says [octets].
    header: usize,
    /// Its part.
    octets: Vec<u8>,
    finished: bool,
    began: Option<Instant>,
    /// When it does its mischief next, or is done with it.
    next_at: Instant,
    /// How often it has.
    times: u8,
    buffer: u32,
}

impl Conduct {
    pub(super) fn new(behaviour: Behaviour, role: Role, script: Option<Script>) -> Conduct {
        let octets = script.map_or(Vec::new(), |script| script.octets(role));
        Conduct {
            behaviour,
            role,
            script,
            header: 0,
            octets,
            finished: false,
            began: None,
            next_at: Instant::ZERO,
            times: 0,
            buffer: 0,
        }
    }

    pub(super) fn app(mut self) -> App {
        Box::new(move |peer| self.act(peer))
    }

    fn act(&mut self, peer: &mut Peer) {
        if peer.is_over() {
            return self.come_back(peer);
        }
        if self.began.is_none() {
            self.begin(peer);
        }
        self.learn(peer);
        let behaviour = self.behaviour;
        match behaviour {
            Behaviour::ReadsSlowly { octets, every }
            | Behaviour::SillyWindow { octets, every, .. }
                if peer.unread() > 0 && self.is_time(peer, every) =>
            {
                peer.read_some(octets as usize);
            }
            Behaviour::PausesReading { after, pause } => {
                peer.paused = self.is_within(peer, after, pause);
            }
            Behaviour::ShrinksWindow { after, to, pause } => {
                let within = self.is_within(peer, after, pause);
                let wanted = if within { to.min(self.buffer) } else { self.buffer };
                if peer.settings.buffer != wanted {
                    peer.offer_only(wanted);
                }
            }
            Behaviour::RepeatsSyn { higher, every, times }
                // In front of its SYN-ACK, that of an origin would open the connection.
                if self.times < times
                    && (self.role == Role::Client || peer.status == Status::Open)
                    && self.is_time(peer, every) =>
            {
                self.times += 1;
                peer.repeat_syn(higher);
            }
            Behaviour::Reneges { every } if self.is_time(peer, every) => peer.renege(),
            Behaviour::Aborts { when } if self.has_come(peer, when) => return peer.abort(),
            Behaviour::Vanishes { when } if self.has_come(peer, when) => return peer.vanish(),
            _ => {}
        }
        self.speak(peer);
    }

    fn begin(&mut self, peer: &mut Peer) {
        self.began = Some(peer.now());
        self.buffer = peer.settings.buffer;
        if let Behaviour::RepeatsSyn { every, .. } = self.behaviour {
            self.next_at = peer.now() + every;
        }
        peer.paused =
            matches!(self.behaviour, Behaviour::ReadsSlowly { .. } | Behaviour::SillyWindow { .. });
    }

    /// An origin hears what it is to say, behind whatever the appliance says for itself.
    fn learn(&mut self, peer: &Peer) {
        if self.script.is_none()
            && let Some(asked) = Script::behind_header(&peer.received)
            && let Some(script) = Script::of(asked)
        {
            self.header = peer.received.len() - asked.len();
            self.octets = script.octets(self.role);
            self.script = Some(script);
        }
    }

    /// Says what is due, as the behaviour lets it, and ends in time.
    fn speak(&mut self, peer: &mut Peer) {
        if self.finished {
            return;
        }
        let heard = peer.received.len() - self.header;
        let due = self.script.map_or(0, |script| match self.behaviour {
            Behaviour::ClosesHalf if self.role == Role::Client => self.octets.len(),
            _ => script.due(self.role, heard),
        });
        let said = peer.written();
        let most =
            match self.behaviour {
                Behaviour::Trickles { octets, every } if said < due => {
                    if self.is_time(peer, every) { octets as usize } else { 0 }
                }
                Behaviour::Idles { quiet } if !self.has_come(peer, Moment::After(quiet)) => 0,
                _ => usize::MAX,
            };
        let to = due.min(said.saturating_add(most));
        peer.write(&self.octets[said..to]);
        if to == due && self.may_finish(peer) {
            self.finished = true;
            peer.finish();
        }
    }

    /// Whether there is nothing more to say, and it is its turn to end.
    fn may_finish(&self, peer: &Peer) -> bool {
        let complete = self.script.is_some_and(|script| {
            let all_said = peer.written() == self.octets.len();
            let heard = peer.received.len() - self.header;
            let all_heard = heard >= script.len(self.role.other());
            let first = script.closes_first == self.role && all_heard;
            all_said && (first || self.behaviour == Behaviour::ClosesHalf)
        });
        self.behaviour != Behaviour::NeverCloses && (complete || peer.peer_finished)
    }

    /// Opens again from the same port, if it does that.
    fn come_back(&mut self, peer: &mut Peer) {
        let Behaviour::ReusesPort { after, ahead, times } = self.behaviour else { return };
        let goes_on = self.role == Role::Client
            && self.times < times
            && matches!(peer.status, Status::Finished | Status::Reset);
        if !goes_on {
            return;
        }
        if self.began.take().is_some() {
            self.next_at = peer.now() + after;
        }
        if peer.now() < self.next_at {
            return peer.wake_at(self.next_at);
        }
        self.times += 1;
        self.finished = false;
        peer.reopen(ahead as u32);
    }

    /// Whether it is time again, and when it will be next.
    fn is_time(&mut self, peer: &mut Peer, every: Duration) -> bool {
        let is_due = peer.now() >= self.next_at;
        if is_due {
            self.next_at = peer.now() + every;
        }
        peer.wake_at(self.next_at);
        is_due
    }

    /// Whether it is the while that begins when so much has arrived.
    fn is_within(&mut self, peer: &mut Peer, after: u32, pause: Duration) -> bool {
        if peer.received.len() < after as usize {
            return false;
        }
        if self.times == 0 {
            self.times = 1;
            self.next_at = peer.now() + pause;
        }
        let within = peer.now() < self.next_at;
        if within {
            peer.wake_at(self.next_at);
        }
        within
    }

    fn has_come(&self, peer: &mut Peer, moment: Moment) -> bool {
        match moment {
            Moment::Said(octets) => {
                peer.written().saturating_sub(peer.unacknowledged()) >= octets as usize
                    && peer.status == Status::Open
            }
            Moment::Heard(octets) => {
                peer.received.len() >= octets as usize && peer.status == Status::Open
            }
            Moment::After(time) => {
                let at = self.began.unwrap_or(peer.now()) + time;
                let has_come = peer.now() >= at;
                if !has_come {
                    peer.wake_at(at);
                }
                has_come
            }
        }
    }
}
