//! Why an AF_XDP port could not be opened, in words for the operator.

use std::io;

/// Each is one line: what is wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "{interface}: AF_XDP needs root or CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON; run as \
         root, or grant them to the service"
    )]
    NoPrivileges { interface: String },
    #[error(
        "{interface}: this kernel has no AF_XDP; use Linux 5.15 or later built with \
         CONFIG_XDP_SOCKETS"
    )]
    NoKernelSupport { interface: String },
    #[error("{interface}: no such interface; see `ip link` for those there are")]
    NoInterface { interface: String },
    #[error(
        "{interface}: no queue {queue}, or no XDP on it; see `ethtool -l {interface}`, and lower \
         `queues` or give the interface more"
    )]
    NoQueue { interface: String, queue: u32 },
    #[error(
        "{interface}: queue {queue} is in use by another AF_XDP socket; stop the program that has \
         it (`ss --xdp -p` names it)"
    )]
    Busy { interface: String, queue: u32 },
    #[error("{interface}: its driver has no zero-copy AF_XDP; set `xdp_mode` to `auto` or `copy`")]
    ZeroCopyUnsupported { interface: String },
    #[error(
        "{interface}: {octets} octets of packet memory are over the limit of locked memory; raise \
         it (`ulimit -l`, LimitMEMLOCK= in systemd) or grant CAP_IPC_LOCK"
    )]
    LockedMemory { interface: String, octets: usize },
    #[error(
        "{interface}: a ring of {entries} entries; it has to be a power of two from \
         {RING_ENTRIES_MIN} to {RING_ENTRIES_MAX}"
    )]
    RingSize { interface: String, entries: u32 },
    #[error(
        "{interface}: {free} frames are free and the receive ring alone wants {wanted}; raise \
         `engine.frames` or make the rings smaller"
    )]
    TooFewFrames { interface: String, free: usize, wanted: usize },
    #[error("{interface}: {step}: {source}; see the kernel's log (`dmesg`)")]
    System { interface: String, step: &'static str, source: io::Error },
}

use crate::limits::{RING_ENTRIES_MAX, RING_ENTRIES_MIN};
