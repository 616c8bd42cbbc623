//! What can go wrong between us and the kernel.

use std::io;

use crate::AttachedMode;
use crate::limits::{
    EGRESS_ADDRESSES_MAX, EGRESS_RANGES_MAX, FINGERPRINTS_MAX, LIST_PREFIXES_MAX, PORTS_MAX,
    QUEUES_MAX, SERVICE_ADDRESSES_MAX, SERVICES_MAX,
};

#[derive(Debug, thiserror::Error)]
pub enum ShieldError {
    #[error("{0} ports given; the shield serves at most {PORTS_MAX}")]
    TooManyPorts(usize),

    #[error("port {0} was named, but the settings list no such port")]
    UnknownPort(u32),

    #[error("queue {0} is out of range: queues are numbered from 0, at most {QUEUES_MAX} a port")]
    QueueOutOfRange(u32),

    #[error("service {0} is out of range: at most {SERVICES_MAX} services")]
    ServiceOutOfRange(u32),

    #[error("{0} addresses to listen on; the shield holds at most {SERVICE_ADDRESSES_MAX}")]
    TooManyServiceAddresses(usize),

    #[error("{address} on port {port_index} was given to two services; give it to one")]
    DuplicateServiceAddress { address: std::net::SocketAddr, port_index: u32 },

    #[error("{0} egress addresses; the shield holds at most {EGRESS_ADDRESSES_MAX}")]
    TooManyEgressAddresses(usize),

    #[error(
        "{ranges} separate ranges of source ports on egress address {address}; \
         at most {EGRESS_RANGES_MAX}: join some"
    )]
    TooManyEgressRanges { address: std::net::IpAddr, ranges: usize },

    #[error("{0} connections to be known; the shield tells at most {FINGERPRINTS_MAX} apart")]
    TooManyKnownFlows(usize),

    #[error("the ports are not those of the shield whose connections are to stay known")]
    OtherPorts,

    #[error("cannot share a table with the XDP program: {0}")]
    SharedTable(io::Error),

    #[error("{0} prefixes to deny or allow; the shield holds at most {LIST_PREFIXES_MAX}")]
    TooManyPrefixes(usize),

    #[error("{prefix} is to be denied and allowed; choose one")]
    ListedTwice { prefix: ipnet::IpNet },

    #[error("a rate of {rate} is out of range: from {min} to {max}")]
    RateOutOfRange { rate: u64, min: u64, max: u64 },

    #[error("prefixes of {v4} bits of IPv4 and {v6} of IPv6 are out of range: at most 32 and 128")]
    PrefixOutOfRange { v4: u8, v6: u8 },

    #[error("the prefixes of sources are longer than the sources are: give at most as many bits")]
    PrefixWithinSource,

    #[error("cannot load the XDP program{}: {source}{}", privilege_hint(.source), tail(.log))]
    Load {
        source: libbpf_rs::Error,
        /// The end of what libbpf and the verifier said.
        log: String,
    },

    #[error("cannot {doing} of the XDP program: {source}")]
    Map { doing: &'static str, source: libbpf_rs::Error },

    #[error("cannot read the clock: {0}")]
    Clock(io::Error),

    #[error("cannot map the control page of the XDP program: {0}")]
    ControlPage(io::Error),

    #[error(
        "{interface} already runs the XDP program \"{program}\" (id {id}); \
         detach it first: ip link set dev {interface} xdp off"
    )]
    OtherProgram { interface: String, program: String, id: u32 },

    #[error(
        "{interface} is already served by another ringroad (XDP program id {id}); stop it first"
    )]
    InUse { interface: String, id: u32 },

    #[error("cannot see which XDP program runs on {interface}: {source}")]
    Query { interface: String, source: io::Error },

    #[error(
        "cannot detach the XDP program (id {id}) that a crash left on {interface}: {source}; \
         try: ip link set dev {interface} xdp off"
    )]
    Recover { interface: String, id: u32, source: io::Error },

    #[error("cannot attach the XDP program to {interface} in {mode} mode: {source}")]
    Attach { interface: String, mode: AttachedMode, source: io::Error },

    #[error(
        "cannot load the tc program{}: {source}{}",
        privilege_hint(.source),
        tail(.log)
    )]
    LoadAcceptor { source: libbpf_rs::Error, log: String },

    #[error("cannot attach the tc program to {interface}: {source}")]
    AttachAcceptor { interface: String, source: io::Error },

    #[error("cannot replace the XDP program on {interface}: {source}")]
    Replace { interface: String, source: io::Error },

    #[error("cannot run the XDP program on a packet of {octets} octets: {source}")]
    DryRun { octets: usize, source: io::Error },
}

fn privilege_hint(source: &libbpf_rs::Error) -> &'static str {
    match source.kind() {
        libbpf_rs::ErrorKind::PermissionDenied => {
            " (needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, or root)"
        }
        _ => "",
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { String::new() } else { format!("; {}", lines.join(" | ")) }
}
