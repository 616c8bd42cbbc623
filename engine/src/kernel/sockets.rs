//! The TCP sockets that Linux has, and among them the connections that it serves.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::ControlFlow;
use std::path::Path;

/// TCP sockets of the network namespace of the calling thread (`/proc/net` is the process's).
pub(super) const TABLES: [&str; 2] = ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"];

/// A TCP socket of Linux's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) state: State,
}

/// A TCP state in the kernel's numbering (`include/net/tcp_states.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State(u8);

impl State {
    pub(super) const TIME_WAIT: State = State(6);
    const CLOSED: State = State(7);
    const LISTEN: State = State(10);

    pub(super) fn of(number: u8) -> Self {
        State(number)
    }

    /// Of a connection; one in TIME-WAIT has nothing left to say.
    pub(super) fn is_connected(self) -> bool {
        ![State::LISTEN, State::CLOSED, State::TIME_WAIT].contains(&self)
    }

    /// As `ss` calls it.
    pub(super) fn name(self) -> &'static str {
        match self.0 {
            1 => "ESTABLISHED",
            2 => "SYN-SENT",
            3 | 12 => "SYN-RECEIVED",
            4 => "FIN-WAIT-1",
            5 => "FIN-WAIT-2",
            6 => "TIME-WAIT",
            7 => "CLOSED",
            8 => "CLOSE-WAIT",
            9 => "LAST-ACK",
            10 => "LISTEN",
            11 => "CLOSING",
            _ => "in a state unknown to us",
        }
    }
}

/// A connection of Linux's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelConnection {
    /// The end at this host.
    pub local: SocketAddr,
    pub remote: SocketAddr,
}

/// The connections that Linux has from those local addresses and ports that `wanted` says yes to, but
/// for those in TIME-WAIT.
pub fn connections(wanted: impl Fn(SocketAddr) -> bool) -> io::Result<Vec<KernelConnection>> {
    connections_in(&TABLES.map(Path::new), wanted)
}

fn connections_in(
    tables: &[&Path],
    wanted: impl Fn(SocketAddr) -> bool,
) -> io::Result<Vec<KernelConnection>> {
    let mut connections = Vec::new();
    each(tables, |Socket { local, remote, state }| {
        if state.is_connected() && wanted(local) {
            connections.push(KernelConnection { local, remote });
        }
        ControlFlow::Continue(())
    })?;
    Ok(connections)
}

/// Calls `visit` with each socket in `tables`, until it breaks off.
pub(super) fn each(
    tables: &[&Path],
    mut visit: impl FnMut(Socket) -> ControlFlow<()>,
) -> io::Result<()> {
    for path in tables {
        let table = match File::open(path) {
            Ok(table) => BufReader::new(table),
            // Without IPv6 there is no table of its sockets.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for line in table.lines() {
            if let Some(socket) = parse(&line?)
                && visit(socket).is_break()
            {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Reads a line such as `0: 0100007F:1F90 00000000:0000 0A …`; `None` for the heading.
fn parse(line: &str) -> Option<Socket> {
    let mut fields = line.split_ascii_whitespace();
    let local = parse_end(fields.nth(1)?)?;
    let remote = parse_end(fields.next()?)?;
    let state = State(u8::from_str_radix(fields.next()?, 16).ok()?);
    Some(Socket { local, remote, state })
}

/// Reads an address and port; the address is written as words of the host's byte order.
fn parse_end(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(address.get(8 * at..8 * at + 8)?, 16).ok();
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?.to_ne_bytes())),
        32 => {
            let mut octets = [0; 16];
            for (at, chunk) in octets.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(at)?.to_ne_bytes());
            }
            Ipv6Addr::from(octets).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use proptest::prelude::*;

    use super::*;

    /// Two sockets of one connection, by IPv4 through an IPv6 socket, and by IPv6; they share the
    /// process's namespace with whatever else runs there.
    #[test]
    fn connections_to_a_service_are_found_and_its_listener_is_none() {
        for bind in ["[::]:0", "127.0.0.1:0"] {
            // A host may be without IPv6.
            let Ok(listener) = TcpListener::bind(bind) else { continue };
            let port = listener.local_addr().unwrap().port();
            let local = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let client = TcpStream::connect(local).unwrap();
            let server = listener.accept().unwrap();
            let expected = KernelConnection { local, remote: client.local_addr().unwrap() };
            assert_eq!(connections(|end| end.port() == port).unwrap(), [expected], "{bind}");
            drop((client, server));
        }
    }

    #[test]
    fn other_lines_are_left_out() {
        for line in ["", "sl local", "0: : : :", "0: 0G:1 2:3 4", "0: 0100007F:1F90 0:0", "é é é é"]
        {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in "\\PC{0,80}") {
            parse(&line);
            parse_end(&line);
        }
    }
}
