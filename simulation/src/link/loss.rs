//! Which packets a path loses.

use ringroad_engine::random::Random;

/// How a path loses packets, on average `ppm` of a million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Loss {
    #[default]
    None,
    /// Each by itself.
    Random { ppm: u32 },
    /// In bursts of `length` packets on average: the model of Gilbert (1960), which is in a state
    /// that loses nothing or in one that loses all, and may change to the other in each slot of
    /// time. A slot is what a full packet takes to send, so bursts do not wait for packets: one
    /// that is sent again after a while meets the path anew.
    Bursts { ppm: u32, length: u32 },
}

/// The loss process and the state that it is in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LossProcess {
    /// Chance that a slot loses after one that did not, and after one that did [of [`CERTAIN`]].
    after_good: u64,
    after_lost: u64,
    lost: bool,
}

/// A chance of one.
const CERTAIN: u64 = 1_000_000_000_000;

impl LossProcess {
    pub(crate) fn new(loss: Loss) -> Self {
        let chance = |ppm: u32| u64::from(ppm) * (CERTAIN / 1_000_000);
        let (after_good, after_lost) = match loss {
            Loss::None => (0, 0),
            Loss::Random { ppm } => (chance(ppm), chance(ppm)),
            Loss::Bursts { ppm, length } => {
                let length = u64::from(length.max(1));
                // In the long run p of the packets are lost if p (1/length) = (1 - p) enter.
                let enter = chance(ppm) / (1_000_000 - u64::from(ppm.min(999_999)));
                (enter * 1_000_000 / length, CERTAIN - CERTAIN / length)
            }
        };
        LossProcess { after_good, after_lost, lost: false }
    }

    /// Whether a packet is lost that leaves so many slots after the one before it.
    #[inline]
    pub(crate) fn takes(&mut self, random: &mut Random, slots: u64) -> bool {
        if self.after_good == 0 {
            return false;
        }
        let steps = if self.after_good == self.after_lost { 1 } else { slots.clamp(1, MEMORY) };
        for _ in 0..steps {
            let chance = if self.lost { self.after_lost } else { self.after_good };
            self.lost = random.below(CERTAIN) < chance;
        }
        self.lost
    }
}

/// After so many slots the state does not depend any more on what it was, for bursts of a few
/// packets.
const MEMORY: u64 = 64;
