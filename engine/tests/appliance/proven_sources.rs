//! Who has completed a handshake, as the shield is told: its limits are his own from then on.

use std::net::{IpAddr, SocketAddr};

use ringroad_ebpf::{FingerprintKey, ProvenSources, RateLimits};

use crate::apps::{idle, send};
use crate::cookies::shield;
use crate::packet::{Link, Options, SYN, Segment, Tags};
use crate::peer::Settings;
use crate::rig::{
    CLIENTS, OURS, Plan, THEIRS, World, address, origin, pattern, secs, seed, service,
};

fn is_proven(sources: &ProvenSources, client: SocketAddr) -> bool {
    let address = match client.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    let source = RateLimits::default().source_masks().prefix_of(address, client.is_ipv4());
    sources.contains(sources.fingerprint(&source))
}

#[test]
fn who_completes_a_handshake_is_noted_and_who_only_sends_a_syn_is_not() {
    let v6 = (address("[2001:db8:99::7]:40000"), address("[2001:db8:1::1]:80"));
    let neighbour = address("[2001:db8:99:0:1::1]:40000");
    for cookies in [false, true] {
        let masks = RateLimits::default().source_masks();
        let proven = ProvenSources::new(masks, FingerprintKey::new(&[7; 48]));
        let mut plan = Plan::new(seed());
        plan.proven_sources = Some(proven.clone());
        let mut world = World::new(plan);
        if cookies {
            shield(&mut world);
        }
        world.listen(origin(1), Settings::MODERN, idle);
        let forged = address("198.51.100.9:40000");
        let syn = Segment {
            link: Link {
                source: THEIRS[CLIENTS],
                destination: OURS[CLIENTS],
                tags: Tags::default(),
            },
            source: forged,
            destination: service(),
            seq: 1,
            ack: 0,
            flags: SYN,
            window: 65_535,
            options: Options::default(),
            payload: Vec::new(),
        };
        world.hosts.0[CLIENTS].cable.send(&syn.build());
        let clients = [
            world.client(1, Settings::MODERN, send(pattern(1, 100))),
            world.client_at(v6, None, Settings::MODERN, send(pattern(1, 100))),
        ];
        assert!(!clients.iter().any(|client| is_proven(&proven, client.0)), "not before");
        world.run_until(secs(5), |world| world.origin_peers().len() == 2);
        assert!(clients.iter().all(|client| is_proven(&proven, client.0)));
        assert!(is_proven(&proven, neighbour), "of the same source");
        assert!(!is_proven(&proven, forged));
        clients.iter().for_each(|client| world.peer(*client).abort());
        world.run_to_the_end(secs(70));
        world.finish();
    }
}
