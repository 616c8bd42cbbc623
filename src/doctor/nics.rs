//! The network cards of a host of which nothing is asked yet.

use ringroad_engine::kernel::Routes;
use ringroad_engine::limits::MTU_MAX;
use ringroad_hugepages::PciDevice;

use super::dpdk::IOMMU_FIX;
use super::finding::Finding;
use super::host::Host;
use super::ports::Interface;

/// Interfaces with hardware behind them, then cards that Linux has no interface for.
pub(super) fn overview(host: &Host, routes: &Routes) -> Vec<Finding> {
    let interfaces: Vec<Interface> = routes
        .links()
        .filter(|link| link.mac.is_some())
        .map(|link| Interface::read(link.clone(), &host.sysfs, routes))
        .filter(|interface| interface.nic.is_some())
        .collect();
    let mut findings: Vec<_> = interfaces.iter().map(interface).collect();
    let has_interface = |card: &PciDevice| {
        let mut nics = interfaces.iter().filter_map(|interface| interface.nic.as_ref());
        nics.any(|nic| nic.address == Some(card.address))
    };
    let cards = PciDevice::network_cards(&host.sysfs);
    findings.extend(cards.iter().filter(|card| !has_interface(card)).map(card));
    findings.push(guard(host));
    findings
}

fn interface(interface: &Interface) -> Finding {
    let link = &interface.link;
    let mut facts = vec![interface.driver().to_owned()];
    if let Some(nic) = &interface.nic {
        facts.extend(nic.address.map(|address| format!("at {address}")));
        facts.extend(nic.node.map(|node| format!("node {node}")));
    }
    facts.push(if link.up { "up" } else { "down" }.to_owned());
    facts.push(format!("MTU {}", link.mtu));
    facts.extend(interface.queues.map(|queues| format!("receive queues: {}", queues.total())));
    facts.extend(interface.xdp.map(|xdp| {
        match (xdp.native, xdp.zero_copy) {
            (true, true) => "XDP native with zero-copy",
            (true, false) => "XDP native without zero-copy",
            (false, _) => "XDP generic only",
        }
        .to_owned()
    }));
    let finding = if link.mtu as usize > MTU_MAX {
        Finding::note("nic", facts.join(", "))
            .fix(format!("as a port it needs an MTU of {MTU_MAX} or less"))
    } else {
        Finding::ok("nic", facts.join(", "))
    };
    finding.on(&link.name)
}

fn card(card: &PciDevice) -> Finding {
    let mut facts = vec![match &card.driver {
        Some(driver) => format!("bound to {driver}"),
        None => "bound to no driver".to_owned(),
    }];
    facts.extend(card.node.map(|node| format!("node {node}")));
    facts.extend(card.iommu_group.map(|group| format!("IOMMU group {group}")));
    Finding::ok("nic", format!("{}, no interface in this network namespace", facts.join(", ")))
        .on(card.address)
}

fn guard(host: &Host) -> Finding {
    match host.vfio.iommu {
        true if host.vfio.loaded => Finding::ok("iommu", "on, and vfio-pci is loaded"),
        true => Finding::ok("iommu", "on"),
        false => Finding::note(
            "iommu",
            "none; DPDK cannot take PCI devices by VFIO, AF_XDP does without",
        )
        .fix(format!("for DPDK: {IOMMU_FIX}")),
    }
}
