//! Networks that connections survive, one trouble at a time.

use ringroad_simulation::appliance::rig::{ms, secs};
use ringroad_simulation::internet::middlebox::Stripped;
use ringroad_simulation::internet::{
    BlackHole, End, Flapping, Middlebox, NetworkSettings, PathSettings, Reordering, Swallows,
};
use ringroad_simulation::link::Loss;

/// What goes wrong on the way, with nothing else.
pub fn over(path: PathSettings) -> NetworkSettings {
    NetworkSettings { up: path, down: path, ..NetworkSettings::default() }
}

pub fn behind(middlebox: Middlebox) -> NetworkSettings {
    NetworkSettings { middleboxes: vec![middlebox], ..over(distant()) }
}

/// 20 ms there and back.
pub fn distant() -> PathSettings {
    PathSettings { delay: ms(10), ..PathSettings::default() }
}

/// 10 Mbit/s, 20 ms, a queue of twice what is under way.
fn narrow() -> PathSettings {
    PathSettings { rate_bps: 10_000_000, queue_octets: 50_000, ..distant() }
}

pub fn paths() -> Vec<(&'static str, NetworkSettings)> {
    let slow = PathSettings { rate_bps: 500_000, queue_octets: 30_000, ..distant() };
    let short_queue = PathSettings { queue_octets: 4500, ..narrow() };
    let random_loss = PathSettings { loss: Loss::Random { ppm: 20_000 }, ..distant() };
    let bursts = Loss::Bursts { ppm: 20_000, length: 5 };
    let reordering = Reordering { ppm: 50_000, late_by: ms(7) };
    vec![
        ("narrow", over(narrow())),
        ("short queue", over(short_queue)),
        ("asymmetric", NetworkSettings { up: slow, ..over(distant()) }),
        ("marking", over(PathSettings { mark_octets: Some(10_000), ..narrow() })),
        ("random loss", over(random_loss)),
        ("bursts of loss", over(PathSettings { loss: bursts, ..narrow() })),
        ("jitter", over(PathSettings { jitter: ms(20), ..distant() })),
        ("reordering", over(PathSettings { reordering, ..distant() })),
        ("duplication", over(PathSettings { duplicate_ppm: 100_000, ..distant() })),
        ("damage", over(PathSettings { corrupt_ppm: 20_000, ..distant() })),
        ("narrow MTU", NetworkSettings { mtu: 1300, ..over(distant()) }),
        (
            "narrow MTU and nobody says so",
            NetworkSettings { mtu: 1300, filters_icmp: true, ..over(distant()) },
        ),
        (
            "flapping",
            NetworkSettings {
                flapping: Some(Flapping { up_for: ms(500), down_for: ms(300) }),
                ..over(narrow())
            },
        ),
        ("black hole", black_hole(Swallows::All)),
        ("black hole up", black_hole(Swallows::Up)),
        ("black hole down", black_hole(Swallows::Down)),
        ("black hole for what is large", black_hole(Swallows::Over(1000))),
    ]
}

/// From the middle of the transfer on, for some seconds.
fn black_hole(swallows: Swallows) -> NetworkSettings {
    let black_hole = Some(BlackHole { from: ms(60), to: secs(5), swallows });
    NetworkSettings { black_hole, ..over(narrow()) }
}

/// All that connections survive.
pub fn boxes() -> Vec<(&'static str, NetworkSettings)> {
    let nothing = Stripped::default();
    let strip = |stripped| behind(Middlebox::StripOptions(stripped));
    let rewrite = |of, forgets_sack| behind(Middlebox::RewriteSequence { of, forgets_sack });
    let lossy = |network: NetworkSettings| {
        let loss = Loss::Random { ppm: 20_000 };
        let path = |path| PathSettings { loss, ..path };
        NetworkSettings { up: path(network.up), down: path(network.down), ..network }
    };
    vec![
        ("strip timestamps", strip(Stripped { timestamps: true, ..nothing })),
        ("strip SACK", lossy(strip(Stripped { sack: true, ..nothing }))),
        ("strip scale", strip(Stripped { scale: true, ..nothing })),
        ("strip Fast Open", strip(Stripped { fast_open: true, ..nothing })),
        ("strip ECN", strip(Stripped { ecn: true, ..nothing })),
        ("strip SACK blocks", lossy(strip(Stripped { sack_blocks: true, ..nothing }))),
        ("rewrite of hosts", lossy(rewrite(End::Host, false))),
        ("rewrite of appliance", lossy(rewrite(End::Appliance, false))),
        ("rewrite and forget SACK", lossy(rewrite(End::Appliance, true))),
        ("clamp window", behind(Middlebox::ClampWindow { octets: 5000 })),
        ("clamp window to less than a segment", behind(Middlebox::ClampWindow { octets: 700 })),
        ("clamp MSS", NetworkSettings { mtu: 1000, ..behind(Middlebox::ClampMss { octets: 940 }) }),
        ("split", lossy(behind(Middlebox::SplitSegments { octets: 536 }))),
        ("join", lossy(behind(Middlebox::JoinSegments { within: ms(2) }))),
        ("thin ACKs", behind(Middlebox::ThinAcks { within: ms(5) })),
        ("strip payload of SYN", behind(Middlebox::StripPayloadOfSyn)),
    ]
}
