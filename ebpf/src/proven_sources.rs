//! Sources that have completed a handshake, and so are who they say.

use std::net::IpAddr;

use crate::limits::PROVEN_SOURCES_MAX;
use crate::{Fingerprint, FingerprintKey, Fingerprints, Masks};

/// The sources that completed a handshake last. Written by the engine, read by the program or its
/// twin: a source found here has a budget of its own ([`crate::RateLimits`]). Clones share the
/// memory.
#[derive(Clone, Debug)]
pub struct ProvenSources {
    table: Fingerprints,
    masks: Masks,
}

impl ProvenSources {
    /// In memory of our own. `masks`: what tells sources apart.
    pub fn new(masks: Masks, key: FingerprintKey) -> Self {
        ProvenSources::over(Fingerprints::new(PROVEN_SOURCES_MAX, key), masks)
    }

    pub(crate) fn over(table: Fingerprints, masks: Masks) -> Self {
        ProvenSources { table, masks }
    }

    pub(crate) fn table(&self) -> Fingerprints {
        self.table.clone()
    }

    /// The source of this address has completed a handshake. One of long ago may give way to it.
    pub fn prove(&self, address: IpAddr) {
        let source = match address {
            IpAddr::V4(v4) => self.masks.prefix_of(v4.to_ipv6_mapped().to_bits(), true),
            IpAddr::V6(v6) => self.masks.prefix_of(v6.to_bits(), false),
        };
        self.table.remember(self.fingerprint(&source));
    }

    /// Of what [`Masks::prefix_of`] gave, a source or a prefix of sources.
    #[inline]
    pub fn fingerprint(&self, prefix: &[u32; 4]) -> Fingerprint {
        self.table.hash(prefix)
    }

    /// Whether a source has completed a handshake.
    #[inline]
    pub fn contains(&self, source: Fingerprint) -> bool {
        self.table.is_remembered(source)
    }
}
