//! Linux accepts what the shield answered: real listeners, handshakes made by hand.
//!
//! The SYN is only shown to the shield, which is attached nowhere; the acknowledgment of its answer
//! goes to Linux over a veth pair, and meets the acceptor there.

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::process::Command;

use nix::ifaddrs::getifaddrs;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, send, setsockopt,
    socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike as _};
use ringroad_ebpf::{Acceptor, Control, CookieMode, CookieService, Shield, ShieldSettings};

use crate::packets::{ACK, CWR, ECE, PSH, RST, TCP, checksummed, ethernet, ip, syn, tcp_of};
use crate::rig::{self, XDP_TX, in_namespace, ip_command, now_ns, service, veth_pair};

const SERVICE: CookieService = CookieService {
    mss_v4: 1460,
    mss_v6: 1440,
    window: 65_535,
    window_scale: 11,
    ecn: true,
    mode: CookieMode::Always,
};

const KEYS: [[u8; 16]; 2] = [[1; 16], [2; 16]];

/// The service's address and a client's.
const V4: [&str; 2] = ["10.1.0.1:80", "10.1.0.7:4000"];
const V6: [&str; 2] = ["[fd00:1::1]:80", "[fd00:1::7]:4000"];

/// A maximum segment size of 1400, SACK, timestamps, and a window scale of 9.
const WITH_TIMESTAMPS: [u8; 20] =
    [2, 4, 0x05, 0x78, 4, 2, 8, 10, 0, 0, 0, 77, 0, 0, 0, 0, 1, 3, 3, 9];
/// The same without timestamps.
const WITHOUT_TIMESTAMPS: [u8; 12] = [2, 4, 0x05, 0x78, 1, 1, 4, 2, 1, 3, 3, 9];
/// Nothing but a maximum segment size.
const PLAIN: [u8; 4] = [2, 4, 0x05, 0x78];

const REQUEST: &[u8] = b"GET /";

/// How long a packet takes at most from one end of a veth pair to the other [ms].
const PATIENCE_MS: u16 = 2000;
const TRIES: u16 = 10;

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address and port")
}

/// A shield that has nothing to do but answer, a listener in Linux, and the acceptor before it.
struct Lab {
    shield: Shield,
    control: Control,
    acceptor: Acceptor,
    listener: TcpListener,
    far_end: OwnedFd,
    _socket: OwnedFd,
}

impl Lab {
    fn new() -> Self {
        let [wan, lan] = veth_pair();
        for (name, last) in [("veth0", 1), ("veth1", 2)] {
            ip_command(&format!("link set {name} address 02:00:00:00:00:0{last}"));
        }
        ip_command("addr add 10.1.0.1/24 dev veth0");
        ip_command("addr add fd00:1::1/64 dev veth0 nodad");
        for client in ["10.1.0.7", "fd00:1::7"] {
            ip_command(&format!("neigh add {client} dev veth0 lladdr 02:00:00:00:00:02"));
        }
        let settings = ShieldSettings {
            ports: vec![wan],
            services: vec![service(V4[0], 0), service(V6[0], 0)],
            egress: Vec::new(),
            cookies: vec![SERVICE],
            ..rig::settings()
        };
        let shield = Shield::load(&settings).expect("load the shield");
        let socket = rig::socket();
        shield.set_socket(0, 0, socket.as_fd()).expect("register the socket");
        let control = shield.control();
        control.beat(0, now_ns());
        control.set_accepting(0, 0, true);
        control.set_cookie_keys(&KEYS, 0);
        let mut acceptor = Acceptor::beside(&shield).expect("load the acceptor");
        acceptor.attach(0).expect("attach the acceptor");
        let listener = TcpListener::bind("[::]:80").expect("listen");
        listener.set_nonblocking(true).expect("a listener that does not wait");
        let far_end = far_end(&lan.interface);
        Lab { shield, control, acceptor, listener, far_end, _socket: socket }
    }

