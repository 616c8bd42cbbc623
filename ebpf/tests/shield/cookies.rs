//! When new connections are answered on the spot. What the answers look like is shown where the
//! twin is compared, in the engine's `tests/twin.rs`.

use std::net::{SocketAddr, TcpListener, TcpStream};

use ringroad_ebpf::{CookieMode, CookieService, Verdict};

use crate::packets::{ACK, CWR, ECE, FIN, RST, SYN, TCP, ethernet, ip, segment, syn};
use crate::rig::{Rig, ends, in_namespace, ip_command, now_ns};

const ON: CookieService = CookieService {
    mss_v4: 1460,
    mss_v6: 1440,
    window: 65_535,
    window_scale: 7,
    ecn: true,
    mode: CookieMode::Always,
};

/// Timestamps alone.
const OPTIONS: [u8; 12] = [1, 1, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0];

/// Service 0 answers, service 1 does not.
fn rig() -> Rig {
    let rig = Rig::with_cookies(vec![ON]);
    rig.control.set_cookie_keys(&[[1; 16], [2; 16]], 0);
    rig
}

fn client(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 7], port))
}

fn service(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 1, 0, 1], port))
}

fn from_client(port: u16, flags: u8) -> Vec<u8> {
    segment(client(port), service(80), flags, 0)
}

#[test]
fn only_plain_syns_are_answered_where_cookies_are_on() {
    in_namespace(|| {
        let rig = rig();
        for flags in 0..=u8::MAX {
            let plain = flags & (SYN | ACK | RST | FIN) == SYN;
            let answered = rig.verdict(&from_client(1, flags)) == Verdict::Answered;
            assert_eq!(answered, plain, "flags {flags:#04x}");
        }
        let to_the_other = segment(client(1), service(443), SYN, 0);
        assert_eq!(rig.verdict(&to_the_other), Verdict::ToEngine);
        rig.control.set_cookies(1, CookieMode::Always);
        rig.control.set_cookies(0, CookieMode::Off);
        assert_eq!(rig.verdict(&to_the_other), Verdict::Answered);
        assert_eq!(rig.verdict(&from_client(1, SYN)), Verdict::ToEngine);
    });
}

#[test]
fn what_makes_a_new_connection_linuxs_comes_first() {
    in_namespace(|| {
        let rig = rig();
        rig.control.set_accepting(0, 0, false);
        assert_eq!(rig.verdict(&from_client(1, SYN)), Verdict::NotAccepting);
        rig.control.set_accepting(0, 0, true);
        assert_eq!(rig.verdict(&from_client(1, ACK)), Verdict::KernelFlow);
        rig.control.beat(0, 0);
        assert_eq!(rig.verdict(&from_client(2, SYN)), Verdict::Stale);
        rig.control.beat(0, now_ns());
        assert_eq!(rig.verdict(&from_client(1, SYN)), Verdict::Answered, "the same ports again");
        assert_eq!(rig.verdict(&from_client(1, ACK)), Verdict::Unknown, "opens no cookie");
        assert_eq!(rig.verdict(&from_client(2, ACK)), Verdict::KernelFlow);
        rig.shield.clear_socket(0, 0).expect("forget the socket");
        assert_eq!(rig.verdict(&from_client(3, SYN)), Verdict::NoSocket);
    });
}

#[test]
fn under_pressure_means_while_the_lane_says_so() {
    in_namespace(|| {
        let rig = Rig::with_cookies(vec![CookieService { mode: CookieMode::UnderPressure, ..ON }]);
        let syn = from_client(1, SYN);
        assert_eq!(rig.verdict(&syn), Verdict::ToEngine, "at first it is not");
        rig.control.set_pressure(1, true);
        assert_eq!(rig.verdict(&syn), Verdict::ToEngine, "another lane");
        rig.control.set_pressure(0, true);
        assert_eq!(rig.verdict(&syn), Verdict::Answered);
        assert_eq!(rig.verdict(&segment(client(1), service(443), SYN, 0)), Verdict::ToEngine);
        rig.control.beat(0, now_ns());
        assert_eq!(rig.verdict(&syn), Verdict::Answered, "a sign of life changes nothing");
        rig.control.set_pressure(0, false);
        assert_eq!(rig.verdict(&syn), Verdict::ToEngine);
    });
}

/// The engine has answered it, and nobody else knows by what number. Whoever floods with SYNs from
/// other ends gets no nearer.
#[test]
fn a_syn_between_ends_that_the_engine_knows_is_its_own_to_answer() {
    in_namespace(|| {
        let rig = rig();
        let known = rig.shield.known_flows();
        known.insert(0, &ends(service(80), client(1)));
        assert_eq!(rig.verdict(&from_client(1, SYN)), Verdict::ToEngine);
        assert_eq!(rig.verdict(&from_client(2, SYN)), Verdict::Answered);
        known.remove(0, &ends(service(80), client(1)));
        assert_eq!(rig.verdict(&from_client(1, SYN)), Verdict::Answered);
        assert_eq!(rig.control.new_connections(0, 0), 2, "what the engine knows is not new");
    });
}

#[test]
fn new_connections_are_counted_where_they_are_the_engines() {
    in_namespace(|| {
        let rig = rig();
        let counted = || rig.control.new_connections(0, 0);
        rig.verdict(&from_client(1, SYN));
        assert_eq!(counted(), 1, "answered");
        rig.verdict(&segment(client(1), service(443), SYN, 0));
        assert_eq!(counted(), 2, "for the engine to answer");
        rig.verdict(&from_client(1, ACK));
        rig.verdict(&from_client(1, SYN | FIN));
        rig.control.set_accepting(0, 0, false);
        rig.verdict(&from_client(1, SYN));
        assert_eq!(counted(), 2, "no new ones, nor the engine's");
        let elsewhere = [(0, 1), (1, 0), (u32::MAX, 0), (0, u32::MAX)];
        assert!(
            elsewhere.iter().all(|&(port, queue)| rig.control.new_connections(port, queue) == 0)
        );
    });
}

