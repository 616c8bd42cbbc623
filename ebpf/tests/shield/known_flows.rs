//! What the engine says of its connections, and what the program makes of it; and what becomes of
//! segments of connections that nobody is known to have.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use ringroad_ebpf::{
    CookieMode, CookieService, Known, KnownFlows, Shield, ShieldError, ShieldSettings, Verdict,
};

use crate::packets::{ACK, FIN, ICMPV4, RST, SYN, TCP, ethernet, icmp, ip, segment, syn, tcp};
use crate::rig::{Rig, ends, in_namespace, now_ns, settings};

fn at(address: &str) -> SocketAddr {
    address.parse().expect("an address and port")
}

/// At no service, and in no egress range: only what is known is the engine's.
fn nowhere(n: u32) -> [SocketAddr; 2] {
    let port = 1 + (n % 60_000) as u16;
    let local = if n.is_multiple_of(2) { at("10.9.0.1:9") } else { at("[fd00:9::1]:9") };
    let remote = match local {
        SocketAddr::V4(_) => SocketAddr::from(((0x0b00_0000 + n / 16).to_be_bytes(), port)),
        SocketAddr::V6(_) => at(&format!("[2001:db8::{n:x}]:{port}")),
    };
    [local, remote]
}

fn insert(known: &KnownFlows, [local, remote]: [SocketAddr; 2]) {
    known.insert(0, &ends(local, remote));
}

fn remove(known: &KnownFlows, [local, remote]: [SocketAddr; 2]) {
    known.remove(0, &ends(local, remote));
}

fn data([local, remote]: [SocketAddr; 2]) -> Vec<u8> {
    segment(remote, local, ACK, 100)
}

/// The hash is the same in both, of every word of the key.
#[test]
fn the_program_knows_what_the_engine_inserts_until_it_removes_it() {
    in_namespace(|| {
        let rig = Rig::new();
        let known = rig.shield.known_flows();
        for n in 0..500 {
            assert_eq!(rig.verdict(&data(nowhere(n))), Verdict::NotOurs, "{n}");
            insert(&known, nowhere(n));
            assert_eq!(rig.verdict(&data(nowhere(n))), Verdict::ToEngine, "{n}");
        }
        for n in 0..500 {
            remove(&known, nowhere(n));
            assert_eq!(rig.verdict(&data(nowhere(n))), Verdict::NotOurs, "{n}");
        }
        assert_eq!(known.count(), 0);
    });
}

#[test]
fn a_successor_knows_the_same_connections() {
    in_namespace(|| {
        let rig = Rig::new();
        insert(&rig.shield.known_flows(), nowhere(1));
        let successor = Shield::load_successor(&settings(), &rig.shield).expect("load another");
        insert(&rig.shield.known_flows(), nowhere(2));
        remove(&successor.known_flows(), nowhere(1));
        assert_eq!(rig.verdict(&data(nowhere(1))), Verdict::NotOurs);
        let run = successor.dry_run(0, 0, &data(nowhere(2)), 1).expect("a dry run");
        let counted = successor.counters().expect("counters").of(Verdict::NoSocket);
        assert_eq!((run.packet, counted), (data(nowhere(2)), 1), "known, but no socket is set");

        let elsewhere = ShieldSettings { ports: Vec::new(), ..settings() };
        let refused = Shield::load_successor(&elsewhere, &rig.shield);
        assert!(matches!(refused, Err(ShieldError::OtherPorts)));
    });
}

#[test]
fn more_than_can_be_told_apart_are_refused() {
    let too_many = ShieldSettings { known_flows: (1 << 24) + 1, ..settings() };
    assert!(matches!(too_many.check(), Err(ShieldError::TooManyKnownFlows(_))));
}

