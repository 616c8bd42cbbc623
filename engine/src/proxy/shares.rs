//! What of the services is whose, among several workers: source ports and connections.
//!
//! Each worker finds out by itself, from what all of them know, so that none has to ask another.

use std::net::SocketAddr;

use super::{OriginSettings, ServiceSettings};
use crate::flow::{FlowHasher, FlowKey, Owner, Steering};

impl ServiceSettings {
    /// For one of several workers: its share of the connections, rounded up, so that all together
    /// take no fewer than were asked for.
    #[must_use]
    pub fn share(mut self, of: &Steering) -> Self {
        self.max_connections = self.max_connections.div_ceil(of.owners().into());
        self
    }
}

impl OriginSettings {
    /// The source ports with which the origin's replies come to `owner`.
    pub fn source_ports_of(&self, owner: &Owner, hasher: &FlowHasher) -> impl Iterator<Item = u16> {
        let replies_come_here = move |port: &u16| {
            let flow = FlowKey::new(SocketAddr::new(self.egress_address, *port), self.address);
            owner.other(self.egress_port, &flow, hasher.hash(&flow)).is_none()
        };
        self.source_ports.clone().filter(replies_come_here)
    }
}

/// A worker could not open a single connection to an origin.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "service {service:?}: with source ports {}-{} of {} no reply of origin {} comes to worker {worker} \
     of {workers}; give egress.source_ports more ports, or the engine fewer cores",
    .origin.source_ports.start(), .origin.source_ports.end(), .origin.egress_address, .origin.address
)]
pub struct NoSourcePort {
    service: String,
    origin: Box<OriginSettings>,
    worker: u8,
    workers: u8,
}

/// Refuses services of which a worker would have an origin that it cannot reach.
pub fn require_source_ports(
    services: &[ServiceSettings],
    steering: &Steering,
    hasher: &FlowHasher,
) -> Result<(), NoSourcePort> {
    let owners = || (0..steering.owners()).map(|index| Owner::new(steering.clone(), index));
    for service in services {
        for origin in &service.origins {
            let without = |owner: &Owner| origin.source_ports_of(owner, hasher).next().is_none();
            if let Some(owner) = owners().find(without) {
                return Err(NoSourcePort {
                    service: service.name.clone(),
                    origin: Box::new(origin.clone()),
                    worker: owner.index(),
                    workers: steering.owners(),
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU8;
    use std::ops::RangeInclusive;
    use std::time::Duration;

    use super::*;
    use crate::proxy::Fallback;
    use crate::tcp::LegSettings;

    fn service(source_ports: RangeInclusive<u16>) -> ServiceSettings {
        let origin = OriginSettings {
            address: "10.20.0.1:8080".parse().unwrap(),
            egress_port: 1,
            egress_address: "10.20.0.254".parse().unwrap(),
            source_ports,
        };
        ServiceSettings {
            name: "web".to_owned(),
            listen: Vec::new(),
            port: 0,
            origins: vec![origin],
            client_leg: LegSettings::default(),
            origin_leg: LegSettings::default(),
            proxy_protocol: None,
            max_connections: 10,
            fallback: Fallback::Kernel,
            connect_timeout: Duration::ZERO,
            idle_timeout: Duration::ZERO,
        }
    }

    #[test]
    fn each_source_port_is_one_workers() {
        let steering = Steering::hashed(NonZeroU8::new(4).unwrap());
        let hasher = FlowHasher::new(&[7; 16]);
        let service = service(20_000..=59_999);
        let ports = |index| {
            let owner = Owner::new(steering.clone(), index);
            service.origins[0].source_ports_of(&owner, &hasher).collect::<Vec<u16>>()
        };
        let shares = [0, 1, 2, 3].map(ports);
        assert!(shares.iter().all(|share| (9_500..10_500).contains(&share.len())));
        let mut all = shares.concat();
        all.sort_unstable();
        assert_eq!(all, (20_000..=59_999).collect::<Vec<_>>());
        assert!(require_source_ports(&[service], &steering, &hasher).is_ok());
    }

    #[test]
    fn a_worker_without_a_source_port_is_refused_in_one_line() {
        let hasher = FlowHasher::new(&[7; 16]);
        let few = [service(20_000..=20_001)];
        assert!(require_source_ports(&few, &Steering::default(), &hasher).is_ok());
        let steering = Steering::hashed(NonZeroU8::new(3).unwrap());
        let refused = require_source_ports(&few, &steering, &hasher).unwrap_err().to_string();
        let (start, end) = (
            "service \"web\": with source ports 20000-20001 of 10.20.0.254 no reply of origin \
             10.20.0.1:8080 comes to worker ",
            " of 3; give egress.source_ports more ports, or the engine fewer cores",
        );
        assert!(refused.starts_with(start) && refused.ends_with(end), "{refused}");
    }

    #[test]
    fn shares_of_connections_are_rounded_up() {
        let share = |owners| {
            let steering = Steering::hashed(NonZeroU8::new(owners).unwrap());
            service(1..=2).share(&steering).max_connections
        };
        assert_eq!([1, 2, 3, 10, 20].map(share), [10, 5, 4, 1, 1]);
    }
}
