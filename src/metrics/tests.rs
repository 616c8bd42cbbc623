use core_affinity::CoreId;
use ringroad_engine::telemetry::Measure;

use super::*;
use crate::cores::{PollingThread, Role};
use crate::stats::{
    Core, Health, LaneCookies, Latency, Origin, Port, Recording, Ring, Service, Stage,
};

/// An engine that has seen a little of everything.
fn scrape() -> Scrape {
    let yaml = r#"
ports: [{ name: wan, interface: eth1 }]
services:
  - name: web
    listen: ["10.10.1.1:80", "[fd00:1::1]:80"]
    origins: ["10.10.2.2:80"]
    client_leg: { congestion: bbr }
    max_connections: 500
"#;
    let config = ringroad_config::parse("edge.yaml", yaml).unwrap();
    let threads = [("io", Role::Io, 2), ("worker-0", Role::Worker, 3)];
    let threads = threads.map(|(name, role, id)| PollingThread {
        name: name.to_owned(),
        role,
        core: CoreId { id },
    });
    let mut stats = Stats::default();
    stats.ledger.dropped.insert("no_connection".to_owned(), 3);
    stats.ledger.held = 7;
    stats.ledger.handed_over = 6;
    stats.frames.with_devices = 2048;
    stats.shield.insert("to_engine".to_owned(), 5);
    stats.ports.push(Port { name: "wan".to_owned(), rx_dropped: 2, ..Default::default() });
    stats.latency = Latency { count: 9, p99_us: 250.0, ..Default::default() };
    let mut origin = Origin { health: Health::Down, ..Default::default() };
    origin.address = "10.10.2.2:80".to_owned();
    (origin.connections.active, origin.connections.failed) = (2, 3);
    stats.services.push(Service {
        name: "web".to_owned(),
        shield: [("denied".to_owned(), 4)].into(),
        origins: vec![origin],
        ..Default::default()
    });
    stats.cookies.mode = "auto".to_owned();
    stats.cookies.key_age_s = Some(12);
    stats.cookies.lanes.push(LaneCookies { on: true, for_s: Some(7.5), half_open: 3 });
    stats.cores.push(Core {
        name: "io".to_owned(),
        busy_s: 1.5,
        turns: 5,
        busy_turns: 3,
        stages: vec![Stage {
            name: "tx".to_owned(),
            packets: 70,
            sampled_packets: 7,
            sampled_s: 0.5,
            ..Default::default()
        }],
        rings: vec![Ring { name: "tx".to_owned(), capacity: 256, full: 2, ..Default::default() }],
        ..Default::default()
    });
    stats.recording = Some(Recording { written: 9, lost: 1 });
    let mut recorders = Recorders::new();
    recorders.record_n(Measure::Inside, 250_000, 9);
    recorders.record(Measure::RingDepthTx, 12);
    Scrape {
        measured: Measured::of(&threads, &[recorders, Recorders::new()]),
        about: Arc::new(About::new(&config, threads.into())),
        stats,
        stalls: vec![0, 2],
    }
}

/// The page of an engine with these figures.
pub(super) fn page_of(stats: Stats) -> String {
    Scrape { stats, ..scrape() }.into_page()
}