/// So many connections that one bucket overflows: all that it could have may be the engine's.
#[test]
fn more_connections_than_there_is_room_for_fail_open() {
    in_namespace(|| {
        let rig = Rig::with(&ShieldSettings { known_flows: 1, ..settings() });
        let known = rig.shield.known_flows();
        rig.control.set_accepting(0, 0, false);
        assert_eq!(rig.verdict(&segment(client(1), web(), SYN, 0)), Verdict::NotAccepting);
        assert_eq!(rig.verdict(&segment(client(2), web(), ACK, 0)), Verdict::Unknown);
        (0..16).for_each(|n| insert(&known, nowhere(n)));
        assert_eq!(known.refused(), 1);
        assert_eq!(rig.verdict(&segment(client(1), web(), ACK, 0)), Verdict::KernelFlow);
        assert_eq!(rig.verdict(&segment(client(2), web(), ACK, 0)), Verdict::ToEngine);
        assert_eq!(rig.verdict(&segment(client(2), web(), SYN, 0)), Verdict::NotAccepting);
        assert_eq!(
            rig.verdict(&segment(client(2), at("10.2.0.1:20000"), ACK, 0)),
            Verdict::ToEngine
        );
        assert_eq!(rig.verdict(&data(nowhere(99))), Verdict::NotOurs, "not ours for all that");
        (0..16).for_each(|n| remove(&known, nowhere(n)));
        assert_eq!(rig.verdict(&segment(client(3), web(), ACK, 0)), Verdict::Unknown);
    });
}

/// Or whoever forges a SYN could take a connection from an engine that is full.
#[test]
fn a_full_engine_hears_of_syns_between_ends_that_it_knows() {
    in_namespace(|| {
        let rig = Rig::new();
        let known = rig.shield.known_flows();
        insert(&known, [web(), client(1)]);
        rig.control.set_accepting(0, 0, false);
        assert_eq!(rig.verdict(&segment(client(1), web(), SYN, 0)), Verdict::ToEngine);
        assert_eq!(rig.verdict(&segment(client(1), web(), ACK, 0)), Verdict::ToEngine);
        assert_eq!(rig.verdict(&segment(client(2), web(), SYN, 0)), Verdict::NotAccepting);
        remove(&known, [web(), client(1)]);
        assert_eq!(rig.verdict(&segment(client(1), web(), SYN, 0)), Verdict::NotAccepting);
    });
}

/// The engine may know of the first for long yet: it hangs.
#[test]
fn a_connection_of_linuxs_takes_the_place_of_one_of_a_hung_engines() {
    in_namespace(|| {
        let rig = Rig::new();
        let known = rig.shield.known_flows();
        insert(&known, [web(), client(1)]);
        insert(&known, [web(), client(2)]);
        rig.control.beat(0, 1);
        assert_eq!(rig.verdict(&segment(client(1), web(), SYN, 0)), Verdict::Stale);
        assert_eq!(rig.verdict(&segment(client(1), web(), ACK, 0)), Verdict::KernelFlow);
        assert_eq!(rig.verdict(&segment(client(2), web(), ACK, 0)), Verdict::ToEngine);
        remove(&known, [web(), client(1)]);
        remove(&known, [web(), client(2)]);
        assert_eq!(known.count(), 0);
    });
}

#[test]
fn linux_answers_what_is_unknown_as_long_as_it_is_little() {
    in_namespace(|| {
        let rig = Rig::new();
        let mut now = now_ns() + 1_000_000_000_000;
        rig.control.beat(0, now);
        let ack = |port| segment(client(port), web(), ACK, 0);
        let left_to_linux = |ports: Range<u16>| {
            ports.filter(|port| rig.verdict(&ack(*port)) == Verdict::Unknown).count()
        };
        assert_eq!(rig.verdict(&segment(client(1), web(), RST, 0)), Verdict::UnknownDropped);
        assert_eq!(left_to_linux(0..3_000), 1_000, "one second's");
        let error = about(web(), client(1));
        assert_eq!(rig.verdict(&error), Verdict::Unknown, "it may be about one of Linux's");
        now += 10_000_000;
        rig.control.beat(0, now);
        assert_eq!(left_to_linux(0..3_000), 10, "ten milliseconds'");
        insert(&rig.shield.known_flows(), [web(), client(1)]);
        assert_eq!(rig.verdict(&ack(1)), Verdict::ToEngine, "what is known is not concerned");
    });
}

#[test]
fn the_operator_may_have_all_dropped_that_is_unknown() {
    in_namespace(|| {
        let rig = Rig::with(&ShieldSettings { drop_unknown: true, ..settings() });
        for flags in [ACK, SYN | ACK, FIN | ACK, RST] {
            let verdict = rig.verdict(&segment(client(1), web(), flags, 0));
            assert_eq!(verdict, Verdict::UnknownDropped, "flags {flags:#04x}");
        }
        assert_eq!(rig.verdict(&about(web(), client(1))), Verdict::UnknownDropped);
        assert_eq!(rig.verdict(&segment(client(1), web(), SYN, 0)), Verdict::ToEngine);
        insert(&rig.shield.known_flows(), [web(), client(1)]);
        assert_eq!(rig.verdict(&about(web(), client(1))), Verdict::ToEngine);
    });
}

