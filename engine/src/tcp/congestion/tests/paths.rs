//! What the algorithms make of paths.

use super::path::{Flow, Outcome, Path};
use super::*;
use crate::tcp::pacing::Pacing;

const STARTUP: Duration = Duration::from_secs(10);
const STEADY: Duration = Duration::from_secs(30);

/// A connection in its steady state.
fn steady(algorithm: Algorithm, path: Path) -> Outcome {
    let mut flow = Flow::new(algorithm, path, Pacing::Auto);
    flow.run(STARTUP);
    flow.run(STEADY)
}

#[test]
fn a_clean_path_is_filled() {
    for algorithm in ALL {
        for (mbit, rtt_ms) in [(10, 20), (10, 100), (100, 10), (100, 50)] {
            let outcome = steady(algorithm, Path::new(mbit, rtt_ms));
            let name = format!("{algorithm:?} at {mbit} Mbit/s, {rtt_ms} ms: {outcome:?}");
            assert!(outcome.utilisation > 95.0, "{name}");
            assert!(outcome.lost < 1.5, "{name}");
        }
    }
}

#[test]
fn vegas_and_bbr_keep_the_queue_below_the_paths_own_delay() {
    for algorithm in [Algorithm::Vegas, Algorithm::Bbr] {
        for (mbit, rtt_ms) in [(10, 20), (100, 10), (100, 100)] {
            let path = Path::new(mbit, rtt_ms);
            let deep = Path { queue: 8 * path.bdp(), ..path };
            let outcome = steady(algorithm, deep);
            assert!(outcome.wait < 50.0, "{algorithm:?}, {mbit} Mbit/s, {rtt_ms} ms: {outcome:?}");
        }
    }
}

#[test]
fn bbr_holds_four_fifths_of_a_long_path_at_one_percent_loss() {
    for (mbit, rtt_ms) in [(10, 100), (100, 10), (100, 100)] {
        let path = Path { lost_ppm: 10_000, ..Path::new(mbit, rtt_ms) };
        let outcome = steady(Algorithm::Bbr, path);
        assert!(outcome.utilisation > 80.0, "{mbit} Mbit/s, {rtt_ms} ms: {outcome:?}");
        let cubic = steady(Algorithm::Cubic, path);
        assert!(cubic.utilisation < outcome.utilisation / 2.0, "the loss is real: {cubic:?}");
    }
}

#[test]
fn bbr_does_not_take_random_loss_for_congestion() {
    for (lost_ppm, least) in [(30_000, 82.0), (50_000, 80.0)] {
        for (mbit, rtt_ms) in [(10, 100), (100, 10), (100, 100)] {
            let path = Path { lost_ppm, ..Path::new(mbit, rtt_ms) };
            let outcome = steady(Algorithm::Bbr, path);
            let name = format!("{lost_ppm} ppm, {mbit} Mbit/s, {rtt_ms} ms: {outcome:?}");
            assert!(outcome.utilisation > least, "{name}");
            assert!(outcome.wait < 15.0, "{name}");
        }
    }
}

#[test]
fn chance_does_not_end_bbrs_startup() {
    // The first rounds are short: a sixth of one may well be lost at random.
    for mbit in 30..60 {
        let path = Path { lost_ppm: 50_000, ..Path::new(mbit, 50) };
        let mut flow = Flow::new(Algorithm::Bbr, path, Pacing::Auto);
        flow.run(Duration::from_secs(1));
        let outcome = flow.run(Duration::from_secs(1));
        assert!(outcome.utilisation > 75.0, "{mbit} Mbit/s: {outcome:?}");
    }
}

#[test]
fn bbr_is_bounded_by_loss_where_no_queue_could_show() {
    // A policer: what exceeds the rate is dropped, but for a few segments.
    for (mbit, rtt_ms) in [(10, 100), (100, 20), (100, 100)] {
        let policer = Path { queue: 16 * u64::from(MSS), ..Path::new(mbit, rtt_ms) };
        let mut flow = Flow::new(Algorithm::Bbr, policer, Pacing::Auto);
        let start = flow.run(STARTUP);
        let outcome = flow.run(STEADY);
        let name = format!("{mbit} Mbit/s, {rtt_ms} ms: {start:?}, {outcome:?}");
        assert!(start.lost < 10.0 && outcome.lost < 2.0, "{name}");
        assert!(outcome.utilisation > 85.0, "{name}");
    }
}

