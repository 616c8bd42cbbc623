//! What DPDK refuses, and why.

use std::ffi::c_int;
use std::fmt;
use std::io;

use crate::limits::{BUFFER_LEN_MAX, BUFFER_LEN_MIN, FRAMES_MAX, POOL_NAME_OCTETS_MAX};
use crate::raw;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("DPDK was started before in this process, and starts once; start another process")]
    Started,

    #[error("cannot redirect DPDK's log: out of memory")]
    Log,

    #[error("cannot set this process up for DPDK: {0}")]
    Process(io::Error),

    #[error("{what} {text:?} holds a zero octet, which DPDK cannot be given; remove it")]
    ZeroOctet { what: &'static str, text: String },

    #[error(
        "cannot start DPDK with {megabytes} MB on hugepages: {reason}; reserve some \
         (sysctl vm.nr_hugepages=N), or give it ordinary memory"
    )]
    Hugepages { megabytes: u32, reason: Reason },

    #[error("DPDK does not start with {arguments}: {reason}; correct these settings")]
    Start { arguments: String, reason: Reason },

    #[error("\"{0}\" is no PCI address; write it as in 0000:3b:00.0 (lspci -D)")]
    PciAddress(String),

    #[error("there is no PCI device {0}; see which there are: lspci -D")]
    NoPciDevice(String),

    #[error(
        "PCI device {address} is {bound}, where DPDK cannot use it; \
         bind it to vfio-pci: dpdk-devbind.py --bind=vfio-pci {address}"
    )]
    PciDriver { address: String, bound: String },

    #[error("PCI device {0} was not named when DPDK was started; add it to the devices named then")]
    PciNotNamed(String),

    #[error(
        "DPDK has no driver for \"{0}\"; for a virtual device start the name with its driver's, \
         as in net_tap0"
    )]
    NoDriver(String),

    #[error("device {0} is attached already; give each device a name of its own")]
    Attached(String),

    #[error(
        "cannot attach {device}: interface {interface} exists already; \
         remove it (ip link del {interface}), or give the device another name in iface="
    )]
    InterfaceExists { device: String, interface: String },

    #[error(
        "cannot attach {device}{}: {reason}; check the device's name and arguments",
        with(.arguments)
    )]
    Attach { device: String, arguments: String, reason: Reason },

    #[error("{device} is no Ethernet device; name one that is")]
    NotEthernet { device: String },

    #[error("a pool's name has 1 to {POOL_NAME_OCTETS_MAX} octets, \"{0}\" has {len}; choose another", len = .0.len())]
    PoolName(String),

    #[error("{0} frames asked for in a pool; it holds from 1 to {FRAMES_MAX}")]
    Frames(u32),

    #[error("buffers of {0} octets asked for; they have from {BUFFER_LEN_MIN} to {BUFFER_LEN_MAX}")]
    BufferLen(u16),

    #[error("a pool named \"{0}\" exists already; give each a name of its own")]
    PoolExists(String),

    #[error(
        "cannot make pool \"{name}\" of {frames} frames, some {megabytes} MB: {reason}; \
         give DPDK more memory, or the pool fewer frames"
    )]
    Pool { name: String, frames: u32, megabytes: u64, reason: Reason },

    #[error(
        "{device} takes 1 to {max} {direction} queues, {asked} were asked for; ask for so many"
    )]
    Queues { device: String, direction: &'static str, asked: u16, max: u16 },

    #[error(
        "an MTU of {mtu} does not fit {device}, which takes {min} to {max} here; \
         lower it, or make the pool's buffers longer"
    )]
    Mtu { device: String, mtu: u16, min: u16, max: u16 },

    #[error("cannot {doing} {device}: {reason}")]
    Device { doing: &'static str, device: String, reason: Reason },

    #[error("this thread is registered with DPDK already; keep what it was given then")]
    ThreadRegistered,

    #[error("cannot register this thread with DPDK: {0}")]
    Thread(Reason),
}

/// Why DPDK refused: an error number, and its own words where it had any.
#[derive(Debug)]
pub struct Reason {
    errno: c_int,
    complaint: Option<String>,
}

impl Reason {
    /// `errno` is DPDK's, of either sign.
    pub(crate) fn new(errno: c_int, complaint: Option<String>) -> Self {
        Reason { errno: errno.abs(), complaint }
    }

    /// Whether memory is what is lacking: without any hugepages, the number is EACCES.
    pub(crate) fn is_lack_of_memory(&self) -> bool {
        matches!(self.errno, libc::ENOMEM | libc::EACCES)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = io::Error::from_raw_os_error(self.errno).to_string();
        let error = error.split(" (os error").next().unwrap_or_default();
        match &self.complaint {
            // -1 is what drivers return when they name no error: it is not what it reads as.
            Some(complaint) if self.errno == libc::EPERM => f.write_str(complaint),
            Some(complaint) => write!(f, "{error} ({complaint})"),
            None => f.write_str(error),
        }
    }
}

/// The error number of DPDK's last call on this thread.
#[allow(unsafe_code, reason = "DPDK keeps it in a variable of the thread")]
pub(crate) fn last_errno() -> c_int {
    // SAFETY: reads a variable of this thread.
    unsafe { raw::rr_errno() }
}

fn with(arguments: &str) -> String {
    if arguments.is_empty() { String::new() } else { format!(" with \"{arguments}\"") }
}
