//! How large a segment the path takes: told by ICMP (RFC 1191, RFC 8201), or found out by probes
//! where ICMP is filtered (RFC 4821, with the search of RFC 8899 §5.3).
//!
//! All sizes are those of an MSS: payload and options, without the headers of IP and TCP. Between
//! the largest that is known to arrive and the smallest that is known not to, a search halves the
//! distance: a probe is one segment of fresh payload, larger than the others. That it is lost says
//! nothing about congestion, so the controller does not hear of it; its payload is sent again in
//! segments that arrive.

use super::chunks::NIL;
use super::congestion::CongestionControl;
use super::settings::MtuProbing;
use super::{Connection, Context, State};
use crate::limits::{
    BLACK_HOLE_TIMEOUTS, MTU_PROBES_MAX, MTU_RAISE_AFTER, MTU_SEARCH_BASE, MTU_SEARCH_STEP,
    SEND_MSS_MIN,
};
use crate::time::Instant;
use crate::wire::tcp::SeqNum;

#[derive(Clone, Copy, Debug)]
pub(super) struct PathMtu {
    /// What the peer and our own link take; more is never tried [octets].
    limit: u16,
    /// What is sent: the largest that arrives, as far as is known [octets].
    works: u16,
    /// The least that does not arrive, as far as is known [octets]; above `works`.
    fails: u16,
    /// Nothing has been tried below `fails`: one octet less may well arrive.
    is_exact: bool,
    is_searching: bool,
    /// Probes of the present size that were lost.
    lost: u8,
    probe: Option<Probe>,
    /// When the path is searched again for what it did not take [`MTU_RAISE_AFTER`] ago.
    search_at: Instant,
}

/// What a sleeper keeps of its path, besides what it sends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    search_at_s: u32,
    limit: u16,
}

/// A segment that is on its way to find out whether it arrives.
#[derive(Clone, Copy, Debug)]
struct Probe {
    seq: SeqNum,
    end: SeqNum,
    size: u16,
}

impl PathMtu {
    /// A path that takes `limit` until it is known to take less.
    pub(super) fn new(limit: u16, probing: MtuProbing, default_mss: u16) -> Self {
        let mut path = PathMtu {
            limit,
            works: limit,
            fails: limit + 1,
            is_exact: true,
            is_searching: false,
            lost: 0,
            probe: None,
            search_at: Instant::FAR_FUTURE,
        };
        let base = base(default_mss);
        if probing == MtuProbing::On && limit > base {
            path.works = base;
            path.is_searching = true;
        }
        path
    }

    /// What is left of it in a connection that has slept, which has sent `works`.
    pub(super) fn recall(kept: Kept, works: u16) -> Self {
        let Kept { limit, search_at_s } = kept;
        let works = works.min(limit);
        let search_at = match works < limit {
            true => Instant::from_millis(u64::from(search_at_s) * 1000),
            false => Instant::FAR_FUTURE,
        };
        let path = PathMtu::new(limit, MtuProbing::Auto, 0);
        PathMtu { works, fails: works + 1, search_at, ..path }
    }

    /// What a sleeper keeps of it. A search that was under way begins anew.
    pub(super) fn keep(&self, now: Instant) -> Kept {
        let search_at = if self.is_searching { now } else { self.search_at };
        let search_at_s = u32::try_from(search_at.as_millis() / 1000).unwrap_or(u32::MAX);
        Kept { limit: self.limit, search_at_s }
    }

    /// What is sent [octets].
    pub(super) fn mss(&self) -> u16 {
        self.works
    }

    /// The size to try next; `None` if what is left to find is not worth a probe.
    fn candidate(&self) -> Option<u16> {
        if self.is_exact {
            let whole = self.fails - 1;
            (whole > self.works).then_some(whole)
        } else {
            let apart = self.fails.saturating_sub(self.works);
            (apart > MTU_SEARCH_STEP).then_some(self.works + apart / 2)
        }
    }

    fn settle(&mut self, now: Instant) {
        self.is_searching = self.candidate().is_some();
        if !self.is_searching {
            self.search_at = match self.works < self.limit {
                true => now + MTU_RAISE_AFTER,
                false => Instant::FAR_FUTURE,
            };
        }
    }

    /// Our own link takes no more than `mss`.
    fn limit_to(&mut self, mss: u16) {
        self.limit = self.limit.min(mss);
    }

