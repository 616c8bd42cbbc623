//! What only grows while an engine runs, and by how much it did.

use std::collections::BTreeMap;

use crate::stats::{Core, Service, Stage, Stats, nanos_per_packet};

/// Something that grows.
pub(in crate::report) trait Count: Default {
    /// What it grew by since `before`. `None`: it fell, so both are not of one run of the engine.
    fn since(&self, before: &Self) -> Option<Self>;

    fn add(&mut self, other: &Self);
}

impl Count for u64 {
    fn since(&self, before: &Self) -> Option<Self> {
        self.checked_sub(*before)
    }

    fn add(&mut self, other: &Self) {
        *self += other;
    }
}

impl Count for f64 {
    fn since(&self, before: &Self) -> Option<Self> {
        (self >= before).then(|| self - before)
    }

    fn add(&mut self, other: &Self) {
        *self += other;
    }
}

/// What is not there has not been counted yet.
impl<T: Count> Count for BTreeMap<String, T> {
    fn since(&self, before: &Self) -> Option<Self> {
        let none = T::default();
        if before
            .iter()
            .any(|(name, count)| !self.contains_key(name) && none.since(count).is_none())
        {
            return None;
        }
        let grown = self.iter().map(|(name, count)| {
            let grown = count.since(before.get(name).unwrap_or(&none))?;
            Some((name.clone(), grown))
        });
        grown.collect()
    }

    fn add(&mut self, other: &Self) {
        for (name, count) in other {
            self.entry(name.clone()).or_default().add(count);
        }
    }
}

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub(in crate::report) struct $name {
            $($(#[$field_doc])* pub(in crate::report) $field: $type,)+
        }

        impl Count for $name {
            fn since(&self, before: &Self) -> Option<Self> {
                Some($name { $($field: self.$field.since(&before.$field)?,)+ })
            }

            fn add(&mut self, other: &Self) {
                $(self.$field.add(&other.$field);)+
            }
        }
    )+};
}

counts! {
    /// Of the whole engine.
    Counts {
        /// Time itself [s].
        seconds: f64,
        /// Packets.
        received: u64,
        sent: u64,
        dropped: BTreeMap<String, u64>,
        /// What the shield decided [packets].
        shield: BTreeMap<String, u64>,
        services: BTreeMap<String, ServiceCounts>,
        cores: BTreeMap<String, CoreCounts>,
    }

    ServiceCounts {
        /// Connections.
        accepted: u64,
        refused: u64,
        fell_back: u64,
        /// Payload [octets].
        to_origin: u64,
        to_client: u64,
        /// Data segments.
        zero_copy: u64,
        copied: u64,
        retransmitted: u64,
    }

    CoreCounts {
        busy_s: f64,
        idle_s: f64,
        stages: BTreeMap<String, StageCounts>,
    }

    StageCounts {
        packets: u64,
        sampled_packets: u64,
        sampled_s: f64,
    }
}

impl Counts {
    /// As they were `at` that time [s since 1970].
    pub(super) fn of(stats: &Stats, at: f64) -> Self {
        Counts {
            seconds: at,
            received: stats.ledger.received,
            sent: stats.ledger.sent,
            dropped: stats.ledger.dropped.clone(),
            shield: stats.shield.clone(),
            services: by_name(&stats.services, |s| (&s.name, ServiceCounts::of(s))),
            cores: by_name(&stats.cores, |c| (&c.name, CoreCounts::of(c))),
        }
    }

    /// A count's part of them a second.
    pub(in crate::report) fn rate(&self, count: u64) -> f64 {
        count as f64 / self.seconds
    }

    pub(in crate::report) fn drops(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Of all services.
    pub(in crate::report) fn sum(&self, of: impl Fn(&ServiceCounts) -> u64) -> u64 {
        self.services.values().map(of).sum()
    }

    /// What a stage did, on all cores.
    pub(in crate::report) fn stage(&self, name: &str) -> StageCounts {
        let mut sum = StageCounts::default();
        for stage in self.cores.values().filter_map(|core| core.stages.get(name)) {
            sum.add(stage);
        }
        sum
    }
}

impl ServiceCounts {
    fn of(service: &Service) -> Self {
        let Service { connections, bytes, segments, .. } = service;
        ServiceCounts {
            accepted: connections.accepted,
            refused: connections.refused,
            fell_back: connections.fell_back,
            to_origin: bytes.to_origin,
            to_client: bytes.to_client,
            zero_copy: segments.zero_copy,
            copied: segments.copied,
            retransmitted: segments.retransmitted,
        }
    }
}

impl CoreCounts {
    fn of(core: &Core) -> Self {
        CoreCounts {
            busy_s: core.busy_s,
            idle_s: core.idle_s,
            stages: by_name(&core.stages, |s| (&s.name, StageCounts::of(s))),
        }
    }

    /// Which part of its time it had something to do, from 0 to 1.
    pub(in crate::report) fn utilisation(&self) -> f64 {
        let all = self.busy_s + self.idle_s;
        if all > 0.0 { self.busy_s / all } else { 0.0 }
    }

    /// Which part of its time a stage took, as far as its samples tell, from 0 to 1.
    pub(in crate::report) fn share(&self, stage: &StageCounts) -> f64 {
        let all = self.busy_s + self.idle_s;
        let took_s = stage.nanos_per_packet().unwrap_or(0.0) / 1e9 * stage.packets as f64;
        if all > 0.0 { (took_s / all).min(1.0) } else { 0.0 }
    }
}

impl StageCounts {
    fn of(stage: &Stage) -> Self {
        let Stage { packets, sampled_packets, sampled_s, .. } = *stage;
        StageCounts { packets, sampled_packets, sampled_s }
    }

    pub(in crate::report) fn nanos_per_packet(&self) -> Option<f64> {
        nanos_per_packet(self.sampled_packets, self.sampled_s)
    }
}

fn by_name<'a, T, C>(
    all: &'a [T],
    counts: impl Fn(&'a T) -> (&'a String, C),
) -> BTreeMap<String, C> {
    let named = all.iter().map(counts);
    named.map(|(name, counts)| (name.clone(), counts)).collect()
}
