//! Keeping Linux off the ports that the origin legs connect from.
//!
//! Linux and the engine share the host's addresses. Linux must not pick one of our source ports
//! for a connection of its own ([`ReservedPorts`]), and what it has bound there already has to be
//! told to the operator ([`clashes`]).

use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::{ControlFlow, RangeInclusive};
use std::path::{Path, PathBuf};

use super::sockets::{self, Socket, State};
use crate::limits::CLASHES_MAX;

/// The list of ports that Linux does not hand out by itself, in the current network namespace.
const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";

/// Linux's list could not be read, understood or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", .path.display())]
pub struct ReservedPortsError {
    path: PathBuf,
    problem: String,
}

impl ReservedPortsError {
    fn new(path: &Path, problem: impl fmt::Display) -> Self {
        ReservedPortsError { path: path.to_owned(), problem: problem.to_string() }
    }
}

/// Ports that Linux will not choose for itself while this lives.
///
/// What the operator had reserved stays reserved, then and afterwards; dropping this takes back
/// just what it added. Ports that were on the list before, left there by a crash or put there by
/// somebody else, stay.
#[derive(Debug)]
pub struct ReservedPorts {
    path: PathBuf,
    added: PortSet,
}

impl ReservedPorts {
    /// Reserves `ranges` in the network namespace of the calling thread. Drop it on a thread of
    /// the same namespace.
    pub fn reserve(ranges: &[RangeInclusive<u16>]) -> Result<Self, ReservedPortsError> {
        Self::reserve_in(Path::new(RESERVED), ranges)
    }

    /// The same with the list in another file.
    pub fn reserve_in(
        path: &Path,
        ranges: &[RangeInclusive<u16>],
    ) -> Result<Self, ReservedPortsError> {
        let before = read_ports(path)?;
        let mut added = PortSet::default();
        for port in ranges.iter().cloned().flatten() {
            if !before.contains(port) {
                added.insert(port);
            }
        }
        if !added.is_empty() {
            let mut merged = before;
            added.ports().for_each(|port| merged.insert(port));
            write_ports(path, &merged)?;
        }
        Ok(ReservedPorts { path: path.to_owned(), added })
    }

    /// Of `ports`, how many are on Linux's list as things are.
    pub fn already(ports: &RangeInclusive<u16>) -> Result<usize, ReservedPortsError> {
        let reserved = read_ports(Path::new(RESERVED))?;
        Ok(ports.clone().filter(|port| reserved.contains(*port)).count())
    }
}

impl Drop for ReservedPorts {
    fn drop(&mut self) {
        if self.added.is_empty() {
            return;
        }
        // Read anew: the operator may have changed the list meanwhile.
        let result = read_ports(&self.path).and_then(|mut now| {
            self.added.ports().for_each(|port| now.remove(port));
            write_ports(&self.path, &now)
        });
        if let Err(error) = result {
            tracing::warn!("source ports stay reserved in Linux: {error}; remove them there");
        }
    }
}

fn read_ports(path: &Path) -> Result<PortSet, ReservedPortsError> {
    let text = fs::read_to_string(path).map_err(|error| ReservedPortsError::new(path, error))?;
    PortSet::parse(&text).ok_or_else(|| {
        ReservedPortsError::new(path, format_args!("not a list of ports: {:?}", text.trim()))
    })
}

fn write_ports(path: &Path, ports: &PortSet) -> Result<(), ReservedPortsError> {
    fs::write(path, format!("{ports}\n")).map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "; needs CAP_NET_ADMIN and a writable /proc/sys"
            }
            _ => "",
        };
        ReservedPortsError::new(path, format_args!("cannot reserve source ports: {error}{hint}"))
    })
}

/// A set of ports, written as Linux writes it: `1-3,5`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PortSet {
    bits: Box<[u64]>,
}

impl Default for PortSet {
    fn default() -> Self {
        PortSet { bits: vec![0; (1 << 16) / 64].into() }
    }
}

impl PortSet {
    fn parse(text: &str) -> Option<PortSet> {
        let mut ports = PortSet::default();
        for range in text.trim().split(',').filter(|range| !range.is_empty()) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
            (first..=last).for_each(|port| ports.insert(port));
        }
        Some(ports)
    }

    fn insert(&mut self, port: u16) {
        self.bits[usize::from(port) / 64] |= 1 << (port % 64);
    }

    fn remove(&mut self, port: u16) {
        self.bits[usize::from(port) / 64] &= !(1 << (port % 64));
    }

    fn contains(&self, port: u16) -> bool {
        self.bits[usize::from(port) / 64] >> (port % 64) & 1 == 1
    }

    fn is_empty(&self) -> bool {
        self.bits.iter().all(|bits| *bits == 0)
    }

    fn ports(&self) -> impl Iterator<Item = u16> {
        (0..=u16::MAX).filter(|port| self.contains(*port))
    }
}

impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let mut ports = self.ports().peekable();
        while let Some(first) = ports.next() {
            let mut last = first;
            while let Some(next) = ports.next_if(|next| *next == last.saturating_add(1)) {
                last = next;
            }
            write!(f, "{separator}{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
            separator = ",";
        }
        Ok(())
    }
}

