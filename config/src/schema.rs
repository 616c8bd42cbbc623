//! What a configuration says, as plain data: no YAML in sight, every default filled in.
//!
//! A [`Config`] comes from [`parse`](crate::parse) alone when it comes from outside, and is
//! then consistent: names are unique, references resolve, addresses do not overlap, and nothing
//! is asked for that this version cannot do (see `unsupported.rs`). Start at [`Config`].

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

/// A whole configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub engine: Engine,
    /// At least one.
    pub ports: Vec<Port>,
    /// At least one.
    pub services: Vec<Service>,
    pub shield: Shield,
    pub admin: Admin,
    pub telemetry: Telemetry,
}

impl Config {
    /// What drives all ports.
    pub fn driver(&self) -> DriverKind {
        self.ports.first().map_or(DriverKind::AfXdp, |port| port.driver.kind())
    }

    /// The port of that name.
    pub fn port(&self, name: &str) -> Option<&Port> {
        self.ports.iter().find(|port| port.name == name)
    }
}

/// How the polling threads run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    pub arrangement: Arrangement,
    /// CPUs that poll, one pinned thread each.
    pub cores: Vec<usize>,
    /// Frames handled between two looks at the clock \[frames\].
    pub burst: usize,
    pub idle: Idle,
    /// Frames in the pool of each lane \[frames\].
    pub frames: u32,
    /// How long old connections may take to finish after `SIGTERM`.
    pub drain_timeout: Duration,
    /// A lane that shows no sign of life for this long is taken for hung, and its services fall
    /// back to Linux.
    pub heartbeat_limit: Duration,
}

impl Default for Engine {
    fn default() -> Self {
        Engine {
            arrangement: Arrangement::Auto,
            cores: vec![0],
            burst: crate::limits::BURST_MAX,
            idle: Idle::Adaptive,
            frames: 32_768,
            drain_timeout: Duration::from_secs(30),
            heartbeat_limit: Duration::from_millis(100),
        }
    }
}

/// A device that packets come and go by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    pub name: String,
    pub driver: Driver,
}

impl Port {
    /// RX queues that are polled.
    pub fn queues(&self) -> u32 {
        match &self.driver {
            Driver::AfXdp(af_xdp) => af_xdp.queues,
            Driver::Dpdk(dpdk) => dpdk.queues,
        }
    }
}

/// What drives a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Driver {
    AfXdp(AfXdp),
    Dpdk(Dpdk),
}

impl Driver {
    pub fn kind(&self) -> DriverKind {
        match self {
            Driver::AfXdp(_) => DriverKind::AfXdp,
            Driver::Dpdk(_) => DriverKind::Dpdk,
        }
    }
}

/// A Linux network interface, through AF_XDP sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AfXdp {
    /// Name in Linux.
    pub interface: String,
    /// RX queues to poll, from queue 0 on.
    pub queues: u32,
    pub xdp_mode: XdpMode,
    /// Our calls drive the device's polling, looking for packets this long, instead of its
    /// interrupts (`SO_PREFER_BUSY_POLL`); `None`: interrupts do.
    pub busy_poll: Option<Duration>,
}

/// A device that DPDK drives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dpdk {
    /// Its name, if it is virtual, or its PCI address.
    pub device: String,
    /// RX queues to poll, from queue 0 on.
    pub queues: u32,
    /// The interface that stands for it in Linux: a TAP, made if there is none of that name.
    pub tap: String,
}

/// Addresses that clients connect to, and the origins behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub name: String,
    /// Name of the port that clients come in by.
    pub port: String,
    /// At least one; no address is listened on by two services.
    pub listen: Vec<SocketAddr>,
    /// At least one.
    pub origins: Vec<SocketAddr>,
    pub egress: Egress,
    pub client_leg: Leg,
    pub origin_leg: Leg,
    /// Header that tells an origin who its client is.
    pub proxy_protocol: ProxyProtocol,
    /// Proxied connections at one time \[connections\].
    pub max_connections: u32,
    /// What becomes of new connections that the engine will not take.
    pub fallback: Fallback,
    /// How long an origin may take to answer the handshake.
    pub connect_timeout: Duration,
    /// A proxied connection on which no payload moved for this long is reset.
    pub idle_timeout: Duration,
}

