//! A TAP of DPDK's, which verifies checksums, and the wire behind it: a raw socket on its interface.

use std::fs;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process;
use std::thread;
use std::time::{Duration, Instant as Clock};

use nix::ifaddrs::getifaddrs;
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, send, setsockopt,
    socket, sockopt,
};
use ringroad_engine::port::dpdk::Dpdk;

use crate::Bench;

/// Whole packets, in and out.
pub struct Wire(OwnedFd);

impl Wire {
    fn on(interface: &str) -> Wire {
        let (family, flags) =
            (AddressFamily::Packet, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK);
        let fd = socket(family, SockType::Raw, flags, SockProtocol::EthAll).expect("a raw socket");
        setsockopt(&fd, sockopt::RcvBuf, &RECEIVE_BUFFER).expect("a buffer");
        let address = getifaddrs()
            .expect("the interfaces")
            .filter(|entry| entry.interface_name == interface)
            .find_map(|entry| entry.address?.as_link_addr().copied())
            .expect("the interface's address");
        bind(fd.as_raw_fd(), &address).expect("the interface");
        Wire(fd)
    }

    pub fn send(&self, packet: &[u8]) {
        assert_eq!(send(self.0.as_raw_fd(), packet, MsgFlags::empty()), Ok(packet.len()));
    }

    /// The next packet that the device has sent, or that was sent here.
    pub fn receive(&self) -> Option<Vec<u8>> {
        let mut packet = vec![0; 2048];
        let len = recv(self.0.as_raw_fd(), &mut packet, MsgFlags::empty()).ok()?;
        packet.truncate(len);
        Some(packet)
    }
}

/// Opens a TAP in the namespace of the calling thread.
pub fn open(bench: &mut Bench, number: u32, rx_queues: u16) -> (Dpdk, Wire) {
    let interface = format!("rr{}x{number}", process::id());
    let device = format!("net_tap_port{number}");
    let port = bench.try_open(&device, &format!("iface={interface}"), rx_queues).expect("a TAP");
    (port, Wire::on(&interface))
}

/// Runs `test` in a network namespace that ends with it, where nobody sends unasked.
pub fn in_namespace(test: impl FnOnce() + Send) {
    if !nix::unistd::geteuid().is_root() {
        // Past the harness, which would swallow it, and on a line of its own.
        let _ = writeln!(io::stderr(), "\nSKIP DPDK on a TAP: not root, no namespaces");
        return;
    }
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
            fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").expect("sysctl");
            test();
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Tries again until `look` finds something.
#[track_caller]
pub fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let start = Clock::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "it never came");
        thread::yield_now();
    }
}

/// For what takes microseconds when nothing is wrong.
const PATIENCE: Duration = Duration::from_secs(10);

/// For some bursts [octets].
const RECEIVE_BUFFER: usize = 1 << 20;