#[test]
fn a_cookie_that_comes_back_makes_a_connection() {
    in_namespace(|| {
        let rig = cookie_rig();
        let mut now = now_ns() + 1_000_000_000_000;
        rig.control.beat(0, now);
        for (port, options) in [(1, &[][..]), (2, &TIMESTAMPS), (3, &ODD_TIMESTAMPS)] {
            let answer = answer(&rig, port, options);
            let other = acknowledge(&answer, options, 1);
            assert_eq!(rig.verdict(&other), Verdict::Unknown, "another acknowledgment");
            if let Some(kind) = options.iter().position(|octet| *octet == 8) {
                let mut damaged = acknowledge(&answer, options, 0);
                damaged[14 + 20 + 20 + kind + 9] ^= 1;
                assert_eq!(rig.verdict(&damaged), Verdict::Unknown, "another timestamp");
            }
            let later = segment(client(port), web(), ACK, 100);
            assert_eq!(rig.verdict(&later), Verdict::Unknown, "too early");
            assert_eq!(rig.verdict(&acknowledge(&answer, options, 0)), Verdict::ToEngine);
            assert_eq!(rig.verdict(&later), Verdict::ToEngine, "behind it");
        }
        let later = segment(client(2), web(), RST, 0);
        now += 999_000_000;
        rig.control.beat(0, now);
        assert_eq!(rig.verdict(&later), Verdict::ToEngine);
        now += 1_000_000;
        rig.control.beat(0, now);
        assert_eq!(rig.verdict(&later), Verdict::UnknownDropped, "the engine has said nothing");
    });
}

#[test]
fn cookies_of_old_keys_other_clients_and_services_without_any_prove_nothing() {
    in_namespace(|| {
        let rig = cookie_rig();
        let proof = acknowledge(&answer(&rig, 1, &TIMESTAMPS), &TIMESTAMPS, 0);
        let mut elsewhere = proof.clone();
        elsewhere[14 + 20 + 3] = 187;
        elsewhere[14 + 20 + 2] = 1;
        assert_eq!(rig.verdict(&elsewhere), Verdict::Unknown, "to port 443");
        let mut other_client = proof.clone();
        other_client[14 + 20 + 1] ^= 1;
        assert_eq!(rig.verdict(&other_client), Verdict::Unknown);

        rig.control.set_cookies(0, CookieMode::Off);
        assert_eq!(rig.verdict(&proof), Verdict::Unknown, "no cookies here");
        rig.control.set_cookies(0, CookieMode::UnderPressure);
        rig.control.set_cookie_keys(&[[1; 16], [3; 16]], 1);
        assert_eq!(rig.verdict(&proof), Verdict::ToEngine, "baked a moment ago, by the other key");
        let stale = acknowledge(&answer_under_pressure(&rig, 2), &TIMESTAMPS, 0);
        rig.control.set_cookie_keys(&[[4; 16], [5; 16]], 0);
        assert_eq!(rig.verdict(&stale), Verdict::Unknown, "of keys that are gone");
    });
}

#[test]
fn a_cookie_that_the_engine_cannot_take_is_linuxs() {
    in_namespace(|| {
        let rig = cookie_rig();
        let proofs: Vec<_> = (1..=3)
            .map(|port| acknowledge(&answer(&rig, port, &TIMESTAMPS), &TIMESTAMPS, 0))
            .collect();
        rig.control.set_accepting(0, 0, false);
        assert_eq!(rig.verdict(&proofs[0]), Verdict::NotAccepting);
        rig.control.set_accepting(0, 0, true);
        assert_eq!(rig.verdict(&proofs[0]), Verdict::KernelFlow, "and stays so");
        rig.control.beat(0, 0);
        assert_eq!(rig.verdict(&proofs[1]), Verdict::Stale);
        rig.control.beat(0, now_ns());
        assert_eq!(rig.verdict(&segment(client(2), web(), ACK, 10)), Verdict::KernelFlow);
        rig.shield.clear_socket(0, 0).expect("forget the socket");
        assert_eq!(rig.verdict(&proofs[2]), Verdict::NoSocket);
        assert_eq!(rig.control.fell_back(0), 3);
    });
}