impl Service {
    /// Unless said otherwise \[connections\].
    pub const MAX_CONNECTIONS: u32 = 100_000;
    /// Unless said otherwise: two retransmissions of the SYN (RFC 6298 §2) fit.
    pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
    /// Unless said otherwise.
    pub const IDLE_TIMEOUT: Duration = Duration::from_secs(600);
}

/// Where the connections to the origins leave from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Egress {
    /// Name of the port; `None`: the one that Linux would route by.
    pub port: Option<String>,
    /// Source address; `None`: the one that Linux would choose.
    pub address: Option<IpAddr>,
    pub source_ports: RangeInclusive<u16>,
}

impl Default for Egress {
    fn default() -> Self {
        Egress { port: None, address: None, source_ports: 20_000..=59_999 }
    }
}

/// One of the two TCP connections of a proxied pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    pub congestion: Algorithm,
    /// What may be sent before the first acknowledgement \[segments\].
    pub initial_window: u32,
    /// The least that may be in flight, whatever was lost \[segments\].
    pub min_window: u32,
    /// The most; `None` leaves it to the algorithm and to the peer \[segments\].
    pub max_window: Option<u32>,
    pub pacing: Pacing,
    pub ecn: Ecn,
    /// Of a client's leg alone.
    pub fast_open: FastOpen,
    /// The largest window that the peer is offered \[octets\].
    pub receive_buffer_max: u32,
    pub mtu_probing: MtuProbing,
    /// `None`: a silent peer is not asked for signs of life.
    pub keepalive: Option<Keepalive>,
    /// How long what was sent may wait for any of it to be acknowledged; `None`: as long as
    /// retransmission goes on.
    pub user_timeout: Option<Duration>,
}

/// When a silent peer is asked for a sign of life (RFC 9293 §3.8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// After so much silence.
    pub idle: Duration,
    /// And again after so much more.
    pub interval: Duration,
    /// Unanswered, so often, before the connection is given up.
    pub probes: u8,
}

impl Default for Keepalive {
    /// RFC 9293 §3.8.4 wants two hours at least; the rest is what Linux does.
    fn default() -> Self {
        Keepalive { idle: Duration::from_secs(7200), interval: Duration::from_secs(75), probes: 9 }
    }
}

impl Default for Leg {
    fn default() -> Self {
        // RFC 6928 §2: an initial window of ten segments.
        Leg {
            congestion: Algorithm::Cubic,
            initial_window: 10,
            min_window: 1,
            max_window: None,
            pacing: Pacing::Auto,
            ecn: Ecn::Accept,
            fast_open: FastOpen::Off,
            receive_buffer_max: 16_000_000,
            mtu_probing: MtuProbing::Auto,
            keepalive: None,
            user_timeout: None,
        }
    }
}

/// What the XDP program does ahead of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shield {
    pub syn_cookies: SynCookies,
    /// What counts as pressure.
    pub pressure: Pressure,
    /// File with the secret that cookies follow from, for machines that are to take each other's;
    /// `None`: one of this machine's own, new at each start.
    pub cookie_secret: Option<PathBuf>,
    pub fragments: Fragments,
    pub unknown_acks: UnknownAcks,
    /// Sources that services and egress addresses hear nothing of. No prefix is in both lists: the
    /// longest counts.
    pub deny: Vec<IpNet>,
    /// Sources that are never rate-limited.
    pub allow: Vec<IpNet>,
    /// Limit on each source that has completed a handshake; `None`: no limit.
    pub per_source: Option<RateLimit>,
    /// Limit on all others of a prefix together; `None`: no limit.
    pub per_prefix: Option<RateLimit>,
    /// Limit on the SYNs of all others together \[SYN/s\]; `None`: no limit.
    pub unproven_syn_per_second: Option<u32>,
}

