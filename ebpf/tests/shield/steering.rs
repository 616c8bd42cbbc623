//! Where new connections go when the engine is not there, and that each stays where it went.

use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::time::Duration;

use ringroad_ebpf::{Shield, ShieldError, ShieldSettings, Verdict};

use crate::packets::{ACK, ICMPV4, RST, SYN, TCP, ethernet, icmp, ip, segment, tcp};
use crate::rig::{
    HEARTBEAT_LIMIT, LinuxConnection, Rig, XDP_PASS, XDP_REDIRECT, egress, in_namespace, now_ns,
    service, settings, socket, veth_pair,
};

fn client(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 7], port))
}

fn web() -> SocketAddr {
    SocketAddr::from(([10, 1, 0, 1], 80))
}

fn syn(port: u16) -> Vec<u8> {
    segment(client(port), web(), SYN, 0)
}

fn data(port: u16) -> Vec<u8> {
    segment(client(port), web(), ACK, 100)
}

/// By how much the program's clock is late at most: two ticks at 100 Hz, and some more.
const CLOCK_LATE_MAX: Duration = Duration::from_millis(25);

/// A heartbeat as old as this.
fn beat_before(rig: &Rig, age: Duration) {
    rig.control.beat(0, now_ns().saturating_sub(age.as_nanos() as u64));
}

#[test]
fn a_stale_heartbeat_gives_new_connections_to_the_kernel_and_keeps_the_others() {
    in_namespace(|| {
        let rig = Rig::with_heartbeat_limit(Duration::from_millis(100));
        assert_eq!(rig.control.heartbeat_limit(), Duration::from_millis(100));
        rig.control.beat(0, 0);
        assert_eq!(rig.verdict(&syn(1)), Verdict::Stale, "never a heartbeat");
        // A heartbeat in the future is what a program sees that read the clock just before.
        rig.control.beat(0, now_ns() + 1_000_000_000);
        assert_eq!(rig.verdict(&syn(2)), Verdict::ToEngine);
        beat_before(&rig, Duration::from_millis(100) + CLOCK_LATE_MAX);
        assert_eq!(rig.verdict(&syn(3)), Verdict::Stale);
        rig.know(web(), client(2));
        assert_eq!(rig.verdict(&data(2)), Verdict::ToEngine, "the engine is only late");
        rig.control.beat(0, now_ns() + 1_000_000_000);
        assert_eq!(rig.verdict(&data(2)), Verdict::ToEngine);
        assert_eq!(rig.verdict(&data(3)), Verdict::KernelFlow);
        assert_eq!(rig.verdict(&syn(4)), Verdict::ToEngine);
    });
}

#[test]
fn a_connection_stays_the_kernels_until_a_new_one_takes_its_place() {
    in_namespace(|| {
        let rig = Rig::new();
        rig.control.set_accepting(0, 0, false);
        assert_eq!(rig.verdict(&syn(1)), Verdict::NotAccepting);
        assert_eq!(rig.verdict(&data(1)), Verdict::KernelFlow);
        assert_eq!(rig.verdict(&data(2)), Verdict::Unknown, "another connection");
        rig.know(web(), client(3));
        assert_eq!(rig.verdict(&data(3)), Verdict::ToEngine, "one of the engine's");
        let other = segment(client(1), SocketAddr::from(([10, 1, 0, 1], 443)), SYN, 0);
        assert_eq!(rig.verdict(&other), Verdict::ToEngine, "a service that accepts");
        assert_eq!(rig.shield.kernel_flow_count(), 1);

        rig.control.set_accepting(0, 0, true);
        assert_eq!(rig.verdict(&data(1)), Verdict::KernelFlow, "it began with the kernel");
        assert_eq!(rig.verdict(&segment(client(1), web(), RST, 0)), Verdict::KernelFlow);
        assert_eq!(rig.verdict(&syn(1)), Verdict::ToEngine, "the same ports again");
        rig.know(web(), client(1));
        assert_eq!(rig.verdict(&data(1)), Verdict::ToEngine);
        assert_eq!(rig.shield.kernel_flow_count(), 0);
    });
}

