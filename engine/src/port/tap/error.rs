//! Why an interface in Linux could not be opened, in words for the operator.

use std::io;

/// Each is one line: what is wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "{interface}: no name for an interface; it has one to {NAME_OCTETS_MAX} octets, without \
         blanks, `/`, `:` and `%`"
    )]
    Name { interface: String },
    #[error(
        "{interface}: this name is taken by a device that is no TAP with a single queue; choose \
         another, or remove the device (`ip link del {interface}`)"
    )]
    Taken { interface: String },
    #[error(
        "{interface}: another program has this TAP device open; stop it (`ip -d tuntap list` names \
         it), or choose another name"
    )]
    Busy { interface: String },
    #[error(
        "{interface}: no /dev/net/tun; load the kernel's module (`modprobe tun`), or give the \
         container the device"
    )]
    NoDevice { interface: String },
    #[error(
        "{interface}: a TAP device needs root or CAP_NET_ADMIN, and write access to /dev/net/tun; \
         run as root, or grant them to the service"
    )]
    NoPrivileges { interface: String },
    #[error("{interface}: cannot {step}: {source}; see the kernel's log (`dmesg`)")]
    System { interface: String, step: &'static str, source: io::Error },
}

impl OpenError {
    /// What went wrong at a step that a lack of privileges could be the cause of.
    pub(super) fn from_step(interface: String, step: &'static str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::PermissionDenied => OpenError::NoPrivileges { interface },
            _ => OpenError::System { interface, step, source },
        }
    }
}

use super::device::NAME_OCTETS_MAX;
