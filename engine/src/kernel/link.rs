//! Network devices and their addresses, as Linux describes them.

use std::net::IpAddr;

use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressScope,
};
use rtnetlink::packet_route::link::{
    InfoData, InfoKind, InfoVlan, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage,
    LinkXdp, VlanProtocol,
};

use crate::wire::ethernet::MacAddr;

/// A network device of Linux's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub ifindex: u32,
    pub name: String,
    /// Its Ethernet address; `None` for a device that has none (loopback, tunnels).
    pub mac: Option<MacAddr>,
    /// Longest packet that it carries, the Ethernet header not counted [octets].
    pub mtu: u32,
    /// Whether packets can leave by it: it is up, and so is what it is plugged into.
    pub up: bool,
    /// Set for a VLAN device: the device that it rides on, and its tag.
    pub vlan: Option<Vlan>,
    /// What kind of virtual device it is, as `ip` calls it (veth, bridge …); `None` for hardware.
    pub kind: Option<String>,
    /// Of a veth: the device at the other end, if that is in this network namespace.
    pub peer: Option<u32>,
    /// The XDP program that is attached to it, by the kernel's id.
    pub xdp_program: Option<u32>,
}

/// Where a VLAN device's packets really leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vlan {
    /// The device that carries the tagged packets.
    pub parent: u32,
    /// The VLAN's id.
    pub id: u16,
}

impl Link {
    /// Brings up to date what `message` speaks of, and keeps the rest: not every notification
    /// carries everything. `None` if nothing changed.
    pub(super) fn learn(known: Option<&Link>, message: &LinkMessage) -> Option<Link> {
        let header = &message.header;
        let mut link = known.cloned().unwrap_or_else(|| Link {
            ifindex: header.index,
            name: String::new(),
            mac: None,
            mtu: 0,
            up: false,
            vlan: None,
            kind: None,
            peer: None,
            xdp_program: None,
        });
        link.up = header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp);
        let is_ethernet = header.link_layer_type == LinkLayerType::Ether;
        let (mut parent, mut vlan_id) = (None, None);
        // What the other end's index counts in, where that is not this namespace.
        let mut elsewhere = false;
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name.clone_from(name),
                LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
                LinkAttribute::Address(octets) if is_ethernet => {
                    link.mac = octets.as_slice().try_into().ok().map(MacAddr);
                }
                LinkAttribute::Link(ifindex) => parent = Some(*ifindex),
                LinkAttribute::LinkNetNsId(_) => elsewhere = true,
                LinkAttribute::LinkInfo(infos) => {
                    vlan_id = vlan_id_of(infos);
                    link.kind = kind_of(infos);
                }
                LinkAttribute::Xdp(attributes) => link.xdp_program = xdp_program_of(attributes),
                _ => {}
            }
        }
        if let (Some(parent), Some(id)) = (parent, vlan_id) {
            link.vlan = Some(Vlan { parent, id });
        }
        if link.kind.as_deref() == Some("veth") && parent.is_some() {
            link.peer = parent.filter(|_| !elsewhere);
        }
        (known != Some(&link)).then_some(link)
    }
}

/// The tag of a VLAN device. Service tags (802.1ad) are not ours to write: such a device counts
/// as one without a tag, and no port is opened on it.
fn vlan_id_of(infos: &[LinkInfo]) -> Option<u16> {
    if !infos.contains(&LinkInfo::Kind(InfoKind::Vlan)) {
        return None;
    }
    let attributes = infos.iter().find_map(|info| match info {
        LinkInfo::Data(InfoData::Vlan(attributes)) => Some(attributes),
        _ => None,
    })?;
    if attributes.contains(&InfoVlan::Protocol(VlanProtocol::Ieee8021Ad)) {
        return None;
    }
    attributes.iter().find_map(|attribute| match attribute {
        InfoVlan::Id(id) => Some(*id),
        _ => None,
    })
}

fn kind_of(infos: &[LinkInfo]) -> Option<String> {
    infos.iter().find_map(|info| match info {
        LinkInfo::Kind(kind) => Some(kind.to_string()),
        _ => None,
    })
}

fn xdp_program_of(attributes: &[LinkXdp]) -> Option<u32> {
    attributes.iter().find_map(|attribute| match attribute {
        LinkXdp::ProgId(id)
        | LinkXdp::DrvProgId(id)
        | LinkXdp::SkbProgId(id)
        | LinkXdp::HwProgId(id) => Some(*id),
        _ => None,
    })
}

/// An address of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    pub ifindex: u32,
    pub address: IpAddr,
    /// Length of the subnet that is reached directly [bits].
    pub prefix_len: u8,
    /// Whether others than our direct neighbours can reach it.
    pub(super) global: bool,
    /// Whether connections may be opened from it, unless a route says otherwise.
    pub(super) preferred: bool,
}

impl Address {
    /// `None` for what is no address (a message without one).
    pub(super) fn learn(message: &AddressMessage) -> Option<Address> {
        let header = &message.header;
        let mut flags = AddressFlags::from_bits_retain(header.flags.bits().into());
        let (mut local, mut address) = (None, None);
        for attribute in &message.attributes {
            match attribute {
                // Of a point-to-point link `Local` is ours and `Address` the peer's.
                AddressAttribute::Local(ours) => local = Some(*ours),
                AddressAttribute::Address(either) => address = Some(*either),
                AddressAttribute::Flags(all) => flags = *all,
                _ => {}
            }
        }
        let avoided = AddressFlags::Secondary
            | AddressFlags::Deprecated
            | AddressFlags::Dadfailed
            | AddressFlags::Tentative;
        let address = local.or(address)?;
        // The bit that marks a secondary IPv4 address marks a temporary IPv6 one (RFC 8981),
        // which nothing is wrong with.
        let avoided = if address.is_ipv6() { avoided - AddressFlags::Secondary } else { avoided };
        Some(Address {
            ifindex: header.index,
            address,
            prefix_len: header.prefix_len,
            global: matches!(header.scope, AddressScope::Universe | AddressScope::Site),
            preferred: !flags.intersects(avoided),
        })
    }

    /// Whether this is the entry that `other` speaks of.
    pub(super) fn same_entry(&self, other: &Address) -> bool {
        (self.ifindex, self.address, self.prefix_len)
            == (other.ifindex, other.address, other.prefix_len)
    }

    /// How many leading bits the address shares with `other`; zero across families.
    pub(super) fn shared_bits(&self, other: IpAddr) -> u32 {
        match (self.address, other) {
            (IpAddr::V4(ours), IpAddr::V4(other)) => {
                (ours.to_bits() ^ other.to_bits()).leading_zeros()
            }
            (IpAddr::V6(ours), IpAddr::V6(other)) => {
                (ours.to_bits() ^ other.to_bits()).leading_zeros()
            }
            _ => 0,
        }
    }

    /// Whether `other` is in the address's subnet.
    pub(super) fn on_link(&self, other: IpAddr) -> bool {
        self.address.is_ipv4() == other.is_ipv4()
            && self.shared_bits(other) >= u32::from(self.prefix_len)
    }
}
