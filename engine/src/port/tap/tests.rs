//! Real TAP devices, each test in a network namespace of its own. Needs root; says so and passes
//! without.

use std::io::Write as _;
use std::net::UdpSocket;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant as Clock};

use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sched::{CloneFlags, unshare};

use super::*;
use crate::wire::checksum;

const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x10]);
const PATIENCE: Duration = Duration::from_secs(10);
const NEIGHBOUR: [u8; 6] = [2, 0, 0, 0, 1, 0x10];

/// Runs `test` in a network namespace that ends with it, where nobody sends unasked.
fn in_namespace(test: impl FnOnce() + Send) {
    if !nix::unistd::geteuid().is_root() {
        // Past the harness, which would swallow it, and on a line of its own.
        let _ = writeln!(io::stderr(), "\nSKIP TAP devices: not root, no namespaces");
        return;
    }
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap();
            test();
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// In the namespace of the calling thread.
fn exists(interface: &str) -> bool {
    nix::net::if_::if_nametoindex(interface).is_ok()
}

/// Waits until something holds that is soon to hold. A child that another test has just forked has
/// our descriptors until it is another program, and with them an interface that we have closed.
#[track_caller]
fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let start = Clock::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(1));
    }
}

fn open(settings: &Settings) -> Tap {
    eventually(|| match Tap::open(settings) {
        Err(OpenError::Busy { .. }) => None,
        opened => Some(opened.unwrap()),
    })
}

fn settings(interface: &str) -> Settings {
    Settings { interface: interface.to_owned(), mac: MAC, mtu: None }
}

/// A TAP and the frames for it.
struct Rig {
    tap: Tap,
    pool: FramePool,
}

impl Rig {
    /// One that is made, with the address 10.7.0.1.
    fn new(mtu: u16) -> Self {
        let tap = open(&Settings { mtu: Some(mtu), ..settings("tap0") });
        ip("addr add 10.7.0.1/24 dev tap0");
        Rig { tap, pool: FramePool::in_memory(256, 2048) }
    }

    /// Hands a packet to Linux.
    fn send(&mut self, packet: &[u8]) {
        let mut frame = self.pool.alloc().unwrap();
        self.pool.push_back(&mut frame, packet.len()).unwrap().copy_from_slice(packet);
        let mut burst = Burst::new();
        burst.push(frame).unwrap();
        self.tap.tx_burst(&mut self.pool, &mut burst);
        assert!(burst.is_empty(), "never waits");
    }

    /// Waits for what Linux sends, and takes it.
    fn receive(&mut self) -> Vec<Vec<u8>> {
        let fd = self.tap.wait_fd().unwrap();
        let ready = poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], 10_000u16).unwrap();
        assert_eq!(ready, 1, "Linux sent nothing");
        self.look()
    }

    fn look(&mut self) -> Vec<Vec<u8>> {
        let mut burst = Burst::new();
        self.tap.rx_burst(&mut self.pool, &mut burst);
        let packets = burst.iter().map(|frame| self.pool.bytes(frame).to_vec()).collect();
        burst.drain().for_each(|frame| self.pool.free(frame));
        packets
    }

    /// The end of every test: all frames are home.
    fn finish(mut self) {
        self.tap.close(&mut self.pool);
        assert!(self.tap.wait_fd().is_none());
        assert!(self.look().is_empty(), "a closed one is dead, not dangerous");
        assert_eq!(self.pool.free_count(), self.pool.capacity());
    }
}

#[test]
fn of_several_lanes_each_writes_and_the_first_reads() {
    in_namespace(|| {
        let mut first = Rig::new(1500);
        let mut other =
            Rig { tap: first.tap.for_writing().unwrap(), pool: FramePool::in_memory(256, 2048) };
        assert!(other.tap.wait_fd().is_none(), "nothing to wait for");
        other.send(&arp_request());
        let reply = first.receive();
        assert_eq!(reply[0][..6], NEIGHBOUR, "Linux's answer");
        other.send(&arp_request());
        assert!(other.look().is_empty());
        assert_eq!(first.receive().len(), 1);
        first.finish();
        assert!(exists("tap0"), "as long as one has it");
        other.finish();
        eventually(|| (!exists("tap0")).then_some(()));
    });
}

/// An ARP request for 10.7.0.1 from 10.7.0.2.
fn arp_request() -> Vec<u8> {
    let mut packet = [[0xff; 6], NEIGHBOUR].concat();
    packet.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
    packet.extend(NEIGHBOUR);
    packet.extend([10, 7, 0, 2, 0, 0, 0, 0, 0, 0, 10, 7, 0, 1]);
    packet
}

