//! What becomes of connections to an origin.

use crate::time::Instant;

/// Of one origin, as one core sees it, or several together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OriginCounters {
    /// Proxied connections now that were opened to it [connections].
    pub active: u64,
    /// Connections to it that were opened since the start.
    pub opened: u64,
    /// Those that were tried and came to nothing.
    pub failed: u64,
    /// When one was opened last; `None`: never.
    pub answered_at: Option<Instant>,
    /// When one failed last that found it down; `None`: never.
    pub down_at: Option<Instant>,
}

impl OriginCounters {
    /// Adds what another core counted for the same origin.
    pub fn add(&mut self, other: &OriginCounters) {
        let OriginCounters { active, opened, failed, answered_at, down_at } = *other;
        self.active += active;
        self.opened += opened;
        self.failed += failed;
        self.answered_at = self.answered_at.max(answered_at);
        self.down_at = self.down_at.max(down_at);
    }

    /// Whether a core has found it down, and none has had an answer since.
    pub fn is_down(&self) -> bool {
        self.down_at > self.answered_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_any_core_has_found_out_last_is_what_is_known() {
        let seen = |answered_at: Option<u64>, down_at: Option<u64>| OriginCounters {
            answered_at: answered_at.map(Instant::from_millis),
            down_at: down_at.map(Instant::from_millis),
            ..OriginCounters::default()
        };
        let (nothing, down) = (seen(None, None), seen(Some(10), Some(50)));
        let (earlier, later) = (seen(Some(40), None), seen(Some(60), None));
        assert!(down.is_down() && ![nothing, earlier, later].iter().any(OriginCounters::is_down));
        for (others, is_down) in [([nothing, earlier], true), ([earlier, later], false)] {
            let mut sum = down;
            others.iter().for_each(|other| sum.add(other));
            assert_eq!(sum.is_down(), is_down, "{others:?}");
        }
    }
}