    /// The size of a probe that is due [octets].
    fn due(&mut self, now: Instant) -> Option<u16> {
        if now >= self.search_at {
            // RFC 8201 §4: what was too large some minutes ago may no longer be.
            self.search_at = Instant::FAR_FUTURE;
            (self.fails, self.is_exact, self.lost) = (self.limit + 1, true, 0);
            self.is_searching = true;
        }
        if !self.is_searching || self.probe.is_some() {
            return None;
        }
        let size = self.candidate();
        if size.is_none() {
            self.settle(now);
        }
        size
    }

    /// RFC 8899 §5.3.2: a size is given up when so many probes of it were lost: one may always be.
    fn on_probe_lost(&mut self, now: Instant) {
        let Some(probe) = self.probe.take() else { return };
        self.lost += 1;
        if self.lost >= MTU_PROBES_MAX {
            (self.fails, self.is_exact, self.lost) = (probe.size, false, 0);
            self.settle(now);
        }
    }

    fn on_probe_arrived(&mut self, now: Instant) -> bool {
        let Some(probe) = self.probe.take() else { return false };
        self.works = probe.size;
        self.lost = 0;
        self.settle(now);
        true
    }

    /// A router says that `mss` is the most. Whether something that was sent is larger.
    fn on_told(&mut self, now: Instant, mss: u16) -> bool {
        let beaten = self.probe.is_some_and(|probe| mss < probe.size);
        if mss >= self.works && !beaten {
            return false;
        }
        let shrinks = mss < self.works;
        self.works = self.works.min(mss);
        // RFC 8201 §4: it names exactly what fits.
        (self.fails, self.is_exact, self.lost) = (mss + 1, true, 0);
        self.probe = None;
        self.settle(now);
        shrinks || beaten
    }

    /// RFC 4821 §7.7: segments of this size vanish, time after time. Whether less is sent from here
    /// on.
    fn on_black_hole(&mut self, now: Instant, size: u32, default_mss: u16) -> bool {
        let base = base(default_mss);
        let lower = if size > base.into() { base } else { default_mss };
        if lower >= self.works {
            return false;
        }
        (self.fails, self.is_exact, self.lost) = (self.works, false, 0);
        self.works = lower;
        self.probe = None;
        self.settle(now);
        true
    }
}

/// RFC 4821 §7.2: where a search begins; over IPv6, what every path carries is more.
fn base(default_mss: u16) -> u16 {
    MTU_SEARCH_BASE.max(default_mss)
}

impl Connection {
    /// The path takes payload of at most `mss` octets per segment, options not counted (RFC 1191,
    /// RFC 8201). What is in flight and too large is taken for lost. Nobody makes it larger by
    /// saying so; after [`MTU_RAISE_AFTER`] it is found out whether it is, unless
    /// [`super::LegSettings::mtu_probing`] is off.
    pub fn on_path_mtu(&mut self, cx: &mut Context<'_>, mss: u16) {
        if self.state == State::Closed {
            return;
        }
        let mss = mss.max(SEND_MSS_MIN);
        if self.cold.path.on_told(cx.now, mss) {
            self.shrink_segments(cx);
        }
    }

    /// As [`Connection::on_path_mtu`], but for good: our own link, or Linux's route, takes no more.
    pub fn on_link_mtu(&mut self, cx: &mut Context<'_>, mss: u16) {
        self.cold.path.limit_to(mss.max(SEND_MSS_MIN));
        self.on_path_mtu(cx, mss);
    }

    /// The retransmission timer has expired again, and nothing was acknowledged since the last time.
    pub(super) fn suspect_black_hole(&mut self, cx: &mut Context<'_>) {
        if self.cold.settings.mtu_probing == MtuProbing::Off
            || !self.cold.retries.is_multiple_of(BLACK_HOLE_TIMEOUTS)
        {
            return;
        }
        let head = self.queue.list.head;
        let len = if head == NIL { 0 } else { cx.chunks.node(head).len() };
        let size = len + u32::from(self.options_octets());
        let default_mss = self.cold.endpoints.default_mss;
        // One that every path takes, and that does not arrive either, tells that nothing does.
        if size > default_mss.into() && self.cold.path.on_black_hole(cx.now, size, default_mss) {
            cx.counters.black_holes += 1;
            self.shrink_segments(cx);
        }
    }