#[test]
fn bbr_spares_a_shallow_queue() {
    for (mbit, rtt_ms) in [(10, 100), (100, 20), (100, 100)] {
        let path = Path::new(mbit, rtt_ms);
        let shallow = Path { queue: path.bdp() / 10, ..path };
        let outcome = steady(Algorithm::Bbr, shallow);
        let name = format!("{mbit} Mbit/s, {rtt_ms} ms: {outcome:?}");
        assert!(outcome.lost < 1.5, "{name}");
        assert!(outcome.utilisation > 85.0, "{name}");
    }
}

#[test]
fn bbr_follows_the_path_up_and_down() {
    let path = Path::new(50, 40);
    let mut flow = Flow::new(Algorithm::Bbr, path, Pacing::Auto);
    flow.run(STARTUP);
    let slower = Path { rate: path.rate.scaled(1, 5), ..path };
    flow.set_path(slower);
    flow.run(STARTUP);
    let outcome = flow.run(STARTUP);
    assert!(outcome.lost < 2.0 && outcome.utilisation > 90.0, "a fifth: {outcome:?}");
    flow.set_path(path);
    flow.run(STARTUP);
    let outcome = flow.run(STARTUP);
    assert!(outcome.lost < 2.0 && outcome.utilisation > 90.0, "all again: {outcome:?}");
}

#[test]
fn bbrs_pace_is_the_paths() {
    for mbit in [1, 10, 100, 1000] {
        let path = Path::new(mbit, 30);
        let mut flow = Flow::new(Algorithm::Bbr, path, Pacing::Auto);
        flow.run(Duration::from_secs(4));
        for _ in 0..20 {
            flow.run(Duration::from_millis(100));
            let pace = flow.controller.pacing_rate().unwrap_or_default();
            let percent = pace.scaled(100, 1).octets_per_second() / path.rate.octets_per_second();
            assert!((80..=130).contains(&percent), "{mbit} Mbit/s: {percent} %");
        }
    }
}

#[test]
fn marks_instead_of_losses_keep_the_queue_short() {
    for algorithm in [Algorithm::Dctcp, Algorithm::Bbr, Algorithm::Cubic, Algorithm::NewReno] {
        let path = Path::new(1000, 1);
        let marking = Path { mark_above: Some(path.bdp() / 4), queue: 4 * path.bdp(), ..path };
        let mut flow = Flow::new(algorithm, marking, Pacing::Auto);
        flow.run(Duration::from_secs(2));
        let outcome = flow.run(Duration::from_secs(3));
        let name = format!("{algorithm:?}: {outcome:?}");
        assert!(outcome.lost == 0.0, "{name}");
        assert!(outcome.wait < 40.0, "{name}");
        let least = if algorithm == Algorithm::Dctcp { 97.0 } else { 70.0 };
        assert!(outcome.utilisation > least, "{name}");
    }
}

#[test]
fn cubic_leaves_slow_start_with_the_path_full_and_nothing_lost() {
    for (mbit, rtt_ms) in [(10, 20), (10, 100), (50, 50), (60, 50), (70, 50), (100, 10), (100, 100)]
    {
        let path = Path::new(mbit, rtt_ms);
        let mut flow = Flow::new(Algorithm::Cubic, path, Pacing::Auto);
        while flow.controller.in_slow_start() {
            flow.run(path.rtt);
        }
        let bdps = 100 * u64::from(flow.controller.window_octets()) / path.bdp();
        let name = format!("{mbit} Mbit/s, {rtt_ms} ms: {bdps} % of a bandwidth-delay product");
        assert!((95..=190).contains(&bdps), "{name}");
        assert_eq!(flow.lost, 0, "{name}");
    }
}

#[test]
fn pacing_lets_a_window_fill_a_path_with_a_shallow_queue() {
    let path = Path::new(100, 100);
    let shallow = Path { queue: path.bdp() / 10, ..path };
    let [unpaced, paced] = [Pacing::Auto, Pacing::On].map(|pacing| {
        let mut flow = Flow::new(Algorithm::Cubic, shallow, pacing);
        flow.run(STARTUP);
        flow.run(STEADY).utilisation
    });
    assert!(paced > 90.0 && unpaced < paced, "{paced} paced, {unpaced} unpaced");
}