#[test]
fn what_linux_had_before_stays_its_own() {
    in_namespace(|| {
        let rig = Rig::new();
        let six = |port| {
            let client = SocketAddr::new("fd00:1::2".parse().unwrap(), port);
            (client, SocketAddr::new("fd00:1::1".parse().unwrap(), 80))
        };
        let data_six = |port| segment(six(port).0, six(port).1, ACK, 100);
        rig.shield.keep_with_kernel(0, web(), client(1)).expect("keep a flow");
        rig.shield.keep_with_kernel(0, six(1).1, six(1).0).expect("keep a flow of IPv6");
        assert_eq!(rig.verdict(&data(1)), Verdict::KernelFlow);
        assert_eq!(rig.verdict(&data_six(1)), Verdict::KernelFlow);
        assert_eq!(rig.verdict(&data(2)), Verdict::Unknown);
        assert_eq!(rig.verdict(&data_six(2)), Verdict::Unknown);
        assert_eq!(rig.verdict(&syn(1)), Verdict::ToEngine, "the same ports again");
        assert_eq!(rig.control.fell_back(0), 0, "nothing fell back");
        assert!(rig.shield.keep_with_kernel(1, web(), client(1)).is_err(), "no such port");
    });
}

/// Anybody may have sent it, as nobody has looked at its number.
#[test]
fn a_syn_between_the_ends_of_a_connection_that_linux_has_is_linuxs() {
    in_namespace(|| {
        let rig = Rig::new();
        let six = |port| SocketAddr::new("fd00:1::2".parse().unwrap(), port);
        let web_six = SocketAddr::new("fd00:1::1".parse().unwrap(), 80);
        for (service, client) in [(web(), client as fn(u16) -> _), (web_six, six)] {
            let packet = |port, flags| segment(client(port), service, flags, 0);
            rig.control.set_accepting(0, 0, false);
            assert_eq!(rig.verdict(&packet(1, SYN)), Verdict::NotAccepting);
            assert_eq!(rig.verdict(&packet(2, SYN)), Verdict::NotAccepting);
            let linux = LinuxConnection::between(service, client(1));
            rig.control.set_accepting(0, 0, true);
            assert_eq!(rig.verdict(&packet(1, SYN)), Verdict::KernelFlow);
            assert_eq!(rig.verdict(&packet(1, ACK)), Verdict::KernelFlow, "as before");
            assert_eq!(rig.verdict(&packet(2, SYN)), Verdict::ToEngine, "Linux had it refused");
            drop(linux.server);
            assert_eq!(rig.verdict(&packet(1, SYN)), Verdict::KernelFlow, "half closed");
            drop(linux.client);
            assert_eq!(rig.verdict(&packet(1, SYN)), Verdict::ToEngine, "in TIME-WAIT");
            assert_eq!(rig.verdict(&packet(1, ACK)), Verdict::Unknown);
            assert_eq!(rig.shield.kernel_flow_count(), 0);
            let _unasked = LinuxConnection::between(service, client(3));
            assert_eq!(rig.verdict(&packet(3, SYN)), Verdict::ToEngine, "it was not left to Linux");
        }
    });
}

#[test]
fn icmp_errors_follow_the_connection_that_they_are_about() {
    in_namespace(|| {
        let rig = Rig::new();
        let error = |port| {
            let sent = ip(web().ip(), client(port).ip(), TCP, &tcp(80, port, ACK, 1400));
            let router = SocketAddr::from(([203, 0, 113, 1], 0)).ip();
            ethernet(&ip(router, web().ip(), ICMPV4, &icmp(3, 4, &sent[..28])))
        };
        rig.control.set_accepting(0, 0, false);
        assert_eq!(rig.verdict(&syn(1)), Verdict::NotAccepting);
        assert_eq!(rig.verdict(&error(1)), Verdict::KernelFlow);
        rig.know(web(), client(2));
        assert_eq!(rig.verdict(&error(2)), Verdict::ToEngine);
        assert_eq!(rig.verdict(&error(3)), Verdict::Unknown);
    });
}

