//! Devices on the PCI bus: who drives them, where they are, and whether an IOMMU guards them.

use std::fmt;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use crate::files::{link_name, text_or_none};

/// Where a device is on the bus, such as `0000:3b:00.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PciAddress {
    pub domain: u32,
    pub bus: u8,
    /// Below 32.
    pub device: u8,
    /// Below 8.
    pub function: u8,
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PciAddress { domain, bus, device, function } = self;
        write!(f, "{domain:04x}:{bus:02x}:{device:02x}.{function}")
    }
}

/// Not an address on the PCI bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotPci;

impl FromStr for PciAddress {
    type Err = NotPci;

    /// Reads `0000:3b:00.0`, or `3b:00.0` in domain 0.
    fn from_str(text: &str) -> Result<Self, NotPci> {
        let hex = |text: &str, max: u32| {
            let digits = text.bytes().all(|octet| octet.is_ascii_hexdigit());
            let number = u32::from_str_radix(text, 16).ok().filter(|number| *number <= max);
            number.filter(|_| digits).ok_or(NotPci)
        };
        let (rest, function) = text.rsplit_once('.').ok_or(NotPci)?;
        let (rest, device) = rest.rsplit_once(':').ok_or(NotPci)?;
        let (domain, bus) = rest.rsplit_once(':').unwrap_or(("0", rest));
        Ok(PciAddress {
            domain: hex(domain, u32::MAX)?,
            bus: hex(bus, 0xff)? as u8,
            device: hex(device, 0x1f)? as u8,
            function: hex(function, 7)? as u8,
        })
    }
}

/// A device that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PciDevice {
    pub address: PciAddress,
    /// The kernel driver that has it; `None` if nobody does.
    pub driver: Option<String>,
    pub node: Option<u32>,
    /// `None`: no IOMMU translates what it reads and writes.
    pub iommu_group: Option<u32>,
    /// Whether it is a network card (class 02).
    pub network: bool,
}

impl PciDevice {
    /// What the kernel shows of it under `sysfs` ([`crate::SYSFS`]); `None` if it is not there.
    pub fn read(sysfs: &Path, address: PciAddress) -> Option<Self> {
        let directory = sysfs.join("bus/pci/devices").join(address.to_string());
        if !directory.is_dir() {
            return None;
        }
        let class = text_or_none(&directory.join("class")).unwrap_or_default();
        Some(PciDevice {
            address,
            driver: link_name(&directory.join("driver")),
            node: node(&directory),
            iommu_group: link_name(&directory.join("iommu_group"))
                .and_then(|group| group.parse().ok()),
            network: class.starts_with("0x02"),
        })
    }

    /// All network cards, by address.
    pub fn network_cards(sysfs: &Path) -> Vec<Self> {
        let entries = fs::read_dir(sysfs.join("bus/pci/devices")).into_iter().flatten().flatten();
        let mut cards: Vec<_> = entries
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter_map(|address| PciDevice::read(sysfs, address))
            .filter(|device| device.network)
            .collect();
        cards.sort_by_key(|card| card.address);
        cards
    }
}

/// What is there to give PCI devices to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vfio {
    /// Whether the driver `vfio-pci` is loaded.
    pub loaded: bool,
    /// Whether an IOMMU is at work.
    pub iommu: bool,
    /// Whether VFIO may do without an IOMMU.
    pub unsafe_without_iommu: bool,
}

impl Vfio {
    /// Reads what the kernel shows under `sysfs` ([`crate::SYSFS`]).
    pub fn read(sysfs: &Path) -> Self {
        let groups = fs::read_dir(sysfs.join("kernel/iommu_groups"));
        let unsafe_mode = sysfs.join("module/vfio/parameters/enable_unsafe_noiommu_mode");
        Vfio {
            loaded: sysfs.join("bus/pci/drivers/vfio-pci").is_dir(),
            iommu: groups.is_ok_and(|mut groups| groups.next().is_some()),
            unsafe_without_iommu: text_or_none(&unsafe_mode).is_some_and(|value| value == "Y"),
        }
    }
}

/// The hardware behind a network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nic {
    /// Its driver in the kernel.
    pub driver: Option<String>,
    pub address: Option<PciAddress>,
    pub node: Option<u32>,
}