    /// The segment that a client acknowledges the shield's answer to its SYN with.
    fn proof(&self, between: [&str; 2], options: &[u8]) -> Vec<u8> {
        self.proof_of(between, 0, options)
    }

    /// The same where the SYN has more flags.
    fn proof_of(&self, between: [&str; 2], flags: u8, options: &[u8]) -> Vec<u8> {
        let [to, from] = between.map(address);
        let syn = syn(from.port(), to.port(), flags, options, 0);
        let frame = ethernet(&ip(from.ip(), to.ip(), TCP, &syn));
        let run = self.shield.dry_run(0, 0, &frame, 1).expect("a dry run");
        assert_eq!(run.action, XDP_TX, "the SYN is answered");
        let answer = tcp_of(&run.packet);
        let mut proof = [&syn[..4], &answer[8..12], &next(&answer[4..8])].concat();
        proof.extend([5 << 4, ACK | PSH, 0xff, 0xff, 0, 0, 0, 0]);
        if options.contains(&77) {
            proof[12] = 8 << 4;
            proof.extend([1, 1, 8, 10, 0, 0, 0, 78]);
            // Behind the maximum segment size, and what fills its own word up.
            proof.extend(&answer[28..32]);
        }
        proof
    }

    fn frame(&self, between: [&str; 2], segment: &[u8]) -> Vec<u8> {
        let [to, from] = between.map(address);
        checksummed(ethernet(&ip(from.ip(), to.ip(), TCP, segment)))
    }

    fn send(&self, frame: &[u8]) {
        assert_eq!(send(self.far_end.as_raw_fd(), frame, MsgFlags::empty()), Ok(frame.len()));
    }

    /// Sends a segment with a request, and expects that Linux accepts the connection and has it.
    fn accepted(&self, between: [&str; 2], segment: &[u8]) -> TcpStream {
        let frame = self.frame(between, &[segment, REQUEST].concat());
        let mut waiting = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        // As a client would, should it get no answer.
        let arrives = (0..TRIES).any(|_| {
            self.send(&frame);
            poll(&mut waiting, PollTimeout::from(PATIENCE_MS / TRIES)) == Ok(1)
        });
        assert!(arrives, "nothing to accept");
        let (mut stream, from) = self.listener.accept().expect("a connection");
        assert_eq!(from.port(), address(between[1]).port());
        let mut request = [0; REQUEST.len()];
        stream.read_exact(&mut request).expect("the request");
        assert_eq!(request, REQUEST);
        stream
    }

    /// Sends a segment, and expects that Linux resets it as one that belongs to no connection.
    fn reset(&self, between: [&str; 2], segment: &[u8]) {
        self.send(&self.frame(between, segment));
        let mut frame = [0; 2048];
        loop {
            let octets = recv(self.far_end.as_raw_fd(), &mut frame, MsgFlags::empty());
            let frame = &frame[..octets.expect("a reset in time")];
            // RFC 9293 §3.10.7.1. The socket shows what it sends and what others say as well.
            if is_tcp(frame) && tcp_of(frame)[13] == RST && tcp_of(frame)[4..8] == segment[8..12] {
                break;
            }
        }
        assert!(self.listener.accept().is_err(), "accepted all the same");
    }
}

/// A socket that sends and receives frames of an interface.
fn far_end(interface: &str) -> OwnedFd {
    let (kind, flags) = (SockType::Raw, SockFlag::SOCK_CLOEXEC);
    let socket = socket(AddressFamily::Packet, kind, flags, SockProtocol::EthAll);
    let socket = socket.expect("a packet socket");
    let address = getifaddrs()
        .expect("the interfaces")
        .find(|found| {
            let address = found.address.as_ref();
            found.interface_name == interface && address.is_some_and(|a| a.as_link_addr().is_some())
        })
        .and_then(|found| found.address)
        .expect("the interface");
    bind(socket.as_raw_fd(), &address).expect("bind to the interface");
    let patience = TimeVal::milliseconds(PATIENCE_MS.into());
    setsockopt(&socket, sockopt::ReceiveTimeout, &patience).expect("no endless wait");
    socket
}

