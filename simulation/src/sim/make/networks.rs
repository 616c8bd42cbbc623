//! The networks of scenarios: what a kind of network is like, within which chance decides.

use super::super::dice::Dice;
use super::super::scenario::Scenario;
use super::Maker;
use crate::appliance::rig::{CLIENTS, ORIGINS, ms};
use crate::internet::middlebox::{Limit, Middlebox, Stripped, Tells};
use crate::internet::{
    BlackHole, End, Flapping, NetworkSettings, PathSettings, Reordering, Swallows,
};
use crate::link::Loss;

impl Maker {
    pub(super) fn networks(self, side: usize) -> Vec<NetworkSettings> {
        let mut dice = self.dice(if side == CLIENTS { "networks" } else { "the origins' network" });
        if side == ORIGINS {
            let mut of_origins = NetworkSettings { name: "lan".to_owned(), ..Default::default() };
            if self.is_mixed() && dice.percent(40) {
                of_origins.up = lossy(&mut dice);
                of_origins.down = lossy(&mut dice);
            }
            return vec![of_origins];
        }
        (0..dice.between(1, 5)).map(|number| self.network(number as u32)).collect()
    }

    fn network(self, number: u32) -> NetworkSettings {
        let mut dice = Dice::of_each(self.seed, "network", number);
        let kind = match self.scenario {
            Scenario::Mixed => dice.pick(&[
                Scenario::Flood,
                Scenario::LossyMobile,
                Scenario::Satellite,
                Scenario::Middlebox,
                Scenario::LongFat,
            ]),
            other => other,
        };
        match kind {
            Scenario::LossyMobile => mobile(&mut dice),
            Scenario::Satellite => satellite(&mut dice),
            Scenario::Middlebox => behind_boxes(&mut dice),
            Scenario::LongFat => long_fat(&mut dice),
            _ => near(&mut dice),
        }
    }
}

/// A little away, and nothing goes wrong.
fn near(dice: &mut Dice) -> NetworkSettings {
    let path = PathSettings { delay: dice.millis(0, 30), ..PathSettings::default() };
    NetworkSettings { name: "near".to_owned(), up: path, down: path, ..Default::default() }
}

/// A path on which something of everything goes wrong.
fn lossy(dice: &mut Dice) -> PathSettings {
    PathSettings {
        delay: dice.millis(0, 20),
        jitter: dice.pick(&[ms(0), ms(1), ms(5)]),
        reordering: Reordering { ppm: dice.pick(&[0, 1_000, 30_000]), late_by: dice.millis(1, 30) },
        loss: loss(dice),
        duplicate_ppm: dice.pick(&[0, 0, 1_000, 50_000]),
        corrupt_ppm: dice.pick(&[0, 0, 1_000, 10_000]),
        ..PathSettings::default()
    }
}

fn loss(dice: &mut Dice) -> Loss {
    let ppm = dice.pick(&[0, 1_000, 10_000, 50_000]);
    match ppm {
        0 => Loss::None,
        ppm if dice.percent(50) => Loss::Bursts { ppm, length: 5 },
        ppm => Loss::Random { ppm },
    }
}

fn mobile(dice: &mut Dice) -> NetworkSettings {
    let path = |dice: &mut Dice, mbps: u64| PathSettings {
        rate_bps: mbps * 1_000_000,
        queue_octets: dice.magnitude(20_000, 500_000),
        delay: dice.millis(10, 60),
        jitter: dice.millis(0, 20),
        ..lossy(dice)
    };
    let down = dice.magnitude(1, 50);
    NetworkSettings {
        name: "mobile".to_owned(),
        up: path(dice, down.div_ceil(4)),
        down: path(dice, down),
        mtu: dice.pick(&[1500, 1430]),
        flapping: dice
            .percent(30)
            .then(|| Flapping { up_for: dice.millis(500, 5000), down_for: dice.millis(20, 1500) }),
        middleboxes: vec![Middlebox::ClampMss { octets: 1370 }],
        ..Default::default()
    }
}

fn satellite(dice: &mut Dice) -> NetworkSettings {
    let path = |dice: &mut Dice, mbps: u64| PathSettings {
        rate_bps: mbps * 1_000_000,
        queue_octets: dice.magnitude(50_000, 1_000_000),
        delay: dice.millis(250, 330),
        jitter: dice.millis(0, 10),
        loss: Loss::Random { ppm: dice.pick(&[0, 1_000, 10_000]) },
        ..PathSettings::default()
    };
    let black_hole = dice.percent(15).then(|| {
        let from = dice.millis(0, 3000);
        let swallows = dice.pick(&[Swallows::All, Swallows::Up, Swallows::Down]);
        BlackHole { from, to: from + dice.millis(100, 4000), swallows }
    });
    NetworkSettings {
        name: "satellite".to_owned(),
        up: path(dice, 2),
        down: path(dice, 20),
        black_hole,
        ..Default::default()
    }
}

fn long_fat(dice: &mut Dice) -> NetworkSettings {
    let path = PathSettings {
        rate_bps: 1_000_000_000,
        queue_octets: dice.magnitude(100_000, 10_000_000),
        delay: dice.millis(20, 120),
        loss: Loss::Random { ppm: dice.pick(&[0, 0, 100]) },
        ..PathSettings::default()
    };
    NetworkSettings { name: "long fat".to_owned(), up: path, down: path, ..Default::default() }
}

fn behind_boxes(dice: &mut Dice) -> NetworkSettings {
    let of = dice.pick(&[End::Host, End::Appliance]);
    let stripped = Stripped {
        timestamps: dice.percent(50),
        sack: dice.percent(50),
        scale: dice.percent(50),
        fast_open: dice.percent(50),
        ecn: dice.percent(50),
        sack_blocks: dice.percent(20),
    };
    let limit = match dice.percent(50) {
        true => Limit::Octets(dice.magnitude(1, 100_000)),
        false => Limit::Time(dice.millis(1, 3000)),
    };
    let tells = dice.pick(&[Tells::Both, Tells::Only(End::Host), Tells::Only(End::Appliance)]);
    let all = [
        Middlebox::StripOptions(stripped),
        Middlebox::RewriteSequence { of, forgets_sack: dice.percent(30) },
        Middlebox::ClampWindow { octets: dice.magnitude(1500, 60_000) as u32 },
        Middlebox::ClampMss { octets: dice.between(1220, 1400) as u16 },
        Middlebox::SplitSegments { octets: dice.between(100, 1400) as usize },
        Middlebox::JoinSegments { within: dice.millis(0, 3) },
        Middlebox::ThinAcks { within: dice.millis(0, 10) },
        Middlebox::StripPayloadOfSyn,
        Middlebox::ResetAfter { limit, tells },
        Middlebox::ForgetIdle { after: dice.millis(200, 5000) },
    ];
    let middleboxes = (0..dice.between(1, 3)).map(|_| dice.pick(&all)).collect();
    let (up, down) = (lossy(dice), lossy(dice));
    let mtu = dice.pick(&[1500, 1500, 1300]);
    let filters_icmp = dice.percent(50);
    NetworkSettings {
        name: "behind boxes".to_owned(),
        up,
        down,
        mtu,
        filters_icmp,
        middleboxes,
        ..Default::default()
    }
}
