use super::host::*;
use crate::random::Random;
use crate::tcp::congestion::Algorithm;
use crate::tcp::{Asleep, Keepalive, LegSettings, Offer, State};
use crate::wire::tcp::{Flags, TcpHeader};

/// Two connections that see and do the same; but one of them sleeps whenever it can.
struct Twins {
    awake: Host,
    sleeper: Host,
    leg: LegSettings,
    sleeps: u32,
    random: Random,
    /// What the peer has sent and written [octets], counted from its SYN.
    peer_nxt: u32,
    window: u16,
    finished: [bool; 2],
}

impl Twins {
    fn new(seed: u64, congestion: Algorithm) -> Twins {
        let mut random = Random::new(seed);
        let keepalive = Keepalive { idle: ms(5000), interval: ms(1000), probes: 3 };
        let leg = LegSettings {
            congestion,
            keepalive: random.one_in(500_000).then_some(keepalive),
            ..settings()
        };
        let offer = Offer {
            timestamps: random.one_in(500_000),
            sack: random.one_in(500_000),
            window_scale: random.one_in(500_000),
        };
        let [awake, sleeper] = [(); 2].map(|()| Host::established_with(&leg, offer));
        let finished = [false; 2];
        Twins { awake, sleeper, leg, sleeps: 0, random, peer_nxt: 1, window: 30_000, finished }
    }

    fn both(&mut self, mut f: impl FnMut(&mut Host)) {
        f(&mut self.awake);
        f(&mut self.sleeper);
    }

    /// A segment of the peer, `behind` octets before what it would send next.
    fn segment(&mut self, behind: u32) -> TcpHeader {
        let ack = self.awake.connection.send_next() - OUR_ISN;
        let mut header = self.awake.stamped(seg(self.peer_nxt.wrapping_sub(behind), ack));
        header.window = self.window;
        header
    }

    fn gets(&mut self, header: TcpHeader, payload: &[u8]) {
        let [awake, sleeper] =
            [&mut self.awake, &mut self.sleeper].map(|host| host.gets_payload(header, payload));
        assert_eq!(awake, sleeper, "{header:?}");
    }

    fn step(&mut self) {
        let payload = pattern(0, 1 + self.random.below(400) as usize);
        match self.random.below(16) {
            0..=3 if !self.finished[0] => {
                let header = self.segment(0);
                self.gets(header, &payload);
                self.peer_nxt += payload.len() as u32;
            }
            4 | 5 => {
                let header = self.segment(0);
                self.gets(header, &[]);
            }
            6..=8 if self.awake.connection.queued_octets() < 900 && !self.finished[1] => {
                self.both(|host| host.writes(&payload));
            }
            9 => {
                // Overtaken, repeated, or of nobody we know.
                let mut header = self.segment(self.random.clone().below(600) as u32);
                header.flags = match self.random.below(4) {
                    0 => Flags::RST.with(Flags::ACK),
                    1 => Flags::SYN,
                    _ => Flags::ACK,
                };
                if header.flags.contains(Flags::RST) {
                    header.sequence += 700; // In the window, but not at its start.
                }
                self.gets(header, &payload[..payload.len().min(100)]);
            }
            10 => self.window = 5_000 + self.random.below(25_000) as u16,
            11 if self.random.one_in(50_000) => {
                let mss = 500 + self.random.below(500) as u16;
                self.both(|host| host.with(|connection, cx| connection.on_path_mtu(cx, mss)));
            }
            12 if self.random.one_in(20_000) && !self.finished[0] => {
                self.finished[0] = true;
                let mut header = self.segment(0);
                header.flags = header.flags.with(Flags::FIN);
                self.gets(header, &[]);
                self.peer_nxt += 1;
            }
            13 if self.random.one_in(20_000) => {
                self.finished[1] = true;
                self.both(|host| host.connection.finish());
            }
            _ => {
                let time = ms(1 + self.random.below(3000));
                let [awake, sleeper] =
                    [&mut self.awake, &mut self.sleeper].map(|host| host.waits(time));
                assert_eq!(awake, sleeper, "sent by itself");
            }
        }
        let read = self.awake.reads();
        assert_eq!(self.sleeper.reads(), read);
        self.both(|host| {
            host.connection.set_receive_room(60_000);
        });
        let [awake, sleeper] = [&mut self.awake, &mut self.sleeper].map(Host::sent);
        assert_eq!(awake, sleeper);
        assert_eq!(self.awake.connection.state(), self.sleeper.connection.state());
        assert_eq!(self.awake.connection.deadline(), self.sleeper.connection.deadline());
        assert_eq!(self.awake.connection.srtt(), self.sleeper.connection.srtt());
        assert_eq!(
            self.awake.connection.options_in_force(),
            self.sleeper.connection.options_in_force()
        );
        let windows = [&self.awake, &self.sleeper].map(|host| host.connection.congestion_window());
        // What of a segment had been earned when it fell asleep is forgotten.
        let segment = u32::from(self.awake.connection.mss());
        assert!(windows[1] <= windows[0] + segment, "{windows:?}");
        if let Some(asleep) = self.sleeper.connection.sleep(self.sleeper.now) {
            assert_eq!(asleep.deadline(&self.leg), self.sleeper.connection.deadline());
            self.sleeper.connection = asleep.wake(&self.leg);
            self.sleeps += 1;
        }
    }
}

