//! What the tests stand on: a namespace of their own, a shield in it, a socket.

#![allow(unsafe_code, reason = "AF_XDP sockets are made with libc")]

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::process::Command;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect};
use nix::time::{ClockId, clock_gettime};
use ringroad_ebpf::{
    AttachMode, Control, CookieService, EgressRange, FLOW_OCTETS, PortSettings, ServiceAddress,
    Shield, ShieldCounters, ShieldSettings, Verdict,
};

pub(crate) const XDP_DROP: u32 = 1;
pub(crate) const XDP_PASS: u32 = 2;
pub(crate) const XDP_TX: u32 = 3;
pub(crate) const XDP_REDIRECT: u32 = 4;

/// Of the loopback, in any namespace.
pub(crate) const LOOPBACK: u32 = 1;

/// Long enough that no test is slow enough for a heartbeat to grow old by itself.
pub(crate) const HEARTBEAT_LIMIT: Duration = Duration::from_secs(3600);

/// Runs `test` in a network namespace that ends with it.
pub(crate) fn in_namespace(test: impl FnOnce() + Send) {
    if !nix::unistd::geteuid().is_root() {
        // Not `eprintln!`: the harness would keep it to itself.
        let _ = writeln!(std::io::stderr(), "SKIP needs root");
        return;
    }
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
            test();
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// `ip …`, in the namespace of the calling thread.
pub(crate) fn ip_command(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("run ip");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A veth pair, `veth0` and `veth1`, up, with four queues each. Returns the ports of both.
pub(crate) fn veth_pair() -> [PortSettings; 2] {
    ip_command(
        "link add veth0 numrxqueues 4 numtxqueues 4 type veth \
         peer name veth1 numrxqueues 4 numtxqueues 4",
    );
    ["veth0", "veth1"].map(|name| {
        ip_command(&format!("link set {name} up"));
        port(name)
    })
}

pub(crate) fn port(interface: &str) -> PortSettings {
    let ifindex = nix::net::if_::if_nametoindex(interface).expect("the interface's index");
    PortSettings { ifindex, interface: interface.to_owned(), mode: AttachMode::Auto }
}

/// Whether an interface runs any XDP program.
pub(crate) fn runs_xdp(interface: &str) -> bool {
    ip_command(&format!("link show {interface}")).contains("prog/xdp")
}

/// An AF_XDP socket, which the program may redirect to in a dry run without it being bound.
pub(crate) fn socket() -> OwnedFd {
    // SAFETY: no pointers are passed.
    let fd = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    assert!(fd >= 0, "AF_XDP socket: {}", std::io::Error::last_os_error());
    // SAFETY: `fd` is open, and nobody else's.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// A connection that Linux has with itself, over the loopback of the namespace: both of its ends.
pub(crate) struct LinuxConnection {
    pub(crate) client: OwnedFd,
    pub(crate) server: TcpStream,
}

impl LinuxConnection {
    pub(crate) fn between(service: SocketAddr, client: SocketAddr) -> Self {
        ip_command("link set lo up");
        for address in [service.ip(), client.ip()] {
            let (bits, nodad) = if address.is_ipv4() { (32, "") } else { (128, " nodad") };
            ip_command(&format!("addr replace {address}/{bits} dev lo{nodad}"));
        }
        let listener = TcpListener::bind(service).expect("listen");
        let [from, to] = [client, service].map(SockaddrStorage::from);
        let family = if client.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let flags = SockFlag::SOCK_CLOEXEC;
        let client = nix::sys::socket::socket(family, SockType::Stream, flags, None);
        let client = client.expect("a socket");
        bind(client.as_raw_fd(), &from).expect("the client's address");
        connect(client.as_raw_fd(), &to).expect("connect");
        let (server, _) = listener.accept().expect("the connection");
        LinuxConnection { client, server }
    }
}

pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("the clock");
    Duration::from(now).as_nanos() as u64
}

/// A shield on the loopback with a socket on its only queue, a fresh heartbeat, and services 0
/// and 1, both accepting.
pub(crate) struct Rig {
    pub(crate) shield: Shield,
    pub(crate) control: Control,
    _socket: OwnedFd,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Rig::with_heartbeat_limit(HEARTBEAT_LIMIT)
    }

    pub(crate) fn with_heartbeat_limit(heartbeat_limit: Duration) -> Self {
        Rig::with(&ShieldSettings { heartbeat_limit, ..settings() })
    }

    pub(crate) fn with_cookies(cookies: Vec<CookieService>) -> Self {
        Rig::with(&ShieldSettings { cookies, ..settings() })
    }

    pub(crate) fn with(settings: &ShieldSettings) -> Self {
        let shield = Shield::load(settings).expect("load the shield");
        let socket = socket();
        shield.set_socket(0, 0, socket.as_fd()).expect("register the socket");
        let control = shield.control();
        control.beat(0, now_ns());
        control.set_accepting(0, 0, true);
        control.set_accepting(0, 1, true);
        Rig { shield, control, _socket: socket }
    }

    /// The verdict on one packet, of which the action has to be the right consequence and that has
    /// to be counted once.
    pub(crate) fn verdict(&self, packet: &[u8]) -> Verdict {
        self.judge(packet).0
    }

    /// The verdict, and the packet as the program left it.
    pub(crate) fn judge(&self, packet: &[u8]) -> (Verdict, Vec<u8>) {
        let before = self.counters();
        let run = self.shield.dry_run(0, 0, packet, 1).expect("a dry run");
        let after = self.counters();

        let counted: Vec<_> = Verdict::ALL
            .into_iter()
            .filter(|verdict| after.of(*verdict) != before.of(*verdict))
            .collect();
        let [verdict] = counted[..] else { panic!("counted as {counted:?}") };
        assert_eq!(after.of(verdict), before.of(verdict) + 1, "counted once");
        assert_eq!(after.received, before.received + 1, "received once");
        assert_eq!(
            after.received,
            after.to_engine() + after.answered() + after.passed() + after.dropped(),
            "the ledger balances"
        );
        let action = match verdict {
            Verdict::ToEngine => XDP_REDIRECT,
            Verdict::Answered => XDP_TX,
            dropped if dropped.is_drop() => XDP_DROP,
            _ => XDP_PASS,
        };
        assert_eq!(run.action, action, "the action of {verdict:?}");
        if verdict != Verdict::Answered {
            assert_eq!(run.packet, packet, "{verdict:?} leaves a packet as it is");
        }
        (verdict, run.packet)
    }

    /// The engine says that a connection is its own.
    pub(crate) fn know(&self, local: SocketAddr, remote: SocketAddr) {
        self.shield.known_flows().insert(0, &ends(local, remote));
    }

    pub(crate) fn counters(&self) -> ShieldCounters {
        self.shield.counters().expect("read the counters")
    }
}

/// The ends of a connection as [`KnownFlows`](ringroad_ebpf::KnownFlows) has them.
pub(crate) fn ends(local: SocketAddr, remote: SocketAddr) -> [u8; FLOW_OCTETS] {
    let address = |end: SocketAddr| match end.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    let ports = [local, remote].map(|end| end.port().to_be_bytes());
    let octets = [&address(local)[..], &address(remote), ports.as_flattened()].concat();
    octets.try_into().expect("two addresses and two ports")
}

/// Service 0 listens on port 80 of both versions, service 1 on 443; the engine connects from
/// 10.2.0.1 and fd00:2::1.
pub(crate) fn settings() -> ShieldSettings {
    let loopback =
        PortSettings { ifindex: LOOPBACK, interface: "lo".to_owned(), mode: AttachMode::Generic };
    ShieldSettings {
        ports: vec![loopback],
        services: vec![
            service("10.1.0.1:80", 0),
            service("[fd00:1::1]:80", 0),
            service("10.1.0.1:443", 1),
        ],
        egress: vec![
            egress("10.2.0.1", 20_000, 29_999),
            egress("10.2.0.1", 40_000, 49_999),
            egress("fd00:2::1", 20_000, 29_999),
        ],
        cookies: Vec::new(),
        heartbeat_limit: HEARTBEAT_LIMIT,
        ..ShieldSettings::default()
    }
}

pub(crate) fn service(address: &str, service_index: u32) -> ServiceAddress {
    let address = address.parse().expect("an address and port");
    ServiceAddress { address, port_index: 0, service_index }
}

pub(crate) fn egress(address: &str, first: u16, last: u16) -> EgressRange {
    let address = address.parse().expect("an address");
    EgressRange { address, ports: first..=last, port_index: 0 }
}