impl Default for Shield {
    fn default() -> Self {
        Shield {
            syn_cookies: SynCookies::Auto,
            pressure: Pressure::default(),
            cookie_secret: None,
            fragments: Fragments::Kernel,
            unknown_acks: UnknownAcks::Kernel,
            deny: Vec::new(),
            allow: Vec::new(),
            per_source: None,
            per_prefix: None,
            unproven_syn_per_second: None,
        }
    }
}

/// From where on SYNs are answered with cookies if that is `auto`, on each core that polls. It ends
/// below half of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pressure {
    /// SYNs to the services \[SYN/s\].
    pub syn_per_second: u32,
    /// Connections whose client has not completed its handshake \[connections\].
    pub half_open: u32,
}

impl Default for Pressure {
    fn default() -> Self {
        // More than a core accepts in earnest; and as many as Linux lets wait in a busy listener
        // (`tcp_max_syn_backlog`, 128 to 4096 by memory).
        Pressure { syn_per_second: 10_000, half_open: 1024 }
    }
}

/// What a prefix of addresses may send to the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Sustained rate \[SYN/s\].
    pub syn_per_second: u32,
    /// SYNs that are let through at once.
    pub burst: u32,
    /// Sustained rate \[packets/s\], of which a second's worth may come at once; `None`: no limit.
    pub packets_per_second: Option<u32>,
    /// Sustained rate \[octets/s\], of which a second's worth may come at once; `None`: no limit.
    pub bytes_per_second: Option<u64>,
    /// Addresses that share this many leading bits are counted together.
    pub prefix_v4: u8,
    /// The same for IPv6.
    pub prefix_v6: u8,
}

impl RateLimit {
    /// Of a source that has completed a handshake, unless the file says otherwise.
    pub const PER_SOURCE: RateLimit = RateLimit {
        syn_per_second: 200,
        burst: 400,
        packets_per_second: None,
        bytes_per_second: None,
        prefix_v4: 32,
        prefix_v6: 64,
    };

    /// Of all others of a prefix together: no site is given more than 48 bits of IPv6 leave it
    /// (RFC 6177 §2), and few networks route less than what 24 bits of IPv4 do.
    pub const PER_PREFIX: RateLimit = RateLimit {
        syn_per_second: 2000,
        burst: 4000,
        prefix_v4: 24,
        prefix_v6: 48,
        ..RateLimit::PER_SOURCE
    };
}

/// Where the running engine is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Unix socket of `ringroad stats` and the other commands.
    pub socket: PathBuf,
    /// Prometheus over HTTP; `None`: not served.
    pub metrics: Option<Metrics>,
}

impl Default for Admin {
    fn default() -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 9464));
        Admin {
            socket: PathBuf::from("/run/ringroad.sock"),
            metrics: Some(Metrics { address, required: false }),
        }
    }
}

/// Where Prometheus finds the figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metrics {
    pub address: SocketAddr,
    /// Whether the file asks for it. Then the engine does not start without; if it is the default,
    /// and something else listens there, it does.
    pub required: bool,
}

/// What is recorded on disk: histograms and counts, in pairs of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// Where to; `None`: nothing is recorded.
    pub directory: Option<PathBuf>,
    /// Time between two records, in whole seconds.
    pub interval: Duration,
    /// Size of a pair after which the next begins \[octets\].
    pub rotate: u64,
    /// Pairs that are kept, with the one that is being written.
    pub keep: u32,
}

impl Default for Telemetry {
    /// A gibibyte in all: a day or so of an edge with work to do.
    fn default() -> Self {
        let interval = Duration::from_secs(1);
        Telemetry { directory: None, interval, rotate: 64 << 20, keep: 16 }
    }
}

