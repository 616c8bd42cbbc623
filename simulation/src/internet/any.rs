//! Networks by chance.

use ringroad_engine::random::Random;

use super::middlebox::Stripped;
use super::settings::{BlackHole, Flapping, NetworkSettings, PathSettings, Reordering, Swallows};
use super::{End, Middlebox};
use crate::appliance::rig::{ms, pick, secs};
use crate::link::Loss;

impl NetworkSettings {
    /// One that connections survive, with as much trouble as the draws have it. It has no name.
    pub fn any(random: &mut Random) -> NetworkSettings {
        NetworkSettings {
            name: String::new(),
            up: PathSettings::any(random),
            down: PathSettings::any(random),
            mtu: pick(random, &[1500, 1500, 1300, 900]),
            filters_icmp: pick(random, &[false, true]),
            flapping: one_of_four(random).then(|| Flapping::any(random)),
            black_hole: one_of_four(random).then(|| BlackHole::any(random)),
            middleboxes: (0..random.below(4)).map(|_| Middlebox::any(random)).collect(),
        }
    }
}

impl PathSettings {
    fn any(random: &mut Random) -> PathSettings {
        let ppm = pick(random, &[1000, 10_000, 40_000]);
        let (random_loss, bursts) = (Loss::Random { ppm }, Loss::Bursts { ppm, length: 3 });
        let late_by = ms(random.below(50));
        PathSettings {
            rate_bps: pick(random, &[0, 2_000_000, 50_000_000]),
            queue_octets: pick(random, &[20_000, 200_000]),
            mark_octets: pick(random, &[None, Some(10_000)]),
            delay: ms(pick(random, &[0, 1, 20, 100])),
            jitter: ms(pick(random, &[0, 0, 1, 30])),
            reordering: Reordering { ppm: pick(random, &[0, 30_000]), late_by },
            loss: pick(random, &[Loss::None, random_loss, bursts]),
            duplicate_ppm: pick(random, &[0, 10_000, 100_000]),
            corrupt_ppm: pick(random, &[0, 1000, 10_000]),
        }
    }
}

impl Flapping {
    fn any(random: &mut Random) -> Flapping {
        Flapping { up_for: secs(2), down_for: pick(random, &[ms(20), ms(400)]) }
    }
}

impl BlackHole {
    fn any(random: &mut Random) -> BlackHole {
        let from = ms(random.below(300));
        let to = from + pick(random, &[ms(50), secs(3)]);
        let (up, down, large) = (Swallows::Up, Swallows::Down, Swallows::Over(600));
        BlackHole { from, to, swallows: pick(random, &[Swallows::All, up, down, large]) }
    }
}

impl Middlebox {
    /// One that connections survive.
    fn any(random: &mut Random) -> Middlebox {
        let stripped = Stripped::any(random);
        let of = pick(random, &[End::Host, End::Appliance]);
        let forgets_sack = pick(random, &[false, true]);
        let within = ms(random.below(10));
        let boxes = [
            Middlebox::StripOptions(stripped),
            Middlebox::RewriteSequence { of, forgets_sack },
            Middlebox::ClampWindow { octets: 20_000 },
            Middlebox::ClampMss { octets: 800 },
            Middlebox::SplitSegments { octets: 300 },
            Middlebox::JoinSegments { within },
            Middlebox::ThinAcks { within },
            Middlebox::StripPayloadOfSyn,
        ];
        pick(random, &boxes)
    }
}

impl Stripped {
    fn any(random: &mut Random) -> Stripped {
        let mut perhaps = || random.below(2) == 0;
        Stripped {
            timestamps: perhaps(),
            sack: perhaps(),
            scale: perhaps(),
            fast_open: perhaps(),
            ecn: perhaps(),
            sack_blocks: perhaps(),
        }
    }
}

fn one_of_four(random: &mut Random) -> bool {
    random.below(4) == 0
}