impl Nic {
    /// What the kernel shows under `sysfs` ([`crate::SYSFS`]) of an interface in this network
    /// namespace; `None` for one without hardware.
    pub fn read(sysfs: &Path, interface: &str) -> Option<Self> {
        let link = sysfs.join("class/net").join(interface).join("device");
        let device = fs::canonicalize(&link).ok()?;
        // A virtio device has no place of its own: the PCI device that it is on has.
        let pci = device.ancestors().find_map(|directory| {
            let address: PciAddress = directory.file_name()?.to_str()?.parse().ok()?;
            Some((directory, address))
        });
        Some(Nic {
            driver: link_name(&device.join("driver")),
            address: pci.map(|(_, address)| address),
            node: node(pci.map_or(&device, |(directory, _)| directory)),
        })
    }
}

/// The node of a device; `None` where the firmware says none (-1).
fn node(directory: &Path) -> Option<u32> {
    text_or_none(&directory.join("numa_node"))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::{lay_out, link};

    const NIC: &str = "devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0";

    /// A card of two ports, one of them given to VFIO; and a virtio interface.
    fn sysfs() -> tempfile::TempDir {
        let sysfs = tempfile::tempdir().unwrap();
        let root = sysfs.path();
        lay_out(
            root,
            &[
                ("devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/numa_node", "1"),
                ("devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/class", "0x020000"),
                ("devices/pci0000:3a/0000:3a:00.0/0000:3b:00.1/numa_node", "1"),
                ("devices/pci0000:3a/0000:3a:00.0/0000:3b:00.1/class", "0x020000"),
                ("devices/pci0000:00/0000:00:03.0/numa_node", "-1"),
                ("devices/pci0000:00/0000:00:03.0/class", "0x010802"),
            ],
        );
        link(root, &format!("{NIC}/driver"), "bus/pci/drivers/ice");
        link(
            root,
            "devices/pci0000:3a/0000:3a:00.0/0000:3b:00.1/driver",
            "bus/pci/drivers/vfio-pci",
        );
        link(root, &format!("{NIC}/iommu_group"), "kernel/iommu_groups/12");
        link(root, "bus/pci/devices/0000:3b:00.0", NIC);
        link(root, "bus/pci/devices/0000:3b:00.1", "devices/pci0000:3a/0000:3a:00.0/0000:3b:00.1");
        link(root, "bus/pci/devices/0000:00:03.0", "devices/pci0000:00/0000:00:03.0");
        link(root, "class/net/eth1/device", NIC);
        link(root, "class/net/eth0/device", "devices/pci0000:00/0000:00:03.0/virtio1");
        link(
            root,
            "devices/pci0000:00/0000:00:03.0/virtio1/driver",
            "bus/virtio/drivers/virtio_net",
        );
        lay_out(root, &[("class/net/veth0/mtu", "1500")]);
        sysfs
    }

    #[test]
    fn cards_are_found_with_driver_node_and_group() {
        let sysfs = sysfs();
        let cards = PciDevice::network_cards(sysfs.path());
        let shown: Vec<_> = cards
            .iter()
            .map(|card| (card.address.to_string(), card.driver.as_deref(), card.iommu_group))
            .collect();
        assert_eq!(
            shown,
            [
                ("0000:3b:00.0".to_owned(), Some("ice"), Some(12)),
                ("0000:3b:00.1".to_owned(), Some("vfio-pci"), None),
            ]
        );
        assert_eq!(cards[0].node, Some(1));
        assert_eq!(PciDevice::read(sysfs.path(), "0000:3b:00.7".parse().unwrap()), None);
        let vfio = Vfio { loaded: true, iommu: true, unsafe_without_iommu: false };
        assert_eq!(Vfio::read(sysfs.path()), vfio);
    }

    #[test]
    fn an_interface_is_led_back_to_its_hardware() {
        let sysfs = sysfs();
        let nic = |name| Nic::read(sysfs.path(), name);
        let expected =
            Nic { driver: Some("ice".to_owned()), address: "3b:00.0".parse().ok(), node: Some(1) };
        assert_eq!(nic("eth1"), Some(expected));
        let expected = Nic {
            driver: Some("virtio_net".to_owned()),
            address: "0000:00:03.0".parse().ok(),
            node: None,
        };
        assert_eq!(nic("eth0"), Some(expected));
        assert_eq!((nic("veth0"), nic("nosuch0")), (None, None));
    }

    #[test]
    fn addresses_are_told_from_names() {
        let parse = |text: &str| text.parse::<PciAddress>().map(|address| address.to_string());
        assert_eq!(parse("0000:3B:00.1").as_deref(), Ok("0000:3b:00.1"));
        assert_eq!(parse("3b:1f.7").as_deref(), Ok("0000:3b:1f.7"));
        for other in ["net_tap0", "", "3b:00", "0000:3b:20.0", "0000:3b:00.8", "+1:00.0", "::."] {
            assert_eq!(parse(other), Err(NotPci), "{other}");
        }
    }
}