#[test]
fn a_connection_that_has_slept_behaves_as_if_it_had_not() {
    let (mut sleeps, mut half_closed) = (0, 0);
    for seed in 0..400 {
        for congestion in [Algorithm::NewReno, Algorithm::Cubic] {
            let mut twins = Twins::new(seed, congestion);
            for _ in 0..150 {
                let before = twins.sleeps;
                twins.step();
                let state = twins.awake.connection.state();
                half_closed += u32::from(state != State::Established) * (twins.sleeps - before);
            }
            sleeps += twins.sleeps;
        }
    }
    assert!(sleeps > 10_000 && half_closed > 500, "{sleeps}, {half_closed} of them half closed");
}

#[test]
fn what_is_not_at_rest_does_not_sleep() {
    let mut host = Host::established(SACK);
    let sleeps = |host: &Host| host.connection.sleep(host.now).is_some();
    assert!(sleeps(&host));
    host.gets_payload(seg(1, 1), b"unread");
    assert!(!sleeps(&host), "payload waits to be taken");
    host.reads();
    host.now += ms(1);
    assert!(!sleeps(&host), "an acknowledgment is owed");
    host.waits(ms(100));
    assert!(sleeps(&host));
    host.gets_payload(seg(50, 1), b"behind a gap");
    host.sent();
    assert!(!sleeps(&host), "there is a gap");
    host.gets_payload(seg(7, 1), &pattern(0, 43));
    host.reads();
    host.waits(ms(100));
    assert!(sleeps(&host));
    host.writes(b"queued");
    assert!(!sleeps(&host), "payload waits to be sent");
    host.sent();
    assert!(!sleeps(&host), "payload waits to be acknowledged");
    host.gets(seg(62, 7));
    assert!(sleeps(&host));
    host.connection.finish();
    assert!(!sleeps(&host), "a FIN waits to be sent");
    host.sent();
    assert!(!sleeps(&host), "a FIN waits to be acknowledged");
    host.gets(seg(62, 8));
    assert!(sleeps(&host), "half closed");
    host.gets(TcpHeader { flags: Flags::FIN.with(Flags::ACK), ..seg(62, 8) });
    host.sent();
    assert!(!sleeps(&host), "TIME-WAIT is kept elsewhere");
}

#[test]
fn a_challenge_is_as_rare_for_those_who_sleep() {
    let mut host = Host::established(PLAIN);
    let syn = TcpHeader { flags: Flags::SYN, ..seg(1, 1) };
    host.gets(syn);
    host.sends(&["A 1+0 ack 1"]);
    assert!(host.connection.sleep(host.now).is_none(), "it would forget that it has answered");
    host.now += ms(500);
    let asleep = host.connection.sleep(host.now).unwrap();
    host.connection = asleep.wake(&settings());
    host.gets(syn);
    host.sends(&["A 1+0 ack 1"]);
}

#[test]
fn a_sleeper_is_small() {
    assert!(size_of::<Asleep>() <= 200, "{}", size_of::<Asleep>());
}
