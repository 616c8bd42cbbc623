//! What a device does to packets on its way in: offloads, and where XDP can run. Asked of Linux
//! over generic netlink, as `ethtool -k` and `ynl` do.

use std::collections::BTreeSet;
use std::io;

use super::generic_netlink::{Family, attribute, attributes, find};

/// Features of a device by the kernel's names (`ethtool -k` shows them), such as
/// `tx-checksum-ip-generic`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    pub active: BTreeSet<String>,
    /// Those that `ethtool -K` can switch.
    pub changeable: BTreeSet<String>,
}

impl Offloads {
    pub fn is_on(&self, feature: &str) -> bool {
        self.active.contains(feature)
    }

    pub fn can_change(&self, feature: &str) -> bool {
        self.changeable.contains(feature)
    }

    /// Whether packets leave for the device with checksums of TCP that it has to fill in.
    pub fn leaves_checksums(&self) -> bool {
        CHECKSUMS.iter().any(|feature| self.is_on(feature))
    }

    fn read(octets: &[u8]) -> Self {
        let names = |kind| find(octets, kind).map(names).unwrap_or_default();
        let fixed = names(ETHTOOL_A_FEATURES_NOCHANGE);
        let changeable = &names(ETHTOOL_A_FEATURES_HW) - &fixed;
        Offloads { active: names(ETHTOOL_A_FEATURES_ACTIVE), changeable }
    }
}

/// The offloads of device `ifindex` in the calling thread's network namespace; `None` if its driver
/// does not say.
pub fn offloads(ifindex: u32) -> io::Result<Option<Offloads>> {
    let reply = Family::open("ethtool")?.ask_of_device(ETHTOOL_MSG_FEATURES_GET, ifindex)?;
    Ok(reply.map(|attributes| Offloads::read(&attributes)))
}

/// The names in a bitset.
fn names(bitset: &[u8]) -> BTreeSet<String> {
    let bits = find(bitset, ETHTOOL_A_BITSET_BITS).unwrap_or_default();
    let name = |bit| {
        let name = find(bit, ETHTOOL_A_BITSET_BIT_NAME)?;
        // With its final zero.
        Some(String::from_utf8_lossy(name).trim_end_matches('\0').to_owned())
    };
    attributes(bits).filter_map(|(_, bit)| name(bit)).collect()
}

/// How a device's driver supports XDP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XdpSupport {
    /// A program can run in the driver.
    pub native: bool,
    /// It can write to an AF_XDP socket's memory.
    pub zero_copy: bool,
}

/// What the driver of device `ifindex` says of XDP; `None` on a kernel that cannot be asked (before
/// Linux 6.3).
pub fn xdp_support(ifindex: u32) -> io::Result<Option<XdpSupport>> {
    let family = match Family::open("netdev") {
        Ok(family) => family,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let reply =
        family.ask(NETDEV_CMD_DEV_GET, &attribute(NETDEV_A_DEV_IFINDEX, &ifindex.to_ne_bytes()))?;
    let features = find(&reply, NETDEV_A_DEV_XDP_FEATURES).and_then(|value| value.try_into().ok());
    Ok(features.map(u64::from_ne_bytes).map(|features| XdpSupport {
        native: features & NETDEV_XDP_NATIVE == NETDEV_XDP_NATIVE,
        zero_copy: features & NETDEV_XDP_ACT_XSK_ZEROCOPY != 0,
    }))
}

/// Any of these leaves TCP checksums to the device, for IPv4 or IPv6.
const CHECKSUMS: [&str; 3] = ["tx-checksum-ip-generic", "tx-checksum-ipv4", "tx-checksum-ipv6"];

/// The kernel's numbers (`linux/ethtool_netlink.h`, `linux/netdev.h`).
const ETHTOOL_MSG_FEATURES_GET: u8 = 11;
const ETHTOOL_A_FEATURES_HW: u16 = 2;
const ETHTOOL_A_FEATURES_ACTIVE: u16 = 4;
const ETHTOOL_A_FEATURES_NOCHANGE: u16 = 5;
const ETHTOOL_A_BITSET_BITS: u16 = 3;
const ETHTOOL_A_BITSET_BIT_NAME: u16 = 2;
const NETDEV_CMD_DEV_GET: u8 = 1;
const NETDEV_A_DEV_IFINDEX: u16 = 1;
const NETDEV_A_DEV_XDP_FEATURES: u16 = 3;
/// Verdicts of the program, redirection to a socket among them (`BASIC`, `REDIRECT`).
const NETDEV_XDP_NATIVE: u64 = 0b11;
const NETDEV_XDP_ACT_XSK_ZEROCOPY: u64 = 1 << 3;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bitset(kind: u16, names: &[&str]) -> Vec<u8> {
        let bit = |name: &&str| attribute(1, &attribute(2, format!("{name}\0").as_bytes()));
        let bits: Vec<u8> = names.iter().flat_map(bit).collect();
        attribute(kind, &[attribute(1, &[]), attribute(3, &bits)].concat())
    }

    #[test]
    fn what_is_on_and_what_can_change_is_told_apart() {
        let reply = [
            bitset(2, &["rx-lro", "rx-gro-hw"]),
            bitset(4, &["rx-gro-hw", "tx-checksum-ip-generic"]),
            bitset(5, &["rx-gro-hw"]),
        ];
        let offloads = Offloads::read(&reply.concat());
        assert!(offloads.is_on("rx-gro-hw") && !offloads.can_change("rx-gro-hw"));
        assert!(!offloads.is_on("rx-lro") && offloads.can_change("rx-lro"));
        assert!(offloads.leaves_checksums());
        assert!(!Offloads::default().leaves_checksums());
    }

    #[test]
    fn the_loopback_device_can_be_asked() {
        let loopback = offloads(1).unwrap().unwrap();
        assert!(loopback.is_on("loopback") || loopback.is_on("tx-checksum-ip-generic"));
        assert!(xdp_support(1).unwrap().is_none_or(|support| !support.zero_copy));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(octets in prop::collection::vec(any::<u8>(), 0..64)) {
            Offloads::read(&octets);
            names(&octets);
        }
    }
}