#[test]
fn answers_say_the_segment_size_of_the_moment() {
    in_namespace(|| {
        let rig = rig();
        let said = |client: &str, service: &str| {
            let (client, service): (SocketAddr, SocketAddr) =
                (client.parse().expect("a client"), service.parse().expect("a service"));
            let (verdict, answer) = rig.judge(&segment(client, service, SYN, 0));
            assert_eq!(verdict, Verdict::Answered);
            let option = if client.is_ipv4() { 14 + 20 + 20 } else { 14 + 40 + 20 };
            assert_eq!(answer[option..option + 2], [2, 4]);
            u16::from_be_bytes([answer[option + 2], answer[option + 3]])
        };
        let both =
            || (said("192.0.2.7:1", "10.1.0.1:80"), said("[2001:db8::7]:1", "[fd00:1::1]:80"));
        assert_eq!(both(), (1460, 1440));
        rig.control.set_cookie_mss(0, &CookieService { mss_v4: 1360, mss_v6: 1350, ..ON });
        rig.control.set_cookie_mss(1, &CookieService { mss_v4: 536, mss_v6: 536, ..ON });
        assert_eq!(both(), (1360, 1350));
    });
}

#[test]
fn a_listener_in_linux_that_opens_cookies_is_answered_for() {
    in_namespace(|| {
        let rig = rig();
        ip_command("link set lo up");
        ip_command("addr add 10.1.0.1/32 dev lo");
        let listener = TcpListener::bind(service(80)).expect("listen");
        rig.control.set_accepting(0, 0, false);
        assert_eq!(rig.verdict(&from_client(1, SYN)), Verdict::NotAccepting, "nobody opens it");
        rig.control.set_kernel_opens(true);
        let answered = |port| {
            assert_eq!(rig.verdict(&from_client(port, SYN)), Verdict::Answered);
            assert_eq!(rig.control.fell_back(0), 1, "not before the client has proved itself");
        };
        answered(2);
        rig.control.set_accepting(0, 0, true);
        rig.control.beat(0, 0);
        answered(3);
        rig.control.beat(0, now_ns());
        rig.shield.clear_socket(0, 0).expect("forget the socket");
        answered(4);

        let open = TcpStream::connect(service(80)).expect("connect");
        let there = open.local_addr().expect("its own address");
        let again = segment(there, service(80), SYN, 0);
        assert_eq!(rig.verdict(&again), Verdict::NoSocket, "Linux has that connection");
        drop(listener);
        assert_eq!(rig.verdict(&from_client(5, SYN)), Verdict::NoSocket, "nobody listens");
        rig.control.set_cookies(0, CookieMode::Off);
        let _listener = TcpListener::bind(service(80)).expect("listen again");
        assert_eq!(rig.verdict(&from_client(6, SYN)), Verdict::NoSocket, "not wanted");
    });
}

#[test]
fn ecn_is_agreed_to_where_the_service_does_it_and_the_cookie_remembers_it() {
    in_namespace(|| {
        let answer = |rig: &Rig, more, options: &[u8]| {
            let syn = syn(1, 80, more, options, 0);
            let packet = ethernet(&ip(client(1).ip(), service(80).ip(), TCP, &syn));
            let (verdict, answer) = rig.judge(&packet);
            assert_eq!(verdict, Verdict::Answered);
            assert_eq!(answer[15], 0, "RFC 3168 §6.1.1: no SYN-ACK is ECN-capable itself");
            answer[14 + 20..].to_vec()
        };
        let rig = rig();
        let plain = answer(&rig, 0, &OPTIONS);
        let capable = answer(&rig, ECE | CWR, &OPTIONS);
        assert_eq!((plain[13], capable[13]), (SYN | ACK, SYN | ACK | ECE));
        assert_ne!(plain[28..32], capable[28..32], "remembered in the timestamp");
        assert_eq!(plain, answer(&rig, ECE, &OPTIONS), "half of it is none");
        assert_eq!(plain, answer(&rig, CWR, &OPTIONS));
        assert_eq!(answer(&rig, ECE | CWR, &[])[13], SYN | ACK, "nothing would remember it");

        let rig = Rig::with_cookies(vec![CookieService { ecn: false, ..ON }]);
        rig.control.set_cookie_keys(&[[1; 16], [2; 16]], 0);
        assert_eq!(plain, answer(&rig, ECE | CWR, &OPTIONS), "neither agreed to nor remembered");
    });
}

#[test]
fn cookies_follow_the_key_in_use() {
    in_namespace(|| {
        let rig = rig();
        let answer = |more, options: &[u8]| {
            let syn = syn(1, 80, more, options, 0);
            let packet = ethernet(&ip(client(1).ip(), service(80).ip(), TCP, &syn));
            let (verdict, answer) = rig.judge(&packet);
            assert_eq!(verdict, Verdict::Answered);
            answer[14 + 20..].to_vec()
        };
        let cookie = || answer(0, &[])[4..8].to_vec();
        let first = cookie();
        assert_eq!(cookie(), first);
        assert_eq!(first[0] >> 7, 0);
        rig.control.set_cookie_keys(&[[1; 16], [3; 16]], 1);
        assert_eq!(cookie()[0] >> 7, 1);
        assert_ne!(cookie()[1..], first[1..]);
        rig.control.set_cookie_keys(&[[1; 16], [3; 16]], 0);
        assert_eq!(cookie(), first);
    });
}
