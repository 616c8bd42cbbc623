//! Packets that are not what they claim to be, among those that are.

use crate::apps::{echo, send};
use crate::packet::fix_checksums;
use crate::peer::{Settings, Status};
use crate::rig::{CLIENTS, ORIGINS, Plan, Random, World, origin, pattern, secs, seeds};

/// What mischief makes of a packet. Its checksums are left wrong, so that nothing of it may count.
fn damage(random: &mut Random, packet: &[u8]) -> Vec<u8> {
    let mut damaged = packet.to_vec();
    match random.below(5) {
        0 => damaged.truncate(random.below(packet.len() as u64) as usize),
        1 => {
            let len = random.below(120) as usize;
            damaged = (0..len).map(|_| random.draw() as u8).collect();
        }
        2 => {
            // Headers that promise what is not there.
            let at = 14 + random.below(40) as usize;
            damaged[at.min(packet.len() - 1)] ^= 1 << random.below(8);
            damaged.truncate(14 + random.below(packet.len() as u64 - 14) as usize);
        }
        3 => damaged.extend((0..random.below(64)).map(|_| 0xa5)),
        _ => {
            let at = 14 + random.below(packet.len() as u64 - 14) as usize;
            damaged[at] ^= 1 << random.below(8);
        }
    }
    damaged
}

#[test]
fn damaged_packets_are_counted_and_change_nothing() {
    for seed in seeds(10) {
        let mut world = World::new(Plan::new(seed));
        let settings = Settings { lossy: true, ..Settings::MODERN };
        world.listen(origin(1), settings, echo);
        let clients: Vec<_> =
            (0..4).map(|n| world.client(n, settings, send(pattern(n.into(), 100_000)))).collect();
        let end = world.now + secs(30);
        let mut made = 0;
        while !world.hosts.all_over() {
            assert!(world.now < end, "seed {seed}: not done");
            world.step(end);
            for side in [CLIENTS, ORIGINS] {
                let side = &mut world.hosts.0[side];
                if side.sent.is_empty() {
                    continue;
                }
                for _ in 0..10 {
                    let any = world.random.below(side.sent.len() as u64) as usize;
                    side.cable.send(&damage(&mut world.random, &side.sent[any]));
                    made += 1;
                }
            }
        }
        for (n, client) in clients.into_iter().enumerate() {
            assert!(world.peer(client).received == pattern(n as u64, 100_000), "seed {seed}");
            assert_eq!(world.peer(client).status, Status::Finished, "seed {seed}");
        }
        for side in &mut world.hosts.0 {
            side.resets = false;
        }
        let ledger = world.finish().ledger;
        let malformed: u64 = ledger.malformed.iter().sum();
        assert!(malformed > made / 3, "seed {seed}: {malformed} of {made}");
    }
}

#[test]
fn packets_of_earlier_connections_do_not_disturb_later_ones() {
    for seed in seeds(5) {
        let mut world = World::new(Plan::new(seed));
        let settings = Settings { lossy: true, ..Settings::MODERN };
        world.listen(origin(1), settings, echo);
        let old = world.client(1, settings, send(pattern(1, 50_000)));
        world.run_to_the_end(secs(5));
        assert_eq!(world.peer(old).status, Status::Finished);
        let mut past: Vec<Vec<u8>> = std::mem::take(&mut world.hosts.0[CLIENTS].sent);
        // Also with other ports, which nobody knows.
        for packet in past.clone() {
            let mut stray = packet;
            stray[35] ^= 0x40;
            assert!(fix_checksums(&mut stray));
            past.push(stray);
        }
        world.run_for(secs(61));
        world.hosts.0[CLIENTS].peers.clear();
        world.hosts.0[CLIENTS].resets = true;
        let client = world.client(2, settings, send(pattern(2, 400_000)));
        let end = world.now + secs(30);
        while !world.peer(client).is_over() {
            assert!(world.now < end, "seed {seed}: not done");
            world.step(end);
            let packet = &past[world.random.below(past.len() as u64) as usize];
            world.hosts.0[CLIENTS].cable.send(packet);
        }
        assert!(world.peer(client).received == pattern(2, 400_000));
        assert_eq!(world.peer(client).status, Status::Finished);
        // Old SYNs were answered, and the host knows nothing of them.
        world.run_for(secs(120));
        world.finish();
    }
}
