//! PCI addresses, and whose device is at one.

use std::fs;
use std::path::Path;

use crate::Error;

/// Whether a device's name is meant as a PCI address: no virtual device has a colon in it.
pub(crate) fn is_address(device: &str) -> bool {
    device.contains(':')
}

/// Checks that DPDK may take the device. It takes from the kernel, without a word, some devices
/// that are in use: so this is asked before it is.
pub(crate) fn check(address: &str) -> Result<(), Error> {
    if !is_well_formed(address) {
        return Err(Error::PciAddress(address.to_owned()));
    }
    let device = Path::new("/sys/bus/pci/devices").join(address);
    if !device.is_dir() {
        return Err(Error::NoPciDevice(address.to_owned()));
    }
    let driver = fs::read_link(device.join("driver")).ok();
    let driver = driver.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy());
    match driver {
        Some(driver) if USABLE_DRIVERS.contains(&&*driver) => Ok(()),
        Some(driver) => Err(Error::PciDriver {
            address: address.to_owned(),
            bound: format!("bound to the kernel's driver {driver}"),
        }),
        None => Err(Error::PciDriver {
            address: address.to_owned(),
            bound: "bound to no driver".into(),
        }),
    }
}

/// Drivers of the kernel that leave a device to user space, or share it (Mellanox, Microsoft).
const USABLE_DRIVERS: [&str; 6] =
    ["vfio-pci", "uio_pci_generic", "igb_uio", "mlx5_core", "mlx4_core", "mana"];

/// `0000:3b:00.0`, as sysfs names devices.
fn is_well_formed(address: &str) -> bool {
    let octets = address.as_bytes();
    octets.len() == 12
        && octets.iter().enumerate().all(|(place, octet)| match place {
            4 | 7 => *octet == b':',
            10 => *octet == b'.',
            11 => matches!(octet, b'0'..=b'7'),
            _ => matches!(octet, b'0'..=b'9' | b'a'..=b'f'),
        })
}