    /// What is in flight and too large, perhaps a probe alone, does not arrive.
    fn shrink_segments(&mut self, cx: &mut Context<'_>) {
        self.apply_path_mss();
        let mss = u32::from(self.mss);
        self.cold.recovery.mark_larger(cx.chunks, &self.queue, self.snd_nxt, mss);
        self.note_disorder();
    }

    /// Brings the payload of a segment in line with the path.
    fn apply_path_mss(&mut self) {
        self.set_mss(self.cold.path.mss());
        self.cold.controller.on_mss(self.mss);
    }

    /// A probe, if one is due and there is what it takes: payload for it and for three segments
    /// behind it, which tell of its loss, and room for all of them (RFC 4821 §7.4). It is made by
    /// copying, as payload lies in segments that are as large as the other leg's.
    pub(super) fn pick_mtu_probe(&mut self, cx: &mut Context<'_>) -> Option<u32> {
        let recovery = &self.cold.recovery;
        if self.cold.settings.mtu_probing == MtuProbing::Off
            || !recovery.is_quiet()
            || !recovery.notices_loss_at(self.snd_nxt)
        {
            return None;
        }
        let size = self.cold.path.due(cx.now)?;
        let len = u32::from(size.saturating_sub(self.options_octets()));
        let needed = len + 3 * u32::from(self.mss);
        let unsent = self.snd_end - self.snd_nxt;
        let window = self.cold.controller.window_octets();
        if unsent < needed || self.usable_window() < needed || window < needed + self.in_flight() {
            return None;
        }
        let index = self.queue.gather(cx, len)?;
        let seq = self.snd_nxt;
        self.cold.path.probe = Some(Probe { seq, end: seq + len, size });
        cx.counters.mtu_probes += 1;
        Some(index)
    }

    /// Whether what was just found lost first is a probe: no sign of congestion (RFC 4821 §7.6.1).
    pub(super) fn is_mtu_probe_lost(&self) -> bool {
        self.cold.path.probe.is_some_and(|probe| probe.seq == self.snd_una)
    }

    /// What begins at `seq` is sent again, in smaller pieces.
    pub(super) fn note_resegmented(&mut self, now: Instant, seq: SeqNum) {
        if self.cold.path.probe.is_some_and(|probe| probe.seq == seq) {
            self.cold.path.on_probe_lost(now);
        }
    }

    /// SND.UNA has moved: perhaps over a probe.
    #[inline]
    pub(super) fn check_mtu_probe(&mut self, now: Instant) {
        if let Some(probe) = self.cold.path.probe
            && self.snd_una.at_or_after(probe.end)
            && self.cold.path.on_probe_arrived(now)
        {
            self.apply_path_mss();
        }
    }
}