/// A setting that takes one of a few words.
pub trait Word: Copy + PartialEq + fmt::Debug + 'static {
    /// Every word with its meaning, in the order in which they are shown.
    const WORDS: &'static [(&'static str, Self)];

    /// The word in the file.
    fn word(self) -> &'static str;
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl Word for $name {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, $name::$variant),)+];

            fn word(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    )+};
}

words! {
    /// The kinds of [`Driver`].
    DriverKind {
        AfXdp = "af_xdp",
        Dpdk = "dpdk",
    }

    /// How the stages are laid out over cores.
    Arrangement {
        /// Run to completion as long as there are queues for all cores, else a pipeline.
        Auto = "auto",
        /// Each core receives, processes and sends, on queues of its own.
        RunToCompletion = "run-to-completion",
        /// The first core receives and sends for all others, which process.
        Pipeline = "pipeline",
    }

    /// What a polling thread does when nothing comes.
    Idle {
        /// Polls on: lowest latency, a whole core for ever.
        Spin = "spin",
        /// Backs off, in the end to sleeping on the device.
        Adaptive = "adaptive",
    }

    /// How an AF_XDP socket is bound.
    XdpMode {
        /// The best that the interface can do.
        Auto = "auto",
        /// The device writes to our frames; fails where the driver cannot.
        ZeroCopy = "zero-copy",
        /// The driver's XDP hook, with one copy by the kernel.
        Copy = "copy",
        /// The kernel's own XDP hook, behind the driver: any interface, slowest.
        Generic = "generic",
    }

    /// Congestion control of a leg.
    Algorithm {
        /// RFC 5681.
        Reno = "reno",
        /// RFC 9438.
        Cubic = "cubic",
        /// draft-ietf-ccwg-bbr.
        Bbr = "bbr",
        /// RFC 8257.
        Dctcp = "dctcp",
        /// Brakmo and Peterson, 1995.
        Vegas = "vegas",
    }

    /// Whether segments leave one by one at a rate, or as soon as the window allows.
    Pacing {
        /// If the algorithm sends by rate: bbr.
        Auto = "auto",
        On = "on",
        Off = "off",
    }

    /// What a leg does about explicit congestion notification (RFC 3168).
    Ecn {
        /// Agrees where the peer asks.
        Accept = "accept",
        /// Also asks.
        On = "on",
        Off = "off",
    }

    /// Whether clients that have been here before may send their request with the SYN (RFC 7413).
    FastOpen {
        Off = "off",
        On = "on",
    }

    /// When segments larger than those that are known to arrive are tried (RFC 4821).
    MtuProbing {
        /// Never: ICMP alone tells what a path takes.
        Off = "off",
        /// When full segments have vanished, or some time after ICMP has named a limit.
        Auto = "auto",
        /// From the start, with small segments first.
        On = "on",
    }

    /// PROXY protocol header in front of what goes to an origin.
    ProxyProtocol {
        Off = "off",
        V1 = "v1",
        V2 = "v2",
    }

    /// What becomes of new connections that the engine will not take.
    Fallback {
        /// Whatever listens on that address in Linux gets them.
        Kernel = "kernel",
        /// They are answered with a reset.
        Reset = "reset",
        /// They are dropped without an answer.
        Drop = "drop",
    }

    /// What becomes of fragments of TCP to a service's address, which the engine cannot put together.
    Fragments {
        /// Linux puts them together, for nobody.
        Kernel = "kernel",
        /// They are dropped.
        Drop = "drop",
    }

    /// What becomes of segments of no connection that is known.
    UnknownAcks {
        /// Linux answers them with a reset, as long as they are few.
        Kernel = "kernel",
        /// They are dropped.
        Drop = "drop",
    }

    /// When SYNs are answered with cookies.
    SynCookies {
        /// Under pressure; see [`Pressure`].
        Auto = "auto",
        Always = "always",
        Off = "off",
    }
}
