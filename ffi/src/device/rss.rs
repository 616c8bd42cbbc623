//! How a device spreads packets over its receive queues.

use super::setup::RSS_KEY_OCTETS;
use crate::limits::RSS_KEY_OCTETS_MAX;
use crate::{Device, raw};

/// Receive side scaling: by the Toeplitz hash of addresses and ports, and a table of queues that its
/// lower bits choose from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rss {
    pub key: Vec<u8>,
    /// Queues.
    pub indirection: Vec<u16>,
}

impl Device {
    /// As it is set now; `None` if the device does not say, or does not hash TCP by its ports.
    pub fn rss(&self) -> Option<Rss> {
        let info = self.id.info().ok()?;
        let key = self.rss_key(&info)?;
        let indirection = self.rss_indirection(info.reta_size)?;
        Some(Rss { key, indirection })
    }

    fn rss_key(&self, info: &raw::rte_eth_dev_info) -> Option<Vec<u8>> {
        // Drivers write their key without a look at how much room there is.
        let mut key = vec![0; RSS_KEY_OCTETS_MAX];
        let octets = match info.hash_key_size {
            0 => RSS_KEY_OCTETS,
            octets => octets,
        };
        if usize::from(octets) > key.len() {
            return None;
        }
        let mut conf = raw::rte_eth_rss_conf {
            rss_key: key.as_mut_ptr(),
            rss_key_len: octets,
            ..raw::rte_eth_rss_conf::default()
        };
        // SAFETY: the port is started; `conf` and the key that it points to outlive the call, and there
        // is room for a key of the longest that devices have, this one's among them.
        let asked = self.id.call("read the hash key of", || unsafe {
            raw::rte_eth_dev_rss_hash_conf_get(self.id.port, &mut conf)
        });
        asked.ok()?;
        key.truncate(octets.into());
        (conf.rss_hf & TCP == TCP).then_some(key)
    }

    fn rss_indirection(&self, size: u16) -> Option<Vec<u16>> {
        let group = raw::rte_eth_rss_reta_entry64 { mask: u64::MAX, ..Default::default() };
        let mut groups = vec![group; usize::from(size).div_ceil(group.reta.len())];
        // SAFETY: the port is started; `groups` has room for `size` entries and outlives the call.
        let asked = self.id.call("read the indirection table of", || unsafe {
            raw::rte_eth_dev_rss_reta_query(self.id.port, groups.as_mut_ptr(), size)
        });
        asked.ok()?;
        let queues = groups.iter().flat_map(|group| group.reta).take(size.into());
        (size > 0).then(|| queues.collect())
    }
}

/// TCP of both families, by addresses and ports.
const TCP: u64 = 1 << raw::RTE_ETH_FLOW_NONFRAG_IPV4_TCP | 1 << raw::RTE_ETH_FLOW_NONFRAG_IPV6_TCP;