#[test]
fn names_and_units_are_conventional() {
    let text = scrape().into_page();
    for line in [
        "ringroad_dropped_frames_total{reason=\"no_connection\"} 3\n",
        "ringroad_dropped_frames_total{reason=\"rx_ring\"} 0\n",
        "ringroad_payload_bytes_total{service=\"web\",direction=\"to_origin\"} 0\n",
        "ringroad_held_frames 7\n",
        "ringroad_handed_over_frames_total 6\n",
        "ringroad_device_frames 2048\n",
        "ringroad_shield_packets_total{verdict=\"to_engine\"} 5\n",
        "ringroad_port_frames_total{port=\"wan\",direction=\"sent\"} 0\n",
        "ringroad_port_dropped_frames_total{port=\"wan\",direction=\"received\"} 2\n",
        "ringroad_shield_service_packets_total{service=\"web\",verdict=\"denied\"} 4\n",
        "ringroad_syn_cookies_info{mode=\"auto\"} 1\n",
        "ringroad_syn_cookies_on{lane=\"0\"} 1\n",
        "ringroad_syn_cookies_state_age_seconds{lane=\"0\"} 7.5\n",
        "ringroad_origin_up{service=\"web\",origin=\"10.10.2.2:80\"} 0\n",
        "ringroad_origin_connections_active{service=\"web\",origin=\"10.10.2.2:80\"} 2\n",
        "ringroad_origin_connections_total{service=\"web\",origin=\"10.10.2.2:80\",outcome=\"failed\"} 3\n",
        "ringroad_connections_half_open{lane=\"0\"} 3\n",
        "ringroad_cookie_key_age_seconds 12\n",
        "ringroad_recording_intervals_total{fate=\"lost\"} 1\n",
        "ringroad_core_info{core=\"io\",role=\"io\",cpu=\"2\"} 1\n",
        "ringroad_core_busy_seconds_total{core=\"io\"} 1.5\n",
        "ringroad_core_stalls_total{core=\"worker-0\"} 2\n",
        "ringroad_core_turns_total{core=\"io\",found=\"nothing\"} 2\n",
        "ringroad_core_bottleneck{core=\"io\"} 0\n",
        "ringroad_stage_packets_total{core=\"io\",stage=\"tx\"} 70\n",
        "ringroad_stage_sampled_seconds_total{core=\"io\",stage=\"tx\"} 0.5\n",
        "ringroad_stage_sampled_packets_total{core=\"io\",stage=\"tx\"} 7\n",
        "ringroad_ring_full_total{core=\"io\",ring=\"tx\"} 2\n",
        "ringroad_ring_capacity{core=\"io\",ring=\"tx\"} 256\n",
        "# UNIT ringroad_inside_seconds seconds\n",
        "ringroad_inside_seconds_count 9\n",
        "ringroad_rtt_seconds_count{leg=\"origin\"} 0\n",
        "ringroad_inside_seconds_bucket{le=\"0.0002\"} 0\n",
        "ringroad_inside_seconds_bucket{le=\"0.0005\"} 9\n",
        "ringroad_inside_seconds_bucket{le=\"+Inf\"} 9\n",
        "ringroad_ring_depth_bucket{le=\"8.0\",core=\"io\",ring=\"tx\"} 0\n",
        "ringroad_ring_depth_bucket{le=\"12.0\",core=\"io\",ring=\"tx\"} 1\n",
    ] {
        assert!(text.contains(line), "no {line}in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn what_was_configured_is_told() {
    let text = scrape().into_page();
    for line in [
        concat!(
            "ringroad_build_info{version=\"",
            env!("CARGO_PKG_VERSION"),
            "\",driver=\"af_xdp\"} 1\n"
        ),
        "ringroad_listener_info{service=\"web\",address=\"[fd00:1::1]:80\"} 1\n",
        "ringroad_origin_info{service=\"web\",origin=\"10.10.2.2:80\"} 1\n",
        "ringroad_leg_info{service=\"web\",leg=\"client\",congestion=\"bbr\",pacing=\"auto\",\
         ecn=\"accept\"} 1\n",
        "ringroad_connections_limit{service=\"web\"} 500\n",
    ] {
        assert!(text.contains(line), "no {line}in\n{text}");
    }
    let started = text.lines().find_map(|line| line.strip_prefix("ringroad_start_time_seconds "));
    assert!(started.unwrap().parse::<f64>().unwrap() > 1.7e9);
}

/// As the format demands: samples of a family stand together, each once.
#[test]
fn families_stand_together_and_samples_are_unique() {
    let text = scrape().into_page();
    let mut families: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let mut samples: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(sample, _)| sample)
        .collect();
    for names in [&mut families, &mut samples] {
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}

#[test]
fn openmetrics_is_for_who_asks_for_it() {
    // As Prometheus 2.42 asks.
    let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;\
                      version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    for (accept, openmetrics) in [(prometheus, true), ("*/*", false), ("text/plain", false)] {
        let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
        assert_eq!(takes_openmetrics(&headers), openmetrics, "{accept}");
    }
    assert!(!takes_openmetrics(&HeaderMap::new()));
}
