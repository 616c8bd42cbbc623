//! The program and its twin, told the same and asked the same.

use std::net::SocketAddr;
use std::time::Duration;

use ringroad_ebpf::{
    CookieMode, CookieService, FingerprintKey, KnownFlows, Lists, ShieldSettings, Verdict,
};
use ringroad_engine::flow::FlowKey;
use ringroad_engine::shield::cookie::Keys;
use ringroad_engine::shield::{Samples, Settings, Twin};
use ringroad_engine::time::Instant;

use crate::rig::{Rig, now_ns, settings};

/// The program and its twin, told the same.
pub(crate) struct Both {
    pub(crate) rig: Rig,
    pub(crate) twin: Twin,
    /// What both take for the time: the heartbeat is the program's clock while it is ahead of the
    /// real one.
    pub(crate) now: Instant,
    /// The twin's, and the connections in it: our end and the other.
    pub(crate) known_flows: KnownFlows,
    pub(crate) known: Vec<(SocketAddr, SocketAddr)>,
    pub(crate) judged: u64,
}

impl Both {
    pub(crate) fn new() -> Self {
        Both::with(settings())
    }

    pub(crate) fn with(settings: ShieldSettings) -> Self {
        let settings = ShieldSettings { cookies: COOKIES.to_vec(), ..settings };
        let rig = Rig::with(&settings);
        let ShieldSettings {
            services,
            egress,
            ports,
            drop_fragments,
            lists,
            drop_unknown,
            rate_limits,
            cookies,
            ..
        } = settings;
        let ifindexes: Vec<_> = ports.iter().map(|port| port.ifindex).collect();
        let known_flows = KnownFlows::new(
            &ifindexes,
            1000,
            FingerprintKey::new(b"the quick brown fox jumps over the lazy dog, ok."),
        );
        let twin = Twin::new(&Settings {
            ports: ports.len(),
            services,
            egress,
            drop_fragments,
            drop_unknown,
            lists,
            limits: Some((rate_limits, rig.shield.proven_sources())),
            cookies,
            known_flows: known_flows.clone(),
            samples: Samples::new(),
            secret: [7; 16],
        });
        let now = Instant::from_nanos(now_ns()) + Duration::from_secs(600);
        let mut both = Both { rig, twin, now, known_flows, known: Vec::new(), judged: 0 };
        both.advance(Duration::ZERO);
        both.set_accepting(0, true);
        both.set_accepting(1, true);
        both.set_keys(0);
        both
    }

    /// The engine has a connection more, if it has not this one.
    pub(crate) fn know(&mut self, local: SocketAddr, remote: SocketAddr) {
        if self.known.contains(&(local, remote)) {
            return;
        }
        self.known.push((local, remote));
        let flow = FlowKey::new(local, remote).to_octets();
        for known in [&self.rig.shield.known_flows(), &self.known_flows] {
            known.insert(0, &flow);
        }
    }

    /// One of the engine's connections is gone.
    pub(crate) fn forget(&mut self, which: usize) {
        if self.known.is_empty() {
            return;
        }
        let (local, remote) = self.known.swap_remove(which % self.known.len());
        let flow = FlowKey::new(local, remote).to_octets();
        for known in [&self.rig.shield.known_flows(), &self.known_flows] {
            known.remove(0, &flow);
        }
    }

    pub(crate) fn set_keys(&mut self, unix_seconds: u64) -> Keys {
        let keys = Keys::at(b"a master secret.", unix_seconds);
        self.rig.control.set_cookie_keys(&keys.slots, keys.current);
        self.twin.set_cookie_keys(keys);
        keys
    }

    pub(crate) fn set_cookies(&mut self, service: usize, mode: CookieMode) {
        self.rig.control.set_cookies(service as u32, mode);
        self.twin.set_cookies(service, mode);
    }

    pub(crate) fn set_cookie_mss(&mut self, service: usize, mss: u16) {
        let says = CookieService { mss_v4: mss, mss_v6: mss - 20, ..COOKIES[service] };
        self.rig.control.set_cookie_mss(service as u32, &says);
        self.twin.set_cookie_mss(service, &says);
    }

    pub(crate) fn set_pressure(&mut self, on: bool) {
        self.rig.control.set_pressure(0, on);
        self.twin.set_pressure(on);
    }

    pub(crate) fn set_accepting(&mut self, service: usize, accepting: bool) {
        self.rig.control.set_accepting(0, service as u32, accepting);
        self.twin.set_accepting(service, accepting);
    }

    pub(crate) fn advance(&mut self, time: Duration) {
        self.now += time;
        self.rig.control.beat(0, self.now.as_nanos());
    }

    pub(crate) fn set_lists(&mut self, lists: &Lists) {
        self.rig.shield.set_lists(lists).expect("new lists");
        self.twin.set_lists(lists);
    }

    #[track_caller]
    pub(crate) fn verdict(&mut self, what: &str, packet: &[u8]) -> Verdict {
        let (program, left) = self.rig.judge(packet);
        let twin = self.twin.judge(self.now, 0, packet);
        assert_eq!(
            twin,
            program,
            "{what}: twin and program, {} octets {packet:02x?}",
            packet.len()
        );
        if twin == Verdict::Answered {
            assert_eq!(
                Octets(self.twin.answer()),
                Octets(&left),
                "{what}: answers of twin and program to {:?}",
                Octets(packet)
            );
        }
        self.judged += 1;
        twin
    }

    /// What both count over all packets.
    pub(crate) fn assert_same_counts(&self) {
        assert_eq!(*self.twin.counters(), self.rig.counters());
        let reader = self.rig.shield.counters_reader();
        for (service, twin) in (0..).zip(self.twin.counters_by_service()) {
            let program = reader.of_service(service).expect("read the counters");
            assert_eq!(*twin, program, "service {service}");
        }
        let program = (0..2).map(|service| self.rig.control.fell_back(service));
        assert!(self.twin.fell_back().eq(program), "connections that fell back");
        assert_eq!(self.twin.new_connections(), self.rig.control.new_connections(0, 0));
        assert_eq!(self.twin.kernel_flow_count(), self.rig.shield.kernel_flow_count());
    }

    pub(crate) fn finish(self) {
        self.assert_same_counts();
        eprintln!("{} packets: {:?}", self.judged, self.twin.counters());
    }
}

/// Of a packet, in hexadecimal, as pcap tools read it.
#[derive(PartialEq, Eq)]
pub(crate) struct Octets<'a>(pub(crate) &'a [u8]);

impl std::fmt::Debug for Octets<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// Service 0 answers, service 1 does only where a test says so.
pub(crate) const COOKIES: [CookieService; 2] = [
    CookieService {
        mss_v4: 1460,
        mss_v6: 1440,
        window: 65_535,
        window_scale: 9,
        ecn: true,
        mode: CookieMode::Always,
    },
    CookieService {
        mss_v4: 8960,
        mss_v6: 8940,
        window: 14_600,
        window_scale: 0,
        ecn: false,
        mode: CookieMode::Off,
    },
];