#[test]
fn without_a_socket_all_is_the_kernels_and_new_connections_stay_so() {
    in_namespace(|| {
        let rig = Rig::new();
        rig.shield.clear_socket(0, 0).expect("forget the socket");
        rig.shield.clear_socket(0, 0).expect("forget it twice");
        let reply = segment(client(1), SocketAddr::from(([10, 2, 0, 1], 20_000)), ACK, 0);
        rig.know(web(), client(2));
        rig.know(SocketAddr::from(([10, 2, 0, 1], 20_000)), client(1));
        assert_eq!(rig.verdict(&syn(1)), Verdict::NoSocket);
        assert_eq!(rig.verdict(&data(2)), Verdict::NoSocket);
        assert_eq!(rig.verdict(&reply), Verdict::NoSocket);

        let socket = socket();
        rig.shield.set_socket(0, 0, socket.as_fd()).expect("register a socket");
        assert_eq!(rig.verdict(&data(1)), Verdict::KernelFlow);
        assert_eq!(rig.verdict(&data(2)), Verdict::ToEngine);
        assert_eq!(rig.verdict(&reply), Verdict::ToEngine);
        drop(socket);
        assert_eq!(rig.verdict(&syn(3)), Verdict::NoSocket, "the kernel forgot the closed socket");
    });
}

#[test]
fn egress_connections_ask_for_no_heartbeat() {
    in_namespace(|| {
        let rig = Rig::new();
        rig.control.beat(0, 0);
        rig.know(SocketAddr::from(([10, 2, 0, 1], 20_000)), client(1));
        let reply = segment(client(1), SocketAddr::from(([10, 2, 0, 1], 20_000)), SYN | ACK, 0);
        assert_eq!(rig.verdict(&reply), Verdict::ToEngine);
    });
}

#[test]
fn ports_and_queues_are_told_apart() {
    in_namespace(|| {
        let [wan, lan] = veth_pair();
        let shield = Shield::load(&ShieldSettings { ports: vec![wan, lan], ..settings() });
        let shield = shield.expect("load the shield");
        let control = shield.control();
        control.set_accepting(2, 0, true);
        let socket = socket();
        shield.set_socket(0, 2, socket.as_fd()).expect("register the socket");
        let action = |port_index, queue, packet: &[u8]| {
            shield.dry_run(port_index, queue, packet, 1).expect("a dry run").action
        };

        control.beat(1, now_ns());
        assert_eq!(action(0, 2, &syn(1)), XDP_PASS, "the lane of queue 2 never beat");
        control.beat(2, now_ns());
        assert_eq!(action(0, 2, &syn(2)), XDP_REDIRECT);
        assert_eq!(action(0, 1, &syn(2)), XDP_PASS, "no socket on queue 1");
        shield.set_socket(1, 2, socket.as_fd()).expect("register the socket");
        assert_eq!(action(1, 2, &syn(2)), XDP_PASS, "the service is on the other port");
        assert!(matches!(
            shield.set_socket(0, 128, socket.as_fd()),
            Err(ShieldError::QueueOutOfRange(128))
        ));
        assert!(matches!(
            shield.set_socket(2, 0, socket.as_fd()),
            Err(ShieldError::UnknownPort(2))
        ));
    });
}

/// The lane of each queue takes connections, or does not, by itself.
#[test]
fn a_queue_whose_lane_takes_no_more_leaves_the_others_as_they_are() {
    in_namespace(|| {
        let [wan, _] = veth_pair();
        let shield = Shield::load(&ShieldSettings { ports: vec![wan], ..settings() });
        let shield = shield.expect("load the shield");
        let control = shield.control();
        let sockets = [(); 4].map(|()| socket());
        for (queue, socket) in (0..).zip(&sockets) {
            shield.set_socket(0, queue, socket.as_fd()).expect("register the socket");
            control.beat(queue, now_ns());
        }
        let other = segment(client(9), SocketAddr::from(([10, 1, 0, 1], 443)), SYN, 0);
        let taken = |packet: &[u8]| {
            let run = |queue| shield.dry_run(0, queue, packet, 1).expect("a dry run").action;
            [0, 1, 2, 3].map(|queue| run(queue) == XDP_REDIRECT)
        };
        assert_eq!(taken(&syn(1)), [false; 4], "at first none");
        for queue in 0..4 {
            control.set_accepting(queue, 0, true);
            control.set_accepting(queue, 1, queue == 3);
        }
        assert_eq!(taken(&syn(2)), [true; 4]);
        control.set_accepting(2, 0, false);
        assert_eq!(taken(&syn(3)), [true, true, false, true]);
        assert_eq!(taken(&other), [false, false, false, true], "another service");
        // Neither is there, and neither is anybody else's place.
        control.set_accepting(128, 0, false);
        control.set_accepting(0, 1024, false);
        assert_eq!(taken(&syn(4)), [true, true, false, true]);
        control.set_accepting(2, 0, true);
        assert_eq!(taken(&syn(5)), [true; 4]);
    });
}