/// What a router that names no MTU may mean: the next lower one of those that links have
/// (RFC 1191 §7.1) [octets].
pub fn plateau_below(mtu: u16) -> u16 {
    const PLATEAUS: [u16; 10] = [65_535, 32_000, 17_914, 8166, 4352, 2002, 1492, 1006, 508, 296];
    PLATEAUS.into_iter().find(|plateau| *plateau < mtu).unwrap_or(68)
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: u16 = 536;

    /// Searches a path that takes `fits` from `path` on; returns the probes.
    fn search(path: &mut PathMtu, fits: u16, now: Instant) -> Vec<u16> {
        let mut probes = Vec::new();
        while let Some(size) = path.due(now) {
            probes.push(size);
            path.probe = Some(Probe { seq: SeqNum(0), end: SeqNum(0), size });
            if size <= fits {
                path.on_probe_arrived(now);
            } else {
                path.on_probe_lost(now);
            }
            assert!(probes.len() < 100, "the search does not end: {probes:?}");
        }
        probes
    }

    #[test]
    fn a_search_ends_within_its_step_of_what_the_path_takes() {
        for limit in [1460, 1440, 3780, 8960] {
            for fits in (1024..=limit).step_by(13) {
                let mut path = PathMtu::new(limit, MtuProbing::On, V4);
                assert_eq!(path.mss(), 1024);
                let probes = search(&mut path, fits, Instant::ZERO);
                let found = path.mss();
                assert!(found <= fits && fits - found <= MTU_SEARCH_STEP, "{found} of {fits}");
                assert!(probes.len() <= 3 * 14, "{probes:?}");
            }
        }
    }

    #[test]
    fn a_black_hole_is_left_downwards_and_searched_upwards() {
        let mut path = PathMtu::new(1460, MtuProbing::Auto, V4);
        assert_eq!(path.due(Instant::ZERO), None, "nobody asks while all is well");
        assert!(path.on_black_hole(Instant::ZERO, 1460, V4));
        assert_eq!(path.mss(), 1024);
        search(&mut path, 1360, Instant::ZERO);
        assert!((1352..=1360).contains(&path.mss()), "{}", path.mss());
        let mut narrow = PathMtu::new(1460, MtuProbing::Auto, V4);
        assert!(narrow.on_black_hole(Instant::ZERO, 1460, V4));
        assert!(narrow.on_black_hole(Instant::ZERO, 1024, V4));
        assert_eq!(narrow.mss(), 536);
        assert!(!narrow.on_black_hole(Instant::ZERO, 536, V4), "every path takes this");
        let mut odd = PathMtu::new(1460, MtuProbing::Auto, V4);
        assert!(odd.on_black_hole(Instant::ZERO, 900, V4));
        assert_eq!(odd.mss(), 536, "the base would have been too large");
    }

    #[test]
    fn over_ipv6_no_path_takes_less_than_its_minimum() {
        let mut path = PathMtu::new(1440, MtuProbing::Auto, 1220);
        assert!(path.on_black_hole(Instant::ZERO, 1440, 1220));
        assert_eq!(path.mss(), 1220);
        assert!(!path.on_black_hole(Instant::ZERO, 1440, 1220));
    }

    #[test]
    fn what_a_router_says_holds_for_ten_minutes() {
        let mut path = PathMtu::new(1460, MtuProbing::Auto, V4);
        assert!(path.on_told(Instant::ZERO, 1200));
        assert!(!path.on_told(Instant::ZERO, 1300), "nobody makes it larger by saying so");
        assert_eq!(path.mss(), 1200);
        let almost = Instant::from_millis(599_999);
        assert_eq!(path.due(almost), None);
        let then = Instant::from_millis(600_000);
        assert_eq!(search(&mut path, 1460, then), [1460], "the whole at once, if it fits");
        assert_eq!(path.mss(), 1460);
        assert_eq!(path.search_at, Instant::FAR_FUTURE);
    }

    #[test]
    fn a_sleeper_wakes_with_what_was_found_out() {
        let mut path = PathMtu::new(1460, MtuProbing::Auto, V4);
        path.on_told(Instant::ZERO, 1200);
        let mut woken = PathMtu::recall(path.keep(Instant::from_millis(5000)), path.mss());
        assert_eq!(woken.mss(), 1200);
        assert_eq!(woken.due(Instant::from_millis(599_999)), None);
        assert_eq!(woken.due(Instant::from_millis(600_000)), Some(1460));
        let whole = PathMtu::new(1460, MtuProbing::Auto, V4);
        let mut woken = PathMtu::recall(whole.keep(Instant::ZERO), whole.mss());
        assert_eq!((woken.mss(), woken.due(Instant::from_millis(10_000_000))), (1460, None));
    }

    #[test]
    fn a_router_that_refuses_a_probe_says_what_to_try_next() {
        let mut path = PathMtu::new(1460, MtuProbing::On, V4);
        path.probe = Some(Probe { seq: SeqNum(0), end: SeqNum(0), size: 1460 });
        assert!(path.on_told(Instant::ZERO, 1380), "the probe is larger");
        assert_eq!(search(&mut path, 1380, Instant::ZERO), [1380]);
        assert_eq!(path.mss(), 1380);
    }

    #[test]
    fn one_lost_probe_says_nothing() {
        let mut path = PathMtu::new(1460, MtuProbing::On, V4);
        for _ in 0..2 {
            let size = path.due(Instant::ZERO).unwrap();
            path.probe = Some(Probe { seq: SeqNum(0), end: SeqNum(0), size });
            path.on_probe_lost(Instant::ZERO);
        }
        assert_eq!(search(&mut path, 1460, Instant::ZERO), [1460]);
    }

    #[test]
    fn a_router_without_a_number_means_the_next_plateau() {
        assert_eq!([1500, 1492, 1006, 9000, 60].map(plateau_below), [1492, 1006, 508, 8166, 68]);
    }
}