/// An echo request from 10.7.0.2 to 10.7.0.1.
fn echo_request() -> Vec<u8> {
    let mut packet = [MAC.0, NEIGHBOUR].concat();
    packet.extend([0x08, 0x00]);
    packet.extend([0x45, 0, 0, 36, 0, 0, 0, 0, 64, 1, 0, 0, 10, 7, 0, 2, 10, 7, 0, 1]);
    packet.extend([8, 0, 0, 0, 0, 1, 0, 1]);
    packet.extend(b"ringroad");
    for (header, field) in [(14..34, 24), (34..50, 36)] {
        let sum = !checksum::sum(&packet[header]);
        packet[field..field + 2].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

#[test]
fn linux_answers_what_it_is_handed() {
    in_namespace(|| {
        let mut rig = Rig::new(1400);
        assert!(rig.tap.was_made());
        assert_eq!(rig.tap.interface(), "tap0");
        let link = ip("link show tap0");
        for expected in ["mtu 1400", "LOWER_UP", "02:00:00:00:00:10"] {
            assert!(link.contains(expected), "{expected}: {link}");
        }
        rig.send(&arp_request());
        let [answer] = &rig.receive()[..] else { panic!("one answer") };
        assert_eq!(answer[..14], [&NEIGHBOUR[..], &MAC.0, &[0x08, 0x06]].concat());
        assert_eq!(answer[20..22], [0, 2], "a reply");
        assert_eq!(answer[22..28], MAC.0);

        ip("neigh replace 10.7.0.2 lladdr 02:00:00:00:01:10 dev tap0");
        rig.send(&echo_request());
        let [answer] = &rig.receive()[..] else { panic!("one answer") };
        assert_eq!((answer[34], &answer[42..]), (0, &b"ringroad"[..]));
        let stats = PortStats { received: 2, sent: 2, ..PortStats::default() };
        assert_eq!(rig.tap.stats(), stats);
        rig.finish();
        eventually(|| (!exists("tap0")).then_some(()));
    });
}

#[test]
fn what_linux_sends_is_complete_and_no_longer_than_the_mtu() {
    in_namespace(|| {
        let mut rig = Rig::new(1400);
        ip("neigh replace 10.7.0.2 lladdr 02:00:00:00:01:10 dev tap0");
        let socket = UdpSocket::bind("10.7.0.1:5000").unwrap();
        socket.send_to(&[0x5a; 1000], "10.7.0.2:6000").unwrap();
        let [packet] = &rig.receive()[..] else { panic!("one packet") };
        let udp = &packet[34..];
        assert_eq!(udp.len(), 1008);
        let mut pseudo_header = packet[26..34].to_vec();
        pseudo_header.extend([0, 17]);
        pseudo_header.extend(&udp[4..6]);
        let sum = checksum::combine(checksum::sum(&pseudo_header), checksum::sum(udp));
        assert_eq!(sum, 0xffff, "its checksum");

        socket.send_to(&[0x5a; 3000], "10.7.0.2:6000").unwrap();
        let fragments = rig.receive();
        assert_eq!(fragments.iter().map(Vec::len).collect::<Vec<_>>(), [1410, 1410, 290]);
        for _ in 0..BURST + 10 {
            socket.send_to(&[0x5a; 10], "10.7.0.2:6000").unwrap();
        }
        assert_eq!((rig.look().len(), rig.look().len(), rig.look().len()), (BURST, 10, 0));
        rig.finish();
    });
}

#[test]
fn what_no_frame_has_room_for_is_dropped_and_counted() {
    in_namespace(|| {
        let mut rig = Rig::new(9000);
        ip("neigh replace 10.7.0.2 lladdr 02:00:00:00:01:10 dev tap0");
        let socket = UdpSocket::bind("10.7.0.1:5000").unwrap();
        let longest = 2048 - crate::limits::HEADROOM - 42;
        for octets in [4000, longest + 1, longest] {
            socket.send_to(&vec![0x5a; octets], "10.7.0.2:6000").unwrap();
        }
        let packets = rig.receive();
        assert_eq!(packets.iter().map(Vec::len).collect::<Vec<_>>(), [longest + 42]);
        assert_eq!((rig.tap.stats().received, rig.tap.stats().rx_dropped), (1, 2));

        // Without a free frame a packet waits in Linux.
        let all: Vec<_> = std::iter::from_fn(|| rig.pool.alloc()).collect();
        socket.send_to(b"later", "10.7.0.2:6000").unwrap();
        assert!(rig.look().is_empty());
        all.into_iter().for_each(|frame| rig.pool.free(frame));
        assert_eq!(rig.look().len(), 1);
        rig.finish();
    });
}

#[test]
fn the_operators_interface_keeps_its_settings_and_stays() {
    in_namespace(|| {
        ip("tuntap add dev wan0 mode tap");
        ip("link set wan0 mtu 1300");
        for _ in 0..2 {
            let tap = open(&Settings { mtu: Some(1400), ..settings("wan0") });
            assert!(!tap.was_made());
            let link = ip("link show wan0");
            assert!(link.contains("mtu 1300") && !link.contains("UP"), "{link}");
            assert!(link.contains("02:00:00:00:00:10"), "{link}");
            let mut rig = Rig { tap, pool: FramePool::in_memory(16, 2048) };
            rig.send(&arp_request());
            assert_eq!(rig.tap.stats().tx_dropped, 1, "it is down");
            ip("link set wan0 up");
            rig.send(&arp_request());
            assert_eq!((rig.tap.stats().sent, rig.tap.stats().tx_dropped), (2, 1));
            ip("link set wan0 down");
            rig.finish();
        }
        assert!(exists("wan0"));
    });
}

#[test]
fn an_interface_that_is_removed_wakes_nobody_any_more() {
    in_namespace(|| {
        let mut rig = Rig::new(1500);
        ip("link del tap0");
        rig.send(&arp_request());
        assert_eq!(rig.tap.stats().tx_dropped, 1);
        assert!(rig.look().is_empty());
        assert!(rig.tap.wait_fd().is_none());
        rig.finish();
    });
}

#[test]
fn linux_is_told_of_the_wires_link() {
    in_namespace(|| {
        let mut rig = Rig::new(1500);
        let carrier = rig.tap.carrier().unwrap();
        carrier.set(false).unwrap();
        assert!(ip("link show tap0").contains("NO-CARRIER"));
        assert!(ip("route show").contains("linkdown"));
        carrier.set(true).unwrap();
        assert!(!ip("link show tap0").contains("NO-CARRIER"));
        rig.tap.close(&mut rig.pool);
        assert!(rig.tap.carrier().is_err());
    });
}

#[test]
fn opening_and_closing_leaves_nothing() {
    in_namespace(|| {
        let before = nix::net::if_::if_nameindex().unwrap().iter().count();
        let mut pool = FramePool::in_memory(16, 2048);
        for round in 0..50 {
            let mut tap = open(&settings("tap0"));
            assert!(tap.was_made());
            // Either way is an end.
            if round % 2 == 0 {
                tap.close(&mut pool);
            }
            drop(tap);
            eventually(|| (!exists("tap0")).then_some(()));
        }
        assert_eq!(nix::net::if_::if_nameindex().unwrap().iter().count(), before);
    });
}

/// The message of a refusal: one line that names the interface.
fn refusal(interface: &str) -> String {
    let error = Tap::open(&settings(interface)).unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with(&format!("{interface}: ")), "{message}");
    assert!(!message.contains('\n') && !message.contains("  "), "{message}");
    message
}

#[test]
fn refusals_say_what_to_do() {
    in_namespace(|| {
        ip("link add veth0 type veth peer name veth1");
        ip("tuntap add dev tun0 mode tun");
        ip("tuntap add dev many0 mode tap multi_queue");
        for name in ["veth0", "tun0", "many0"] {
            assert!(refusal(name).contains("taken by a device that is no TAP"), "{name}");
        }
        let open = Tap::open(&settings("tap0")).unwrap();
        assert!(refusal("tap0").contains("another program has this TAP device open"));
        drop(open);
        for name in ["", "sixteen-octets-x", "a b", "a/b", "a:b", "tap%d", ".", ".."] {
            assert!(refusal(name).contains("no name for an interface"), "{name}");
        }
        assert!(Tap::open(&settings("fifteen-octets-")).is_ok());
        eventually(|| (!exists("fifteen-octets-")).then_some(()));

        // The raw call changes this thread alone, which ends with the test.
        // SAFETY: takes no pointers.
        #[allow(unsafe_code, reason = "libc's own wrapper would change all threads")]
        let result = unsafe { libc::syscall(libc::SYS_setresuid, -1, 65534, -1) };
        assert_eq!(result, 0);
        assert!(refusal("tap1").contains("CAP_NET_ADMIN"));
    });
}

#[test]
fn a_kernel_without_tap_devices_is_told() {
    in_namespace(|| {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let nothing: Option<&str> = None;
        mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing).unwrap();
        mount(Some("none"), "/dev/net", Some("tmpfs"), MsFlags::empty(), nothing).unwrap();
        assert!(refusal("tap0").contains("modprobe tun"));
    });
}