#[test]
fn configuring_anew_adds_and_removes() {
    in_namespace(|| {
        let rig = Rig::new();
        let ssh = segment(client(1), SocketAddr::from(([10, 1, 0, 1], 22)), SYN, 0);
        let reply = |port| segment(client(1), SocketAddr::from(([10, 2, 0, 1], port)), ACK, 0);
        let gone = segment(client(1), SocketAddr::from(([10, 1, 0, 1], 443)), SYN, 0);
        let moved = segment(client(1), SocketAddr::from(([10, 1, 0, 1], 8080)), SYN, 0);
        let before = ["10.1.0.1:80", "10.1.0.1:443", "10.1.0.1:8080"].map(|at| service(at, 0));
        rig.shield.configure(&before, &[]).expect("settings");
        rig.control.set_accepting(0, 1, false);
        assert_eq!(rig.verdict(&gone), Verdict::ToEngine);
        assert_eq!(rig.verdict(&moved), Verdict::ToEngine);
        rig.shield
            .configure(
                &[
                    service("10.1.0.1:80", 0),
                    service("10.1.0.1:22", 0),
                    service("10.1.0.1:8080", 1),
                ],
                &[egress("10.2.0.1", 30_000, 30_009)],
            )
            .expect("new settings");
        assert_eq!(rig.verdict(&syn(1)), Verdict::ToEngine, "stayed");
        assert_eq!(rig.verdict(&ssh), Verdict::ToEngine, "came");
        assert_eq!(rig.verdict(&gone), Verdict::NotOurs);
        assert_eq!(rig.verdict(&moved), Verdict::NotAccepting);
        assert_eq!(rig.verdict(&reply(30_005)), Verdict::Unknown);
        assert_eq!(rig.verdict(&reply(20_000)), Verdict::NotOurs);

        let refused = [service("10.1.0.1:80", 0), service("10.1.0.1:80", 1)];
        assert!(rig.shield.configure(&refused, &[]).is_err());
        assert_eq!(rig.verdict(&ssh), Verdict::ToEngine, "refused settings change nothing");
    });
}

/// More than a CPU keeps at hand, so that they take each other's places.
#[test]
fn many_services_are_told_apart() {
    in_namespace(|| {
        let rig = Rig::new();
        rig.control.set_accepting(0, 1, false);
        let at = |port| SocketAddr::from(([10, 1, 0, 1], port));
        let index = |port: u16| u32::from(port.is_multiple_of(3));
        let ports = 1..=1000;
        let services: Vec<_> =
            ports.clone().map(|port| service(&at(port).to_string(), index(port))).collect();
        rig.shield.configure(&services, &[]).expect("settings");
        for _ in 0..2 {
            for port in ports.clone() {
                let verdict = rig.verdict(&segment(client(port), at(port), SYN, 0));
                let expected = [Verdict::ToEngine, Verdict::NotAccepting][index(port) as usize];
                assert_eq!(verdict, expected, "port {port}");
            }
        }
    });
}

#[test]
fn the_limit_of_the_heartbeat_is_the_one_configured() {
    assert_eq!(ShieldSettings::default().heartbeat_limit, Duration::from_millis(100));
    assert_eq!(settings().heartbeat_limit, HEARTBEAT_LIMIT);
}