/// The program forgets a connection whose client begins another while the lane of its queue is late,
/// and meanwhile lanes say what begins and ends on their side: in a table of one bucket they use each
/// other's places, and none takes what is another's.
#[test]
fn the_program_forgets_nothing_but_what_it_means_to() {
    in_namespace(|| {
        let rig = Rig::with(&ShieldSettings { known_flows: 1, ..settings() });
        rig.control.beat(0, 0);
        let mine = [web(), client(1)];
        let syn = segment(client(1), web(), SYN, 0);
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let lanes: Vec<_> = (0..2)
                .map(|lane| {
                    let known = rig.shield.known_flows();
                    scope.spawn(move || {
                        for _ in 0..200_000 {
                            // It takes the first free place, which the next one has then.
                            insert(&known, mine);
                            remove(&known, mine);
                            insert(&known, nowhere(lane));
                            let [local, remote] = nowhere(lane);
                            assert_ne!(known.find(0, &ends(local, remote)), Known::No);
                            remove(&known, nowhere(lane));
                        }
                    })
                })
                .collect();
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    rig.shield.dry_run(0, 0, &syn, 1000).expect("a dry run");
                }
            });
            // That of a lane which found something missing is told below.
            let ends: Vec<_> = lanes.into_iter().map(|lane| lane.join()).collect();
            is_over.store(true, Ordering::Relaxed);
            ends.into_iter().for_each(|end| end.expect("nothing is missing"));
        });
    });
}

const TIMESTAMPS: [u8; 12] = [1, 1, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0];

/// Not where they are looked for first.
const ODD_TIMESTAMPS: [u8; 12] = [8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 0];

/// Service 0 answers by cookies.
fn cookie_rig() -> Rig {
    let on = CookieService {
        mss_v4: 1460,
        mss_v6: 1440,
        window: 65_535,
        window_scale: 7,
        ecn: false,
        mode: CookieMode::Always,
    };
    let rig = Rig::with_cookies(vec![on]);
    rig.control.set_cookie_keys(&[[1; 16], [2; 16]], 0);
    rig
}

fn client(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 7], port))
}

fn web() -> SocketAddr {
    SocketAddr::from(([10, 1, 0, 1], 80))
}

/// A router's word on a segment that `from` has sent.
fn about(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let sent = ip(from.ip(), to.ip(), TCP, &tcp(from.port(), to.port(), ACK, 100));
    ethernet(&ip(at("203.0.113.1:0").ip(), from.ip(), ICMPV4, &icmp(3, 1, &sent)))
}

/// TCP's header in the answer to a SYN with these options.
fn answer(rig: &Rig, port: u16, options: &[u8]) -> Vec<u8> {
    let syn = syn(port, 80, 0, options, 0);
    let (verdict, answer) = rig.judge(&ethernet(&ip(client(port).ip(), web().ip(), TCP, &syn)));
    assert_eq!(verdict, Verdict::Answered);
    answer[14 + 20..].to_vec()
}

fn answer_under_pressure(rig: &Rig, port: u16) -> Vec<u8> {
    rig.control.set_pressure(0, true);
    answer(rig, port, &TIMESTAMPS)
}

/// What the client sends next: the last octets of `options` are its timestamp option's.
fn acknowledge(answer: &[u8], options: &[u8], beyond: u32) -> Vec<u8> {
    let word = |at: usize| u32::from_be_bytes(answer[at..at + 4].try_into().expect("a word"));
    let port = u16::from_be_bytes([answer[2], answer[3]]);
    let mut options = options.to_vec();
    if let Some(kind) = options.iter().position(|octet| *octet == 8) {
        // Of the answer's options timestamps follow the segment size.
        options[kind + 6..kind + 10].copy_from_slice(&answer[28..32]);
    }
    let mut ack = syn(port, 80, 0, &options, 0);
    ack[4..8].copy_from_slice(&word(8).to_be_bytes());
    ack[8..12].copy_from_slice(&(word(4).wrapping_add(1 + beyond)).to_be_bytes());
    ack[13] = ACK;
    ethernet(&ip(client(port).ip(), web().ip(), TCP, &ack))
}
