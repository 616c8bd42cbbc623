//! What an operator sees: for each mistake its exact message, and for each good file its meaning.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use crate::exercise::{exercise, survives_a_round_trip};
use crate::schema::{
    Algorithm, Driver, Ecn, Fallback, FastOpen, Idle, Keepalive, Metrics, MtuProbing, Pacing,
    ProxyProtocol, RateLimit, Shield, Telemetry, XdpMode,
};
use crate::{load, parse};

mod messages;

/// A good file; tests put their mistakes into it.
const GOOD: &str = "\
ports:
  - name: wan
    interface: wan0
  - name: lan
    interface: lan0
services:
  - name: web
    listen: [\"10.10.1.1:80\"]
    origins: [\"10.10.2.2:80\"]
";

#[test]
fn a_port_of_dpdk_is_known_to_linux_by_its_name() {
    let file = GOOD
        .replace("interface: wan0", "driver: dpdk\n    device: net_tap0\n    queues: 2")
        .replace("interface: lan0", "driver: dpdk\n    device: 0000:3b:00.0\n    tap: inside0");
    let yaml = parse("f", &file).unwrap().to_yaml();
    assert!(
        yaml.contains(
            "\
ports:
  - name: wan
    driver: dpdk
    device: net_tap0
    queues: 2
    tap: wan
  - name: lan
    driver: dpdk
    device: \"0000:3b:00.0\"
    queues: 1
    tap: inside0
"
        ),
        "{yaml}"
    );
    assert_eq!(parse("f", &yaml).unwrap().to_yaml(), yaml);
}

#[test]
fn a_file_without_options_has_every_default() {
    let config = parse("f", GOOD).unwrap();
    assert_eq!(
        config.to_yaml(),
        "\
engine:
  arrangement: auto
  cores: [0]
  burst: 64
  idle: adaptive
  frames: 32768
  drain_timeout: 30s
  heartbeat_limit: 100ms
ports:
  - name: wan
    driver: af_xdp
    interface: wan0
    queues: 1
    xdp_mode: auto
    busy_poll: off
  - name: lan
    driver: af_xdp
    interface: lan0
    queues: 1
    xdp_mode: auto
    busy_poll: off
services:
  - name: web
    port: wan
    listen: [\"10.10.1.1:80\"]
    origins: [\"10.10.2.2:80\"]
    egress:
      port: auto
      address: auto
      source_ports: 20000-59999
    client_leg: { congestion: cubic, initial_window: 10, min_window: 1, max_window: off, pacing: auto, ecn: accept, fast_open: off,
      receive_buffer_max: 16000000, mtu_probing: auto, keepalive: off, user_timeout: off }
    origin_leg: { congestion: cubic, initial_window: 10, min_window: 1, max_window: off, pacing: auto, ecn: accept,
      receive_buffer_max: 16000000, mtu_probing: auto, keepalive: off, user_timeout: off }
    proxy_protocol: off
    max_connections: 100000
    fallback: kernel
    connect_timeout: 5s
    idle_timeout: 10m
shield:
  syn_cookies: auto
  pressure: { syn_per_second: 10000, half_open: 1024 }
  cookie_secret: own
  fragments: kernel
  unknown_acks: kernel
  deny: []
  allow: []
  per_source: off
  per_prefix: off
  unproven_syn_per_second: off
admin:
  socket: /run/ringroad.sock
  metrics: \"127.0.0.1:9464\"
telemetry:
  directory: off
  interval: 1s
  rotate: 64MiB
  keep: 16
"
    );
}

#[test]
fn the_shields_lists_and_limits_are_kept() {
    let shield = "\
shield:
  syn_cookies: off
  pressure: { syn_per_second: 500, half_open: 1024 }
  cookie_secret: own
  fragments: drop
  unknown_acks: drop
  deny: [192.0.2.0/24, \"2001:db8::/32\"]
  allow: [192.0.2.7/32]
  per_source:
    syn_per_second: 50
    burst: 400
    packets_per_second: off
    bytes_per_second: 1000000
    prefix_v4: 22
    prefix_v6: 64
  per_prefix:
    syn_per_second: 2000
    burst: 4000
    packets_per_second: off
    bytes_per_second: off
    prefix_v4: 22
    prefix_v6: 48
  unproven_syn_per_second: off
";
    let file = "shield: { syn_cookies: off, pressure: { syn_per_second: 500 }, fragments: drop, unknown_acks: drop, deny: [192.0.2.0/24, '2001:db8::/32'], allow: [192.0.2.7], \
                per_source: { syn_per_second: 50, bytes_per_second: 1000000, prefix_v4: 22 } }\n";
    let config = parse("f", &format!("{GOOD}{file}")).unwrap();
    assert!(config.to_yaml().contains(shield), "{}", config.to_yaml());
    survives_a_round_trip(&config);
}

#[test]
fn sources_and_their_prefixes_are_limited_each_by_itself() {
    let shield = |text: &str| {
        let config = parse("f", &format!("{GOOD}shield: {{ {text} }}\n")).unwrap();
        survives_a_round_trip(&config);
        config.shield
    };
    let Shield { per_source, per_prefix, unproven_syn_per_second, .. } = shield("per_source: {}");
    assert_eq!(per_source, Some(RateLimit::PER_SOURCE));
    assert_eq!(per_prefix, Some(RateLimit::PER_PREFIX), "with it, unless it is off");
    assert_eq!(unproven_syn_per_second, None);
    assert_eq!(shield("per_source: {}, per_prefix: off").per_prefix, None);

    let alone = shield("per_prefix: { packets_per_second: 5 }, unproven_syn_per_second: 90000");
    assert_eq!(alone.per_source, None);
    let packets_per_second = Some(5);
    assert_eq!(alone.per_prefix, Some(RateLimit { packets_per_second, ..RateLimit::PER_PREFIX }));
    assert_eq!(alone.unproven_syn_per_second, Some(90_000));
}

#[test]
fn what_is_said_is_what_is_meant() {
    let config = parse(
        "f",
        "\
admin: { socket: /tmp/a b.sock, metrics: \"[::]:9464\" }
engine:
  arrangement: run-to-completion
  cores: [3]
  burst: 64
  idle: spin
  frames: 8192
  drain_timeout: 1500ms
  heartbeat_limit: 2s
services:
  - listen: ['[fd00:1::1]:443']
    origins:
      - '[fd00:2::2]:443'
      - \"[fd00:2::3]:443\"
    egress: { port: edge, address: 'fd00:1::2', source_ports: 30000-39999 }
    client_leg:
      congestion: reno
      ecn: off
      fast_open: on
      receive_buffer_max: 1000000
      mtu_probing: on
      keepalive: { idle: 30s, probes: 4 }
      user_timeout: 90s
    origin_leg: { congestion: bbr, initial_window: 40, min_window: 4, max_window: 2000, pacing: on, ecn: on, keepalive: }
    proxy_protocol: v1
    max_connections: 7
    fallback: drop
    connect_timeout: 1s
    idle_timeout: 2h
ports: [{ name: edge, interface: eth0, xdp_mode: copy, busy_poll: 20us }]
shield: # all as it was
telemetry: { directory: /var/lib/ring road, interval: 1m, rotate: 1024KiB, keep: 3 }
",
    )
    .unwrap();
    assert_eq!(config.engine.cores, [3]);
    assert_eq!(config.engine.burst, 64);
    assert_eq!(config.engine.idle, Idle::Spin);
    assert_eq!(config.engine.frames, 8192);
    assert_eq!(config.engine.drain_timeout, Duration::from_millis(1500));
    assert_eq!(config.engine.heartbeat_limit, Duration::from_secs(2));
    let Driver::AfXdp(af_xdp) = &config.port("edge").unwrap().driver else { panic!("AF_XDP") };
    assert_eq!((af_xdp.interface.as_str(), af_xdp.xdp_mode), ("eth0", XdpMode::Copy));
    assert_eq!(af_xdp.busy_poll, Some(Duration::from_micros(20)));
    let service = &config.services[0];
    assert_eq!((service.name.as_str(), service.port.as_str()), ("service-1", "edge"));
    assert_eq!(service.listen, ["[fd00:1::1]:443".parse().unwrap()]);
    assert_eq!(service.origins.len(), 2);
    assert_eq!(service.egress.port.as_deref(), Some("edge"));
    assert_eq!(service.egress.address, Some("fd00:1::2".parse().unwrap()));
    assert_eq!(service.egress.source_ports, 30_000..=39_999);
    assert_eq!(service.client_leg.congestion, Algorithm::Reno);
    assert_eq!(service.client_leg.initial_window, 10);
    assert_eq!((service.client_leg.ecn, service.origin_leg.ecn), (Ecn::Off, Ecn::On));
    assert_eq!(service.client_leg.fast_open, FastOpen::On);
    assert_eq!(service.origin_leg.initial_window, 40);
    assert_eq!((service.origin_leg.min_window, service.client_leg.min_window), (4, 1));
    assert_eq!((service.origin_leg.max_window, service.client_leg.max_window), (Some(2000), None));
    assert_eq!((service.origin_leg.pacing, service.client_leg.pacing), (Pacing::On, Pacing::Auto));
    assert_eq!(service.origin_leg.congestion, Algorithm::Bbr);
    assert_eq!(service.client_leg.receive_buffer_max, 1_000_000);
    assert_eq!(service.client_leg.mtu_probing, MtuProbing::On);
    let seconds = Duration::from_secs;
    let keepalive = Keepalive { idle: seconds(30), interval: seconds(75), probes: 4 };
    assert_eq!(service.client_leg.keepalive, Some(keepalive));
    assert_eq!(service.origin_leg.keepalive, Some(Keepalive::default()));
    assert_eq!(service.client_leg.user_timeout, Some(seconds(90)));
    assert_eq!(service.origin_leg.user_timeout, None);
    assert_eq!(service.proxy_protocol, ProxyProtocol::V1);
    assert_eq!(service.max_connections, 7);
    assert_eq!(service.fallback, Fallback::Drop);
    assert_eq!(service.connect_timeout, Duration::from_secs(1));
    assert_eq!(service.idle_timeout, Duration::from_secs(7200));
    assert_eq!(config.admin.socket, Path::new("/tmp/a b.sock"));
    let metrics = Metrics { address: "[::]:9464".parse().unwrap(), required: true };
    assert_eq!(config.admin.metrics, Some(metrics));
    let directory = Some("/var/lib/ring road".into());
    let interval = seconds(60);
    let telemetry = Telemetry { directory, interval, rotate: 1 << 20, keep: 3 };
    assert_eq!(config.telemetry, telemetry);
    survives_a_round_trip(&config);
}

#[test]
fn default_frames_grow_with_the_ports() {
    let mut file = "ports:\n".to_owned();
    for index in 0..8 {
        file += &format!("  - interface: eth{index}\n");
    }
    file += "services: [{ listen: [10.0.0.1:1], origins: [10.0.0.2:2] }]\n";
    let config = parse("f", &file).unwrap();
    assert_eq!(config.engine.frames, 36_864);
    survives_a_round_trip(&config);
}

#[test]
fn examples_are_good_and_survive_a_round_trip() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut count = 0;
    for entry in directory.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let config = load(&path).unwrap_or_else(|errors| panic!("{errors}"));
        survives_a_round_trip(&config);
        count += 1;
    }
    assert!(count >= 4, "only {count} examples were found");
}

/// What fuzzing has found to take other ways through the code.
#[test]
fn the_corpus_breaks_no_promise() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/config");
    let files: Vec<_> = corpus.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    files.iter().for_each(|file| exercise(&std::fs::read(file).unwrap()));
}

#[test]
fn a_file_that_cannot_be_read_says_so() {
    let errors = load(Path::new("/nonexistent/edge.yaml")).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "/nonexistent/edge.yaml: cannot be read: No such file or directory (os error 2); check the \
         path and its rights"
    );
    let errors = load(Path::new("/dev/zero")).unwrap_err();
    assert_eq!(errors.to_string(), "/dev/zero: longer than 8388608 octets; no configuration is");
}

/// Pieces of which files are made, good and bad ones, in any order.
fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "engine:",
            "ports:",
            "services:",
            "shield:",
            "admin:",
            "telemetry:",
            "name:",
            "interface:",
            "listen:",
            "origins:",
            "egress:",
            "cores:",
            "frames:",
            "burst:",
            "per_source:",
            "per_prefix:",
            "deny:",
            "queues:",
            "\n",
            "\n  ",
            "\n    ",
            "- ",
            "[",
            "]",
            "{",
            "}",
            ", ",
            ": ",
            "\"",
            "'",
            "|",
            ">",
            "&a ",
            "*a",
            "!t ",
            "? ",
            "---\n",
            "...\n",
            "# ",
            "~",
            "10.0.0.1:80",
            "[::1]:80",
            "64",
            "-1",
            "20000-59999",
            "30s",
            "off",
            "\t",
            "\u{feff}",
            "\u{85}",
            "\0",
            "<<: ",
            "%YAML 1.2\n",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ]
}

