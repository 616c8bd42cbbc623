//! Two hosts and an edge between them, in network namespaces; and raw packets at the hosts.
//!
//! `left — (west) edge (east) — right`. All is gone when the [`Lab`] is dropped.

#![allow(unsafe_code, reason = "packet sockets and namespaces have no safe interface here")]

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

pub(super) struct Lab {
    name: String,
}

impl Lab {
    /// `None`, having said why, where namespaces cannot be made.
    pub(super) fn new() -> Option<Lab> {
        Lab::with_queues(1)
    }

    /// The same, where all interfaces have so many queues each way.
    pub(super) fn with_queues(queues: u32) -> Option<Lab> {
        if !nix::unistd::geteuid().is_root() {
            // Past the harness, which would swallow it, and on a line of its own.
            let _ = writeln!(io::stderr(), "\nSKIP AF_XDP on veth: not root, no namespaces");
            return None;
        }
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let lab = Lab { name: format!("rr-port-{}-{number}", std::process::id()) };
        for host in ["left", "edge", "right"] {
            ip(&["netns", "add", &lab.namespace(host)]);
            // Nothing is on the wires but what a test sends.
            lab.on(host, || fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"))
                .unwrap();
        }
        let edge = lab.namespace("edge");
        let queues = queues.to_string();
        let queues = ["numrxqueues", &queues, "numtxqueues", &queues];
        for (port, host) in [("west", "left"), ("east", "right")] {
            let namespace = lab.namespace(host);
            let link = ["-n", &edge, "link", "add", port];
            let peer = ["type", "veth", "peer", "name", "eth", "netns", &namespace];
            ip(&[&link[..], &queues, &peer, &queues].concat());
            for (namespace, link) in [(&edge, port), (&namespace, "eth")] {
                ip(&["-n", namespace, "link", "set", link, "up"]);
            }
        }
        Some(lab)
    }

    /// Gives both hosts addresses in the same networks: 10.9.0.1 and .2, fd09::1 and ::2.
    pub(super) fn give_addresses(&self) {
        for (host, number) in [("left", "1"), ("right", "2")] {
            let namespace = self.namespace(host);
            self.on(host, || fs::write("/proc/sys/net/ipv6/conf/eth/disable_ipv6", "0")).unwrap();
            let (four, six) = (format!("10.9.0.{number}/24"), format!("fd09::{number}/64"));
            ip(&["-n", &namespace, "addr", "add", &four, "dev", "eth"]);
            ip(&["-n", &namespace, "addr", "add", &six, "dev", "eth", "nodad"]);
        }
    }

    pub(super) fn namespace(&self, host: &str) -> String {
        format!("{}-{host}", self.name)
    }

    /// Runs `work` on a thread that is on `host`.
    pub(super) fn on<T: Send>(&self, host: &str, work: impl FnOnce() -> T + Send) -> T {
        let path = format!("/run/netns/{}", self.namespace(host));
        thread::scope(|scope| {
            let thread = scope.spawn(move || {
                let file = File::open(path).unwrap();
                nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            match thread.join() {
                Ok(value) => value,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// A socket for raw packets on a host's only interface.
    pub(super) fn packets(&self, host: &str) -> Packets {
        self.on(host, || Packets::open().unwrap())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for host in ["left", "edge", "right"] {
            // Links go with their namespaces.
            let _ = Command::new("ip").args(["netns", "del", &self.namespace(host)]).status();
        }
    }
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "ip {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Whole packets, in and out.
pub(super) struct Packets(OwnedFd);

impl Packets {
    fn open() -> io::Result<Self> {
        let every = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: takes no pointers.
        let fd = unsafe {
            libc::socket(
                libc::AF_PACKET,
                libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
                i32::from(every),
            )
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a descriptor just made, owned by nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: an address structure is made of integers.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = every;
        address.sll_ifindex = nix::net::if_::if_nametoindex("eth")? as i32;
        // SAFETY: a live address of the length given.
        let bound = unsafe {
            libc::bind(
                fd.as_raw_fd(),
                std::ptr::from_ref(&address).cast(),
                size_of::<libc::sockaddr_ll>() as u32,
            )
        };
        if bound == 0 { Ok(Packets(fd)) } else { Err(io::Error::last_os_error()) }
    }

    pub(super) fn send(&self, packet: &[u8]) {
        let sent =
            nix::sys::socket::send(self.0.as_raw_fd(), packet, nix::sys::socket::MsgFlags::empty());
        assert_eq!(sent, Ok(packet.len()));
    }

    /// What has arrived and is not yet taken, if anything.
    pub(super) fn receive(&self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 4096];
        let flags = nix::sys::socket::MsgFlags::empty();
        let len = nix::sys::socket::recv(self.0.as_raw_fd(), &mut buffer, flags).ok()?;
        buffer.truncate(len);
        Some(buffer)
    }
}