fn is_tcp(frame: &[u8]) -> bool {
    match frame[12..14] {
        [0x08, 0x00] => frame[14 + 9] == TCP,
        [0x86, 0xdd] => frame[14 + 6] == TCP,
        _ => false,
    }
}

/// The number behind another, as octets.
fn next(octets: &[u8]) -> [u8; 4] {
    let number = u32::from_be_bytes(octets.try_into().expect("four octets"));
    number.wrapping_add(1).to_be_bytes()
}

/// What Linux says of the only connection to the service.
fn connection() -> String {
    let arguments = ["-tinoHO", "state", "established", "sport", "=", ":80"];
    let output = Command::new("ss").args(arguments).output().expect("run ss");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn sysctl(setting: &str) {
    let status = Command::new("sysctl").args(["-qw", setting]).status().expect("run sysctl");
    assert!(status.success(), "{setting}");
}

#[test]
fn a_listener_in_linux_gets_all_that_the_cookie_remembers() {
    in_namespace(|| {
        let lab = Lab::new();
        for between in [V4, V6] {
            for options in [&WITH_TIMESTAMPS[..], &WITHOUT_TIMESTAMPS, &PLAIN] {
                let stream = lab.accepted(between, &lab.proof(between, options));
                let connection = connection();
                let says = |word: &str| connection.split_whitespace().any(|said| said == word);
                let timestamps = options.len() == WITH_TIMESTAMPS.len();
                assert_eq!(says("ts"), timestamps, "{connection}");
                assert_eq!(says("sack"), options.len() > PLAIN.len(), "{connection}");
                assert_eq!(says("wscale:9,11"), options.len() > PLAIN.len(), "{connection}");
                let mss = if timestamps { "mss:1388" } else { "mss:1400" };
                assert!(says(mss), "{mss}: {connection}");
                close_hard(stream);
            }
        }
    });
}

#[test]
fn a_listener_in_linux_does_ecn_where_the_answer_has_agreed_to_it() {
    in_namespace(|| {
        let lab = Lab::new();
        for between in [V4, V6] {
            for (flags, options, agreed) in [
                (ECE | CWR, &WITH_TIMESTAMPS[..], true),
                (ECE | CWR, &WITHOUT_TIMESTAMPS, false),
                (ECE, &WITH_TIMESTAMPS, false),
                (0, &WITH_TIMESTAMPS, false),
            ] {
                let stream = lab.accepted(between, &lab.proof_of(between, flags, options));
                let connection = connection();
                let says_so = connection.split_whitespace().any(|said| said == "ecn");
                assert_eq!(says_so, agreed, "{flags:#x}: {connection}");
                close_hard(stream);
            }
        }
    });
}

/// Leaves nothing of a connection behind, so that the next may have its ports.
fn close_hard(stream: TcpStream) {
    let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(&stream, sockopt::Linger, &linger).expect("an end without a word");
}

#[test]
fn forged_and_stale_cookies_are_reset_by_linux() {
    in_namespace(|| {
        let lab = Lab::new();
        for between in [V4, V6] {
            let proof = lab.proof(between, &WITH_TIMESTAMPS);
            // Bits of what it acknowledges, of the client's number, and of the echo.
            for (place, bit) in [(8, 0x80), (8, 0x10), (9, 1), (11, 2), (7, 1), (28, 1), (31, 2)] {
                let mut forged = proof.clone();
                forged[place] ^= bit;
                lab.reset(between, &forged);
            }
            let [_, other] = between.map(|address| address.replace("4000", "4001"));
            let mut elsewhere = proof.clone();
            elsewhere[0..2].copy_from_slice(&4001_u16.to_be_bytes());
            lab.reset([between[0], &other], &elsewhere);

            lab.control.set_cookie_keys(&[KEYS[0], [3; 16]], 1);
            close_hard(lab.accepted(between, &proof));
            lab.control.set_cookie_keys(&[[4; 16], [3; 16]], 0);
            lab.reset(between, &proof);
            lab.control.set_cookie_keys(&KEYS, 0);
        }
    });
}

#[test]
fn without_the_acceptor_or_a_listener_a_cookie_is_nothing_to_linux() {
    in_namespace(|| {
        let mut lab = Lab::new();
        let proof = lab.proof(V4, &WITH_TIMESTAMPS);
        let off_service = ["10.1.0.1:81", V4[1]];
        let mut to_another = proof.clone();
        to_another[2..4].copy_from_slice(&81_u16.to_be_bytes());
        lab.reset(off_service, &to_another);

        lab.acceptor = Acceptor::beside(&lab.shield).expect("load another");
        lab.reset(V4, &proof);
        lab.acceptor.attach(0).expect("attach it");
        lab.acceptor.attach(0).expect("attached once already");
        close_hard(lab.accepted(V4, &proof));
    });
}

#[test]
fn what_follows_is_the_connections_own() {
    in_namespace(|| {
        let lab = Lab::new();
        let proof = lab.proof(V4, &WITHOUT_TIMESTAMPS);
        let mut stream = lab.accepted(V4, &proof);
        // The same again, which Linux has already; and what comes behind it.
        let mut more = proof.clone();
        lab.send(&lab.frame(V4, &[&proof, REQUEST].concat()));
        let sequence = u32::from_be_bytes([proof[4], proof[5], proof[6], proof[7]]);
        let sequence = sequence + REQUEST.len() as u32;
        more[4..8].copy_from_slice(&sequence.to_be_bytes());
        lab.send(&lab.frame(V4, &[&more[..], b"index"].concat()));
        let mut read = [0; 5];
        stream.read_exact(&mut read).expect("the rest");
        assert_eq!(&read, b"index");
        assert!(lab.listener.accept().is_err(), "one connection");
    });
}

#[test]
fn a_linux_without_sack_accepts_without_sack() {
    in_namespace(|| {
        let lab = Lab::new();
        sysctl("net.ipv4.tcp_sack=0");
        lab.control.set_kernel_opens(true);
        let stream = lab.accepted(V4, &lab.proof(V4, &WITH_TIMESTAMPS));
        let connection = connection();
        assert!(lab.control.kernel_opens());
        assert!(
            connection.contains("wscale:9,11") && !connection.contains(" sack "),
            "{connection}"
        );
        drop(stream);
    });
}

#[test]
fn a_linux_that_cannot_keep_what_was_promised_is_answered_for_no_more() {
    in_namespace(|| {
        let lab = Lab::new();
        lab.control.set_kernel_opens(true);
        sysctl("net.ipv4.tcp_timestamps=0");
        let plain = lab.proof(V4, &PLAIN);
        close_hard(lab.accepted(V4, &plain));
        assert!(lab.control.kernel_opens());
        lab.reset(V4, &lab.proof(V4, &WITH_TIMESTAMPS));
        assert!(!lab.control.kernel_opens());
    });
}

#[test]
fn a_shield_elsewhere_can_have_its_keys_here() {
    in_namespace(|| {
        let mut lab = Lab::new();
        let settings = ShieldSettings {
            ports: vec![rig::port("veth0")],
            services: vec![service(V4[0], 0)],
            egress: Vec::new(),
            cookies: vec![SERVICE],
            ..rig::settings()
        };
        lab.acceptor = Acceptor::alone(&settings).expect("load the acceptor");
        lab.acceptor.control().set_cookie_keys(&KEYS, 0);
        lab.acceptor.attach(0).expect("attach it");
        let stream = lab.accepted(V4, &lab.proof(V4, &WITH_TIMESTAMPS));
        assert!(connection().contains("wscale:9,11"));
        drop(stream);
    });
}
