//! The calls that make and set up a TAP device (the kernel's `Documentation/networking/tuntap.rst`,
//! netdevice(7)).

#![allow(unsafe_code, reason = "interfaces are made and set up with ioctl")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixDatagram;

use super::OpenError;
use crate::wire::ethernet::MacAddr;

/// Longest name of an interface [octets].
pub(super) const NAME_OCTETS_MAX: usize = libc::IFNAMSIZ - 1;

/// Opens the TAP device of that name, and tells whether it had to be made.
pub(super) fn open(interface: &str) -> Result<(File, bool), OpenError> {
    let named = || interface.to_owned();
    if !is_name(interface) {
        return Err(OpenError::Name { interface: named() });
    }
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")
        .map_err(|source| match source.raw_os_error() {
            // The file, or the driver behind it.
            Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => {
                OpenError::NoDevice { interface: named() }
            }
            _ => OpenError::from_step(named(), "open /dev/net/tun", source),
        })?;
    let was_made = attach(&device, interface)?;
    // An earlier owner may have asked for packets with checksums left out, or longer than the MTU.
    // SAFETY: the descriptor is open, and the argument is a set of flags.
    unsafe { ioctl::set_offload(device.as_raw_fd(), 0) }
        .map_err(|errno| OpenError::from_step(named(), "switch its offloads off", errno.into()))?;
    Ok((device, was_made))
}

/// Makes `device` the TAP of that name. Returns whether there was none.
fn attach(device: &File, interface: &str) -> Result<bool, OpenError> {
    let mut request = request(interface);
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: a live request that says its interface and flags, as the call wants it.
    let attached = unsafe { ioctl::set_interface(device.as_raw_fd(), &request) };
    let named = || interface.to_owned();
    attached.map_err(|errno| match errno {
        nix::Error::EINVAL => OpenError::Taken { interface: named() },
        nix::Error::EBUSY => OpenError::Busy { interface: named() },
        other => OpenError::from_step(named(), "open a TAP device", other.into()),
    })?;
    // SAFETY: a live request, which the call writes the interface and its flags into.
    let described = unsafe { ioctl::get_interface(device.as_raw_fd(), &mut request) };
    described.map_err(|errno| OpenError::from_step(named(), "ask for its flags", errno.into()))?;
    // SAFETY: the flags are what the call has written.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    // What does not outlast its owner had none before: so it is ours.
    Ok(libc::c_int::from(flags) & libc::IFF_PERSIST == 0)
}

pub(super) fn set_mac(device: &File, mac: MacAddr) -> io::Result<()> {
    let mut address = libc::sockaddr { sa_family: libc::ARPHRD_ETHER, sa_data: [0; 14] };
    for (to, from) in address.sa_data.iter_mut().zip(mac.0) {
        *to = from as libc::c_char;
    }
    // The device knows its own name.
    let mut request = request("");
    request.ifr_ifru.ifru_hwaddr = address;
    // SAFETY: a live request that says an Ethernet address, as the call wants it.
    unsafe { ioctl::set_mac(device.as_raw_fd(), &request) }?;
    Ok(())
}

pub(super) fn set_carrier(device: &File, up: bool) -> io::Result<()> {
    // SAFETY: a live integer, which the call reads.
    unsafe { ioctl::set_carrier(device.as_raw_fd(), &libc::c_int::from(up)) }?;
    Ok(())
}

pub(super) fn set_mtu(interface: &str, mtu: u16) -> io::Result<()> {
    let mut request = request(interface);
    request.ifr_ifru.ifru_mtu = mtu.into();
    // SAFETY: a live request that says its interface and an MTU, as the call wants it.
    unsafe { ioctl::set_mtu(any_socket()?.as_raw_fd(), &request) }?;
    Ok(())
}

pub(super) fn bring_up(interface: &str) -> io::Result<()> {
    let socket = any_socket()?;
    let mut request = request(interface);
    // SAFETY: a live request that says its interface; the call writes the flags into it.
    unsafe { ioctl::get_flags(socket.as_raw_fd(), &mut request) }?;
    // SAFETY: the flags are what the call before has written.
    unsafe { request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short };
    // SAFETY: a live request that says its interface and flags, as the call wants it.
    unsafe { ioctl::set_flags(socket.as_raw_fd(), &request) }?;
    Ok(())
}

/// Whether the kernel takes it for a name, and for no pattern.
fn is_name(interface: &str) -> bool {
    (1..=NAME_OCTETS_MAX).contains(&interface.len())
        && !matches!(interface, "." | "..")
        && !interface.contains(|c: char| c.is_whitespace() || matches!(c, '/' | ':' | '%' | '\0'))
}

/// A request about an interface whose name was checked.
fn request(interface: &str) -> libc::ifreq {
    // SAFETY: a structure of integers, and a pointer that no call of ours reads.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last octet stays zero.
    for (to, from) in request.ifr_name[..NAME_OCTETS_MAX].iter_mut().zip(interface.bytes()) {
        *to = from as libc::c_char;
    }
    request
}

/// Interfaces are set up by way of a socket, whichever.
fn any_socket() -> io::Result<UnixDatagram> {
    UnixDatagram::unbound()
}

mod ioctl {
    //! The numbers are those of linux/if_tun.h and linux/sockios.h.

    use nix::{ioctl_read_bad, ioctl_write_int_bad, ioctl_write_ptr_bad};

    ioctl_write_ptr_bad!(set_interface, libc::TUNSETIFF, libc::ifreq);
    ioctl_read_bad!(get_interface, libc::TUNGETIFF, libc::ifreq);
    ioctl_write_int_bad!(set_offload, libc::TUNSETOFFLOAD);
    ioctl_write_ptr_bad!(set_carrier, libc::TUNSETCARRIER, libc::c_int);
    ioctl_write_ptr_bad!(set_mac, libc::SIOCSIFHWADDR, libc::ifreq);
    ioctl_write_ptr_bad!(set_mtu, libc::SIOCSIFMTU, libc::ifreq);
    ioctl_read_bad!(get_flags, libc::SIOCGIFFLAGS, libc::ifreq);
    ioctl_write_ptr_bad!(set_flags, libc::SIOCSIFFLAGS, libc::ifreq);
}
