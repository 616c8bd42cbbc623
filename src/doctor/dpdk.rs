//! Devices of DPDK ports: whether this program, and Linux, can give them to the engine.

use ringroad_hugepages::{PciAddress, PciDevice};

use super::finding::Finding;
use super::host::Host;
use super::ports::distance;

/// `device`: as the configuration names it; `built`: whether this program has DPDK.
pub(super) fn judge(device: &str, built: bool, cores: &[usize], host: &Host) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !built {
        findings.push(
            Finding::failure("dpdk", "this ringroad was built without DPDK")
                .fix("install libdpdk-dev, and build with --features dpdk"),
        );
    }
    // A virtual device (net_tap0, say) is DPDK's own.
    if let Ok(address) = device.split(',').next().unwrap_or_default().parse::<PciAddress>() {
        findings.extend(match PciDevice::read(&host.sysfs, address) {
            Some(device) => on_the_bus(&device, cores, host),
            None => vec![
                Finding::failure("pci-device", "there is no device at that address")
                    .fix("see those there are: dpdk-devbind.py --status-dev net"),
            ],
        });
    }
    findings.into_iter().map(|finding| finding.on(device)).collect()
}

fn on_the_bus(device: &PciDevice, cores: &[usize], host: &Host) -> Vec<Finding> {
    let mut findings = vec![binding(device, host)];
    if device.driver.as_deref() == Some(VFIO) {
        findings.push(guard(device, host));
    }
    findings.extend(device.node.and_then(|node| distance(node, cores, host)));
    findings
}

fn binding(device: &PciDevice, host: &Host) -> Finding {
    let bind = format!("dpdk-devbind.py --bind={VFIO} {}", device.address);
    let bind = if host.vfio.loaded { bind } else { format!("modprobe {VFIO} && {bind}") };
    match device.driver.as_deref() {
        Some(driver) if BY_USERS.contains(&driver) => {
            Finding::ok("pci-driver", format!("bound to {driver}"))
        }
        Some(driver) if BIFURCATED.contains(&driver) => {
            Finding::ok("pci-driver", format!("bound to {driver}, which DPDK works with"))
        }
        Some(driver) => {
            Finding::failure("pci-driver", format!("bound to {driver}, the kernel's own driver"))
                .fix(format!("{bind} (its interface goes from Linux: not the one you came by)"))
        }
        None => Finding::failure("pci-driver", "bound to no driver").fix(bind),
    }
}

fn guard(device: &PciDevice, host: &Host) -> Finding {
    match device.iommu_group {
        Some(group) => Finding::ok("iommu", format!("group {group}")),
        None if host.vfio.unsafe_without_iommu => Finding::warning(
            "iommu",
            "VFIO works without one here: the device can write to any memory",
        )
        .fix(IOMMU_FIX),
        None => Finding::failure("iommu", "none guards the device, and VFIO insists on one")
            .fix(IOMMU_FIX),
    }
}

pub(super) const IOMMU_FIX: &str = "enable VT-d or AMD-Vi in the firmware, and boot with \
     intel_iommu=on iommu=pt (Intel) or iommu=pt (AMD)";

const VFIO: &str = "vfio-pci";
/// Drivers that hand a device to a process.
const BY_USERS: [&str; 3] = [VFIO, "uio_pci_generic", "igb_uio"];
/// Drivers of the kernel's that DPDK drives a device together with.
const BIFURCATED: [&str; 3] = ["mlx4_core", "mlx5_core", "mana"];