proptest! {
    #[test]
    fn no_octets_break_a_promise(input in prop::collection::vec(any::<u8>(), 0..200)) {
        exercise(&input);
    }

    #[test]
    fn no_text_breaks_a_promise(text in any::<String>()) {
        exercise(text.as_bytes());
    }

    #[test]
    fn no_yaml_breaks_a_promise(fragments in prop::collection::vec(fragment(), 0..60)) {
        exercise(fragments.concat().as_bytes());
    }

    /// A good file with one place overwritten: nearer to what people get wrong.
    #[test]
    fn no_slip_breaks_a_promise(at in 0..GOOD.len(), length in 0..20_usize, slip in fragment()) {
        let mut text = GOOD.to_owned();
        let end = (at + length).min(GOOD.len());
        text.replace_range(at..end, &slip);
        exercise(text.as_bytes());
    }

    #[test]
    fn any_configuration_survives_a_round_trip(
        name in "[A-Za-z0-9][A-Za-z0-9_.-]{0,31}",
        interface in "[^/:\\s\\p{C}]{1,3}",
        socket in "/[^\\p{C}]{0,30}[^/\\p{C}]",
        secret in prop::option::of("/[^\\p{C}]{0,30}[^/\\p{C}]"),
        micros in 0..86_400_000_000_u64,
        frames in 8_192..1_u32 << 24,
    ) {
        prop_assume!(name != "auto" && interface != "." && interface != "..");
        let mut config = parse("f", GOOD).unwrap();
        config.ports.truncate(1);
        config.ports[0].name.clone_from(&name);
        let Driver::AfXdp(af_xdp) = &mut config.ports[0].driver else { panic!("AF_XDP") };
        af_xdp.interface = interface;
        config.services[0].port.clone_from(&name);
        config.services[0].name = name;
        config.admin.socket = socket.into();
        config.shield.cookie_secret = secret.map(Into::into);
        config.engine.drain_timeout = Duration::from_micros(micros);
        config.engine.frames = frames;
        survives_a_round_trip(&config);
    }
}
