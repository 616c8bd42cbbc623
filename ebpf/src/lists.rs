//! Who is denied, and who is never limited: the tables that follow from it, and how they change.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use libbpf_rs::{MapCore as _, MapFlags, MapHandle};

use crate::limits::LIST_PREFIXES_MAX;
use crate::skeleton::types;
use crate::{ShieldError, abi};

/// Prefixes of sources, of both address families. A source is what its longest prefix says: part of
/// a denied network can be allowed, and the other way round. They concern what is sent to services
/// and egress addresses alone; all else of a source is the kernel's business.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// Dropped.
    pub deny: Vec<IpNet>,
    /// Never limited in new connections.
    pub allow: Vec<IpNet>,
}

/// What a table says of a prefix; the numbers are those of `bpf/consts.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listed {
    Deny = 1,
    Allow = 2,
}

/// The entries of one table: length of the prefix and its key as octets, and what it is listed for.
/// In their order a prefix stands behind all that contain it.
type Entries = BTreeMap<(u8, Vec<u8>), Listed>;

/// The entries of both tables.
#[derive(Debug)]
pub(crate) struct ListEntries {
    v4: Entries,
    v6: Entries,
}

impl ListEntries {
    /// Refuses what contradicts itself or does not fit.
    pub(crate) fn new(lists: &Lists) -> Result<Self, ShieldError> {
        let mut entries = ListEntries { v4: Entries::new(), v6: Entries::new() };
        let deny = lists.deny.iter().map(|prefix| (prefix, Listed::Deny));
        let allow = lists.allow.iter().map(|prefix| (prefix, Listed::Allow));
        for (prefix, listed) in deny.chain(allow) {
            let table = match prefix {
                IpNet::V4(_) => &mut entries.v4,
                IpNet::V6(_) => &mut entries.v6,
            };
            let earlier = table.insert((prefix.prefix_len(), key(prefix)), listed);
            if earlier.is_some_and(|earlier| earlier != listed) {
                return Err(ShieldError::ListedTwice { prefix: prefix.trunc() });
            }
            if table.len() > LIST_PREFIXES_MAX {
                return Err(ShieldError::TooManyPrefixes(table.len()));
            }
        }
        Ok(entries)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

/// The tables in the kernel.
#[derive(Debug)]
pub(crate) struct ListMaps {
    pub(crate) v4: MapHandle,
    pub(crate) v6: MapHandle,
}

impl ListMaps {
    pub(crate) fn bring_to(&self, entries: &ListEntries) -> Result<(), ShieldError> {
        bring_to(&self.v4, &entries.v4)?;
        bring_to(&self.v6, &entries.v6)
    }
}

/// Makes `map` hold exactly `entries`, without a gap: at any time every source is what the old lists
/// or the new ones say, never what a part of them would say.
///
/// New prefixes come before old ones go. Of the new ones the longest come first: one that is found
/// is the longest of all the new ones. Of the old ones the shortest go first: one that is still
/// found is the longest of all the old ones.
fn bring_to(map: &MapHandle, entries: &Entries) -> Result<(), ShieldError> {
    let failed = |source| ShieldError::Map { doing: "change the lists", source };
    let old: BTreeSet<_> = map.keys().map(|key| (bits_of(&key), key)).collect();
    for ((_, key), listed) in entries.iter().rev() {
        map.update(key, &[*listed as u8], MapFlags::ANY).map_err(failed)?;
    }
    let gone = old.iter().filter(|prefix| !entries.contains_key(prefix));
    gone.map(|(_, key)| key).try_for_each(|key| map.delete(key).map_err(failed))
}

/// Of the table of its family.
fn key(prefix: &IpNet) -> Vec<u8> {
    let bits = prefix.prefix_len().into();
    match prefix {
        IpNet::V4(v4) => {
            let address = u32::from_ne_bytes(v4.network().octets());
            abi::octets(&types::prefix_v4 { bits, address }).to_vec()
        }
        IpNet::V6(v6) => {
            let address = abi::address(v6.network().into());
            abi::octets(&types::prefix_v6 { bits, address }).to_vec()
        }
    }
}

/// The length of the prefix in a key, which is its first word.
fn bits_of(key: &[u8]) -> u8 {
    let bits = key.first_chunk().map_or(0, |word| u32::from_ne_bytes(*word));
    u8::try_from(bits).unwrap_or(u8::MAX)
}
