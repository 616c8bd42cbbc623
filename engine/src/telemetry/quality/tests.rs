use super::*;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A path of a few milliseconds on which nothing is wrong.
const GOOD: Seen = Seen {
    rtt: Duration::from_millis(4),
    jitter: Duration::from_millis(1),
    loss: 0.0,
    bandwidth: Some(125_000_000.0),
};

fn score(seen: Seen) -> f64 {
    Quality::of(&seen, 1000.0).score
}

#[test]
fn curves_go_through_what_their_sources_say() {
    let close = |is: f64, want: f64| assert!((is - want).abs() < 0.05, "{is}, not {want}");
    // Cole and Rosenbluth, figure 2: the bend is at 177.3 ms.
    close(delay_impairment(ms(100)), 2.4);
    close(delay_impairment(ms(300)), 7.2 + 0.11 * 122.7);
    // G.113, appendix I: of a codec with Bpl 4.3, half of 95 is gone at 4.3 % loss.
    close(loss_impairment(0.043), 47.5);
    close(loss_impairment(0.01), 17.9);
    close(bandwidth_impairment(1_250_000.0), 15.0);
    close(bandwidth_impairment(125_000_000.0), 0.0);
    assert!(score(GOOD) > 99.0);
}

#[test]
fn each_impairment_lowers_the_score_and_its_own_part() {
    type Worse = (&'static str, fn(f64) -> Seen, fn(&Quality) -> f64);
    let table: [Worse; 4] = [
        ("delay", |x| Seen { rtt: ms(10).mul_f64(x), ..GOOD }, |q| q.delay),
        ("jitter", |x| Seen { jitter: ms(2).mul_f64(x), ..GOOD }, |q| q.jitter),
        ("loss", |x| Seen { loss: 0.001 * x, ..GOOD }, |q| q.loss),
        ("bandwidth", |x| Seen { bandwidth: Some(12_000_000.0 / x), ..GOOD }, |q| q.bandwidth),
    ];
    for (what, seen, part) in table {
        let qualities = [1.0, 3.0, 10.0, 30.0, 100.0].map(|x| Quality::of(&seen(x), 100.0));
        for (better, worse) in qualities.iter().zip(&qualities[1..]) {
            assert!(better.score > worse.score || worse.score == 0.0, "{what}: {qualities:?}");
            assert!(part(better) > part(worse) || part(worse) == 0.0, "{what}: {qualities:?}");
            assert!(part(worse) >= worse.score, "{what}: a part alone leaves more than all");
        }
    }
}

#[test]
fn no_input_leads_beyond_the_scale() {
    for rtt in [ms(0), ms(60_000)] {
        for loss in [0.0, 1.0] {
            for bandwidth in [None, Some(0.0), Some(f64::MAX)] {
                let quality = Quality::of(&Seen { rtt, jitter: rtt, loss, bandwidth }, 0.0);
                assert!((0.0..=100.0).contains(&quality.score), "{quality:?}");
                assert_eq!(quality.confidence, 0.0);
            }
        }
    }
}

/// What `samples` of a path come to on which so many of 1000 octets are lost.
fn add(sums: &mut PathSums, samples: u64, rtt: Duration, lost_of_1000: u64) {
    for _ in 0..samples {
        sums.add_sample(&PathSample {
            rtt,
            variation: rtt / 10,
            delivered_octets: 1000 - lost_of_1000,
            lost_octets: lost_of_1000,
            rate: None,
        });
    }
}

#[test]
fn what_is_seen_is_the_mean_of_all_cores_connections() {
    let (mut one, mut other) = (PathSums::default(), PathSums::default());
    add(&mut one, 30, ms(10), 0);
    add(&mut other, 10, ms(50), 40);
    other.add_sample(&PathSample {
        rtt: ms(20),
        variation: ms(2),
        delivered_octets: 0,
        lost_octets: 0,
        rate: Some(Rate::from_octets_per_second(5_000)),
    });
    one.add(&other);
    let mut path = PathQuality::default();
    assert_eq!(path.judge(), None, "nothing is known");
    path.update(&one, Instant::from_millis(7));
    let (seen, quality) = path.judge().unwrap();
    assert_eq!(seen.rtt.as_millis(), 820 / 41);
    assert_eq!(seen.jitter.as_micros(), 2_000);
    assert!((seen.loss - 0.01).abs() < 1e-9);
    assert_eq!(seen.bandwidth, Some(5_000.0));
    assert!((quality.confidence - 41.0 / 61.0).abs() < 1e-9);
}

#[test]
fn confidence_grows_with_samples_and_goes_with_time() {
    let mut sums = PathSums::default();
    let mut path = PathQuality::default();
    let mut now = Instant::from_millis(1);
    let mut confidence = |path: &mut PathQuality, sums: &PathSums, later: Duration| {
        now += later;
        path.update(sums, now);
        path.judge().map(|(_, quality)| quality.confidence)
    };
    add(&mut sums, 2, ms(10), 0);
    let few = confidence(&mut path, &sums, ms(0)).unwrap();
    add(&mut sums, 200, ms(10), 0);
    let many = confidence(&mut path, &sums, ms(100)).unwrap();
    assert!(few < 0.1 && many > 0.9, "{few}, {many}");
    let score = path.judge().unwrap().1.score;
    let later = confidence(&mut path, &sums, 3 * HALF_LIFE).unwrap();
    assert!((later - 25.25 / 45.25).abs() < 0.01, "{later}");
    let same = path.judge().unwrap().1.score;
    assert!((same - score).abs() < 1e-6, "what is old is doubted, not changed");
    assert_eq!(confidence(&mut path, &sums, 20 * HALF_LIFE), None, "forgotten");
}

#[test]
fn a_path_recovers_as_its_bad_time_passes() {
    let mut sums = PathSums::default();
    let mut path = PathQuality::default();
    let mut now = Instant::from_millis(1);
    let mut scores = Vec::new();
    for minute in 0..8 {
        for _ in 0..60 {
            now += Duration::from_secs(1);
            add(&mut sums, 10, ms(10), if minute < 2 { 0 } else { 50 * u64::from(minute < 3) });
            path.update(&sums, now);
        }
        scores.push(path.judge().unwrap().1.score);
    }
    let [before, .., end] = scores[1..] else { unreachable!() };
    assert!(scores[2] < before - 30.0, "the bad minute shows: {scores:?}");
    assert!(scores[2..].windows(2).all(|pair| pair[0] < pair[1]), "{scores:?}");
    assert!(end > before - 5.0, "five minutes later it is all but over: {scores:?}");
}

#[test]
fn how_often_the_sums_are_read_changes_little() {
    let (mut sums, mut often, mut seldom) =
        (PathSums::default(), PathQuality::default(), PathQuality::default());
    let mut now = Instant::from_millis(1);
    for second in 1..=120 {
        now += Duration::from_secs(1);
        add(&mut sums, 5, ms(10 + second / 10), 2);
        often.update(&sums, now);
        if second % 10 == 0 {
            seldom.update(&sums, now);
        }
    }
    let (often, seldom) = (often.judge().unwrap(), seldom.judge().unwrap());
    assert!((often.1.score - seldom.1.score).abs() < 0.5, "{often:?}, {seldom:?}");
    assert!((often.1.confidence - seldom.1.confidence).abs() < 0.05);
}