/// A socket of Linux's own on a port that is to be ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clash {
    /// What it is bound to.
    pub local: SocketAddr,
    /// Its state, as `ss` calls it.
    pub state: &'static str,
}

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Clash { local, state } = self;
        write!(
            f,
            "Linux has a TCP socket on {local} ({state}); choose other egress.source_ports, or stop \
             what holds it (`ss -tanp 'sport = :{}'`)",
            local.port()
        )
    }
}

/// TCP sockets of Linux's own on `address`, or on all addresses, with a port in `ports`; the
/// first [`CLASHES_MAX`]. A socket on all IPv6 addresses counts against IPv4 as well, as it
/// usually takes both. Sockets that are bound but neither listen nor are connected are not
/// listed by Linux, and so not here. Nor are those in TIME-WAIT: they have nothing left to say,
/// and a proxy that ran here before leaves thousands.
pub fn clashes(address: IpAddr, ports: RangeInclusive<u16>) -> io::Result<Vec<Clash>> {
    clashes_in(&sockets::TABLES.map(Path::new), address, ports)
}

fn clashes_in(
    tables: &[&Path],
    address: IpAddr,
    ports: RangeInclusive<u16>,
) -> io::Result<Vec<Clash>> {
    let mut clashes = Vec::new();
    sockets::each(tables, |socket| {
        let Socket { local, state, .. } = socket;
        let bound = local.ip();
        let ours = bound == address
            || bound == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
            || (bound == IpAddr::V4(Ipv4Addr::UNSPECIFIED) && address.is_ipv4());
        if ours && ports.contains(&local.port()) && state != State::TIME_WAIT {
            clashes.push(Clash { local, state: state.name() });
        }
        if clashes.len() < CLASHES_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(clashes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn list(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn content(file: &tempfile::NamedTempFile) -> String {
        fs::read_to_string(file.path()).unwrap().trim().to_owned()
    }

    #[test]
    fn ours_are_added_and_taken_back_and_the_operators_stay() {
        let file = list("8080,20005-20010\n");
        let guard = ReservedPorts::reserve_in(file.path(), &[20000..=20007]).unwrap();
        assert_eq!(content(&file), "8080,20000-20010");
        drop(guard);
        assert_eq!(content(&file), "8080,20005-20010");
    }

    #[test]
    fn what_the_operator_changes_meanwhile_is_kept() {
        let file = list("\n");
        let guard = ReservedPorts::reserve_in(file.path(), &[65000..=65535]).unwrap();
        assert_eq!(content(&file), "65000-65535");
        fs::write(file.path(), "9000,65000-65535\n").unwrap();
        drop(guard);
        assert_eq!(content(&file), "9000");
    }

    #[test]
    fn a_list_left_by_a_crash_is_fine() {
        let file = list("20000-59999\n");
        drop(ReservedPorts::reserve_in(file.path(), &[20000..=59999]).unwrap());
        assert_eq!(content(&file), "20000-59999");
    }

    #[test]
    fn a_list_that_cannot_be_used_is_named() {
        let file = list("a-b\n");
        let error = ReservedPorts::reserve_in(file.path(), &[1..=2]).unwrap_err().to_string();
        assert!(error.contains(&*file.path().to_string_lossy()), "{error}");
        assert!(error.contains("a-b"), "{error}");
        let error = ReservedPorts::reserve_in(Path::new("/nonexistent"), &[1..=2]).unwrap_err();
        assert!(error.to_string().starts_with("/nonexistent: "), "{error}");
    }

    const TCP4: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:4E20 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   1: 0202010A:4E21 0102010A:01BB 06 00000000:00000000 03:00000FFF 00000000     0        0 0 3
   2: 0100007F:4E22 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   3: 0202010A:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
";
    const TCP6: &str = "\
  sl  local_address                         remote_address                        st tx_queue
   0: 00000000000000000000000000000000:4E23 00000000000000000000000000000000:0000 0A 00000000
   1: 0000000000000000FFFF00000202010A:4E24 0000000000000000FFFF00000102010A:01BB 01 00000000
   2: B80D0120000000000000000001000000:4E25 00000000000000000000000000000000:0000 0A 00000000
";

    #[test]
    #[cfg(target_endian = "little")]
    fn sockets_in_the_way_are_found_and_others_left() {
        let (v4, v6) = (list(TCP4), list(TCP6));
        let tables = [v4.path(), v6.path()];
        let found = |address: &str, ports| {
            let clashes = clashes_in(&tables, address.parse().unwrap(), ports).unwrap();
            clashes.iter().map(|c| format!("{} {}", c.local, c.state)).collect::<Vec<_>>()
        };
        assert_eq!(
            found("10.1.2.2", 20000..=20010),
            ["0.0.0.0:20000 LISTEN", "[::]:20003 LISTEN", "10.1.2.2:20004 ESTABLISHED",]
        );
        assert_eq!(
            found("2001:db8::1", 20000..=20010),
            ["[::]:20003 LISTEN", "[2001:db8::1]:20005 LISTEN"]
        );
        assert!(found("10.1.2.2", 30000..=40000).is_empty());
    }

    proptest! {
        #[test]
        fn a_list_survives_being_written_and_read(ports in prop::collection::vec(any::<u16>(), 0..50)) {
            let mut set = PortSet::default();
            ports.iter().for_each(|port| set.insert(*port));
            prop_assert_eq!(PortSet::parse(&set.to_string()), Some(set));
        }

        #[test]
        fn no_line_makes_it_panic(line in "\\PC{0,80}") {
            PortSet::parse(&line);
        }
    }
}
