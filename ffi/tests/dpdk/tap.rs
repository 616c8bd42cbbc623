//! A device of the kernel's other side, in a network namespace of its own.

use std::net::UdpSocket;
use std::process::{self, Command};
use std::slice;
use std::time::Duration;

use dpdk_sys::{Checksum, Device, DeviceSettings, Packet};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};

use crate::frames::Frames;
use crate::{eal, pool, settings, skip};

/// A datagram from the kernel wakes us, arrives, and its echo arrives there. This thread, which
/// the test harness made for this test, is the only one in the namespace.
#[test]
fn a_datagram_goes_through_a_tap_and_back() {
    if unshare(CloneFlags::CLONE_NEWNET).is_err() {
        skip("DPDK on a TAP: a network namespace needs root");
        return;
    }
    let eal = eal();
    let pool = pool(&eal, 2048);
    let interface = format!("rrtap{}", process::id());
    let id = eal.attach("net_tap_echo", &format!("iface={interface}")).unwrap();
    let settings = DeviceSettings { rx_checksum: true, ..settings() };
    let tap = Device::open(id, slice::from_ref(&pool), &settings).unwrap();
    assert!(tap.rx_checksum());
    ip(&format!("address add 10.9.8.1/24 dev {interface}"));
    ip(&format!("neighbour add 10.9.8.2 lladdr 02:00:00:00:00:02 dev {interface}"));
    let socket = UdpSocket::bind("10.9.8.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(b"through a tap", "10.9.8.2:9").unwrap();

    let mut frames = Frames::new(&pool);
    let datagram = loop {
        let packet = receive(&tap);
        // Others are neighbour discovery's.
        if bytes(&mut frames, &packet).ends_with(b"through a tap") {
            break packet;
        }
        frames.put(packet.index);
    };
    assert_eq!(datagram.checksum, Checksum::GOOD);
    let echo = bytes(&mut frames, &datagram);
    swap(echo, 0..6, 6);
    swap(echo, 26..30, 30);
    swap(echo, 34..36, 36);
    // SAFETY: this thread's pool, and a frame of ours.
    assert_eq!(unsafe { tap.tx_burst(0, &[datagram]) }, 1);
    let mut answer = [0; 64];
    let (octets, from) = socket.recv_from(&mut answer).unwrap();
    assert_eq!(
        (&answer[..octets], from.to_string().as_str()),
        (&b"through a tap"[..], "10.9.8.2:9")
    );

    drop(tap);
    assert_eq!(pool.available(), pool.layout().usable);
}

/// Sleeps on the device until a packet is there.
fn receive(tap: &Device) -> Packet {
    let mut packets = [Packet::default(); 1];
    loop {
        let fd = tap.rx_interrupt_fd(0).expect("a TAP can be slept on");
        let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
        let patience = PollTimeout::try_from(PATIENCE).unwrap();
        assert_eq!(poll(&mut fds, patience), Ok(1), "no packet came");
        // SAFETY: this thread's pool.
        if unsafe { tap.rx_burst(0, &mut packets) } == 1 {
            return packets[0];
        }
    }
}

fn bytes<'a>(frames: &'a mut Frames, packet: &Packet) -> &'a mut [u8] {
    let start = usize::from(packet.start);
    &mut frames.buffer(packet.index)[start..start + usize::from(packet.len)]
}

/// Exchanges one field with the one of the same length at `other`.
fn swap(packet: &mut [u8], field: std::ops::Range<usize>, other: usize) {
    let (front, back) = packet.split_at_mut(other);
    let octets = field.len();
    front[field].swap_with_slice(&mut back[..octets]);
}

fn ip(command: &str) {
    let status = Command::new("ip").args(command.split(' ')).status().unwrap();
    assert!(status.success(), "ip {command}");
}

/// For what takes microseconds when nothing is wrong.
const PATIENCE: Duration = Duration::from_secs(5);
