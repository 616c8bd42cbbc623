//! Whether Linux has a connection: asked of Linux (`sock_diag`, as `ss` does), which looks into the table
//! that its own packets are looked up in. No privilege is needed.

use std::io;
use std::net::IpAddr;

use rtnetlink::sys::protocols::NETLINK_SOCK_DIAG;
use rtnetlink::sys::{Socket, SocketAddr};

use super::sockets::State;
use crate::flow::FlowKey;
use crate::shield::LinuxSockets;

/// Asks about one connection at a time, in the network namespace of the thread that opened it. A
/// question is a system call, its answer another: a microsecond or two together.
pub struct SocketLookup {
    socket: Socket,
}

impl SocketLookup {
    /// Fails where Linux does not answer such questions.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // Linux answers before a question has been sent: there is nothing to wait for.
        socket.set_non_blocking(true)?;
        let lookup = SocketLookup { socket };
        lookup.state(&FlowKey::from_ipv4(([0; 4], 0), ([0; 4], 0)))?;
        Ok(lookup)
    }

    /// The state of what Linux has for a flow, if it has anything.
    fn state(&self, flow: &FlowKey) -> io::Result<Option<State>> {
        self.socket.send(&question(flow), 0)?;
        let mut answer = [0; ANSWER_MAX];
        let length = self.socket.recv(&mut &mut answer[..], 0)?;
        read(&answer[..length.min(ANSWER_MAX)])
    }
}

impl LinuxSockets for SocketLookup {
    /// In doubt the connection is Linux's.
    fn has(&mut self, flow: &FlowKey) -> bool {
        match self.state(flow) {
            Ok(state) => state.is_some_and(State::is_connected),
            Err(_) => true,
        }
    }
}

impl std::fmt::Debug for SocketLookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SocketLookup")
    }
}

/// `struct nlmsghdr` with a `struct inet_diag_req_v2` behind it.
fn question(flow: &FlowKey) -> [u8; QUESTION] {
    let (local, remote) = (flow.local(), flow.remote());
    let family = if local.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let mut question = [0; QUESTION];
    let mut put =
        |at: usize, octets: &[u8]| question[at..at + octets.len()].copy_from_slice(octets);
    put(0, &(QUESTION as u32).to_ne_bytes());
    put(4, &SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    put(6, &NLM_F_REQUEST.to_ne_bytes());
    put(16, &[family as u8, libc::IPPROTO_TCP as u8]);
    put(20, &ANY_STATE.to_ne_bytes());
    put(24, &local.port().to_be_bytes());
    put(26, &remote.port().to_be_bytes());
    for (at, address) in [(28, local.ip()), (44, remote.ip())] {
        match address {
            IpAddr::V4(v4) => put(at, &v4.octets()),
            IpAddr::V6(v6) => put(at, &v6.octets()),
        }
    }
    put(64, &NO_COOKIE);
    question
}

/// Reads the answer: a `struct inet_diag_msg`, or why there is none.
fn read(answer: &[u8]) -> io::Result<Option<State>> {
    let unreadable = || io::Error::new(io::ErrorKind::InvalidData, "no answer about a socket");
    let kind = answer.get(4..6).ok_or_else(unreadable)?;
    if kind == SOCK_DIAG_BY_FAMILY.to_ne_bytes() {
        let state = *answer.get(HEADER + 1).ok_or_else(unreadable)?;
        return Ok(Some(State::of(state)));
    }
    if kind != NLMSG_ERROR.to_ne_bytes() {
        return Err(unreadable());
    }
    let code = answer.get(HEADER..HEADER + 4).and_then(|octets| octets.try_into().ok());
    match i32::from_ne_bytes(code.ok_or_else(unreadable)?).saturating_neg() {
        libc::ENOENT => Ok(None),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

/// Of netlink [octets].
const HEADER: usize = 16;
/// [octets]
const QUESTION: usize = HEADER + 56;
/// What is looked at is at the front; the rest, options and all, may be cut off [octets].
const ANSWER_MAX: usize = 256;
/// The kernel's numbers (`linux/netlink.h`, `linux/sock_diag.h`, `linux/inet_diag.h`).
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const ANY_STATE: u32 = u32::MAX;
/// `INET_DIAG_NOCOOKIE`, twice.
const NO_COOKIE: [u8; 8] = [0xff; 8];

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};

    use super::*;

    #[test]
    fn connections_are_found_until_they_end_and_listeners_are_none() {
        let mut lookup = SocketLookup::open().expect("a Linux that answers");
        let ends: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        for address in ends {
            // A host may be without IPv6.
            let Ok(listener) = TcpListener::bind((address, 0)) else { continue };
            let service = listener.local_addr().unwrap();
            let client = TcpStream::connect(service).unwrap();
            let (server, from) = listener.accept().unwrap();
            let (flow, back) = (FlowKey::new(service, from), FlowKey::new(from, service));
            assert!(lookup.has(&flow) && lookup.has(&back), "{address}");
            let stranger = std::net::SocketAddr::new(address, 1);
            let asked = lookup.state(&FlowKey::new(service, stranger)).unwrap();
            assert_eq!(asked.map(State::name), Some("LISTEN"), "{address}");
            assert!(!lookup.has(&FlowKey::new(service, stranger)), "{address}");
            drop(listener);
            assert_eq!(lookup.state(&FlowKey::new(service, stranger)).unwrap(), None, "{address}");
            drop(server);
            assert!(lookup.has(&back), "half closed, {address}");
            drop(client);
            let rests = || {
                let states = [&flow, &back].map(|flow| lookup.state(flow).unwrap());
                states.iter().flatten().all(|state| *state == State::TIME_WAIT)
            };
            assert!(
                (0..1000).any(|_| {
                    std::thread::yield_now();
                    rests()
                }),
                "ended, {address}"
            );
            assert!(!lookup.has(&flow) && !lookup.has(&back), "{address}");
        }
    }

    /// Through one socket of IPv6 that takes both, as many servers have.
    #[test]
    fn connections_of_ipv4_through_a_socket_of_ipv6_are_found() {
        let Ok(listener) = TcpListener::bind("[::]:0") else { return };
        let service = (Ipv4Addr::LOCALHOST, listener.local_addr().unwrap().port()).into();
        let client = TcpStream::connect(service).unwrap();
        let flow = FlowKey::new(service, client.local_addr().unwrap());
        assert!(SocketLookup::open().unwrap().has(&flow));
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for answer in [&[][..], &[0; 5], &[0; 40]] {
            assert!(read(answer).is_err(), "{answer:?}");
        }
        let refusal = |code: i32| {
            let mut answer = vec![0; 36];
            answer[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
            answer[16..20].copy_from_slice(&(-code).to_ne_bytes());
            answer
        };
        assert_eq!(read(&refusal(libc::ENOENT)).unwrap(), None);
        let refused = read(&refusal(libc::EPERM)).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EPERM));
    }
}
