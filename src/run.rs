//! `ringroad run`: from a configuration to traffic, and back to a clean host.
//!
//! Everything that can be refused is refused before anything is touched; what is touched is owned
//! by a value whose drop undoes it. The order of a start: plan, bind, reserve, open, load, attach
//! (all is still Linux's), see what Linux serves already, poll. The end is the reverse, after a
//! drain.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ringroad_config::schema::{Config, DriverKind, Histograms, Idle};
use ringroad_ebpf::EgressRange;
use ringroad_engine::flow::{Owner, Steering};
use ringroad_engine::kernel::{ReservedPorts, Watcher, clashes, read_once};
use ringroad_engine::port::Port;
use ringroad_engine::stage::{Command, IdlePolicy, PortIdentity, WorkerSettings};
use ringroad_engine::telemetry::Snapshot;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::admin::{Admin, AdminSocket, MetricsSocket};
use crate::backend::Backend;
use crate::backend::af_xdp::AfXdpBackend;
use crate::backend::dpdk;
#[cfg(feature = "dpdk")]
use crate::backend::dpdk::DpdkBackend;
use crate::capture::Captures;
use crate::cli::EXIT_USAGE;
use crate::cookies::Cookies;
use crate::cores::CorePlan;
use crate::crew::Crew;
use crate::events::Events;
use crate::metrics::Exporter;
use crate::plan::Plan;
use crate::polling::{Parts, Polling, Posts};
use crate::recording::{Recorder, Writer};
use crate::stats::{Names, Stats};
use crate::{cookies, cores, events, secret};

/// Run the engine in the foreground
///
/// Prints `ready` on standard error when traffic flows. SIGTERM takes no new connections, lets the
/// old ones finish (up to engine.drain_timeout) and ends.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    dpdk: dpdk::Options,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let config = match ringroad_config::load(&args.config) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    };
    if let Err(error) = args.dpdk.check(&config) {
        eprintln!("ringroad: {error}");
        return Ok(ExitCode::from(EXIT_USAGE));
    }
    if let Err(error) = start_log() {
        eprintln!("ringroad: {error}");
        return Ok(ExitCode::from(EXIT_USAGE));
    }
    let plan = CorePlan::new(&config, &cores::usable())?;
    tracing::info!("{}", plan.why);
    cores::warn_of_concerns(&config);
    cores::leave_to_polling(&plan);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _entered = runtime.enter();
    // From here on a signal undoes what was done.
    let stop = StopSignal::watch()?;
    match config.driver() {
        DriverKind::AfXdp => {
            let backend = AfXdpBackend::new(&config, cores::nodes(&plan))?;
            runtime.block_on(serve(&config, backend, &plan, stop))?;
        }
        #[cfg(feature = "dpdk")]
        DriverKind::Dpdk => {
            let backend = DpdkBackend::new(&config, &plan, &args.dpdk)?;
            runtime.block_on(serve(&config, backend, &plan, stop))?;
        }
        #[cfg(not(feature = "dpdk"))]
        DriverKind::Dpdk => bail!("this build has no DPDK"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Warnings and errors go to standard error; `RINGROAD_LOG` asks for more or less, and
/// `RINGROAD_LOG_FORMAT` for lines of JSON.
fn start_log() -> Result<()> {
    let filter = match std::env::var("RINGROAD_LOG") {
        Ok(asked) if !asked.is_empty() => asked.parse::<EnvFilter>().with_context(|| {
            format!("RINGROAD_LOG: {asked:?} is no filter; give one such as info or ringroad=debug")
        })?,
        _ => EnvFilter::new(LOG_DEFAULT),
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Elsewhere nobody makes colours of what asks for them.
    let log = if std::io::stderr().is_terminal() { log } else { log.with_ansi(false) };
    match std::env::var("RINGROAD_LOG_FORMAT").as_deref() {
        Err(_) | Ok("" | "text") => log.init(),
        Ok("json") => log.json().flatten_event(true).init(),
        Ok(other) => bail!("RINGROAD_LOG_FORMAT: {other:?} is no format; text or json"),
    }
    Ok(())
}

async fn serve<B: Backend>(
    config: &Config,
    mut backend: B,
    cores: &CorePlan,
    mut stop: StopSignal,
) -> Result<()> {
    let posts = Posts::new(cores)?;
    let crew = Crew::new(cores, posts.commands());
    let told = crew.clone();
    let (watcher, routes) = Watcher::start(move |routes| told.tell_routes(&routes)).await?;
    let plan = match backend.awaits_addresses() {
        false => Plan::new(config, &routes)?,
        true => tokio::select! {
            plan = await_addresses(config) => plan?,
            _ = stop.received() => return Ok(()),
        },
    };
    backend.check(config, &plan)?;
    refuse_clashes(&plan)?;
    let writer = Writer::new(&config.telemetry)?;

    let mut socket = AdminSocket::bind(&config.admin.socket).await?;
    let metrics = match config.admin.metrics {
        Some(metrics) => Some(MetricsSocket::bind(metrics).await?),
        None => None,
    };
    let ranges: Vec<_> = plan.egress.iter().map(|range| range.ports.clone()).collect();
    let reserved = ReservedPorts::reserve(&ranges)?;

    let cookies = Cookies::of(&config.shield)?;
    let opened = backend.open(config, &plan, cores)?;
    let shield = backend.shield()?;
    if let Some(cookies) = &cookies {
        let keys = cookies.keys();
        crew.tell(|| Command::CookieKeys(keys)).await;
        shield.set_cookie_keys(&keys);
    }
    let names = Names {
        services: config.services.iter().map(|service| service.name.clone()).collect(),
        origins: config.services.iter().map(|service| service.origins.clone()).collect(),
        ports: config.ports.iter().map(|port| port.name.clone()).collect(),
        threads: cores.threads().collect(),
    };

    let (_, ports) = opened.lanes.first().context("no core has devices")?;
    let worker = WorkerSettings {
        ports: (plan.ports.iter().zip(ports))
            .map(|(planned, port)| PortIdentity {
                verified: port.verifies_checksums(),
                ..planned.identity
            })
            .collect(),
        services: plan.services.clone(),
        known_flows: Some(backend.known_flows()?),
        proven_sources: backend.proven_sources(&plan)?,
        secret: secret::load(&config.admin.socket)?,
        owner: Owner::default(),
        records: config.telemetry.histograms == Histograms::On,
    };
    let owners = posts.owners()?;
    let steering = match cores.io {
        Some(_) => Steering::hashed(owners),
        None => Steering::by_cards(owners, backend.cards(&plan, &opened.lanes)),
    };
    let parts = Parts {
        gates: backend.put_in_front(&plan, &opened.lanes)?,
        opened,
        steering,
        worker,
        routes,
        resolver: watcher.resolver(),
        cookies: cookies::of_lane(&config.shield),
        idle: match config.engine.idle {
            Idle::Spin => IdlePolicy::Spin,
            Idle::Adaptive => IdlePolicy::Adaptive,
        },
        heartbeat_limit: config.engine.heartbeat_limit,
    };
    let mut polling = Polling::start(posts, parts, &plan)?;

    let recorder = writer.map(Recorder::start).transpose()?;
    let feed = recorder.as_ref().map(Recorder::feed);
    let listening = plan.services.iter().map(|service| &service.listen[..]);
    let captures = Captures::new(crew.clone(), names.clone(), listening, plan.mtu());
    let events = Events::new(plan.services.iter().map(events::Names::of).collect());
    let mode = config.shield.syn_cookies;
    let admin = Admin::new(crew.clone(), shield, names, mode, captures, events, feed);
    if cookies.is_some() {
        admin.set_key_since(Cookies::keys_since());
    }
    let admin = Arc::new(admin);
    let exporter = Arc::new(Exporter::new(admin.clone(), config));
    socket.serve(admin.clone(), exporter.clone());
    if let Some(metrics) = metrics {
        metrics.serve(exporter);
    }
    // Once they answer, all threads have shown a sign of life, and take connections.
    admin.stats().await?;
    eprintln!("ready");
    // Without systemd there is nobody to notify.
    let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Ready]);

    let died = tokio::select! {
        _ = stop.received() => false,
        _ = polling.ended() => true,
        _ = backend.attend() => false,
        _ = change(&cookies, &admin) => false,
        _ = admin.gather() => false,
        _ = admin.take_census() => false,
        _ = admin.keep() => false,
        _ = crew.watch(config.engine.heartbeat_limit, &admin.events) => false,
        _ = admin.events.attend(&crew) => false,
    };
    if !died {
        let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Stopping]);
        drain(&admin, config.engine.drain_timeout).await;
    }
    if let Some(recorder) = recorder {
        admin.end_interval().await;
        recorder.end().await;
    }
    let last = polling.stop().await;
    backend.hand_over().await;
    drop(backend);
    drop(reserved);
    report(&last?);
    Ok(())
}

/// Waits until no connection is open, at most for `timeout`.
async fn drain(admin: &Admin, timeout: Duration) {
    admin.crew.tell(|| Command::Drain).await;
    let open = async {
        // Of a thread that does not answer nothing is known.
        while !admin.stats().await.is_ok_and(|stats| is_at_rest(&stats)) {
            tokio::time::sleep(DRAIN_LOOK).await;
        }
    };
    tokio::select! {
        over = tokio::time::timeout(timeout, open) => if over.is_err() {
            tracing::warn!("connections are still open after {timeout:?}; they are reset");
        },
        () = admin.keep() => {}
    }
}

fn is_at_rest(stats: &Stats) -> bool {
    stats.services.iter().all(|service| service.connections.active == 0)
}

/// What asks the engine to end.
#[derive(Debug)]
struct StopSignal {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl StopSignal {
    fn watch() -> Result<Self> {
        Ok(StopSignal {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Returns at the first `SIGTERM` or `SIGINT`.
    async fn received(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => tracing::warn!(
                    "SIGHUP: this version cannot reload; restart it to apply a new configuration"
                ),
            }
        }
    }
}

/// Plans as soon as Linux has the addresses and routes for it; after a while, says what it lacks.
async fn await_addresses(config: &Config) -> Result<Plan> {
    let mut told = false;
    let until = tokio::time::Instant::now() + ADDRESS_WAIT;
    loop {
        let missing = match Plan::new(config, &read_once().await?) {
            Ok(plan) => return Ok(plan),
            Err(missing) => missing,
        };
        if tokio::time::Instant::now() > until {
            return Err(missing);
        }
        if !told {
            told = true;
            eprintln!("waiting for addresses and routes: {missing:#}");
        }
        tokio::time::sleep(ADDRESS_LOOK).await;
    }
}

/// Linux must not use the source ports that are ours.
fn refuse_clashes(plan: &Plan) -> Result<()> {
    for EgressRange { address, ports, .. } in &plan.egress {
        if let Some(clash) = clashes(*address, ports.clone())?.first() {
            bail!("egress {address}, source ports {}-{}: {clash}", ports.start(), ports.end());
        }
    }
    Ok(())
}

/// Changes the keys of the cookies, if there are any; never ends.
async fn change(cookies: &Option<Cookies>, admin: &Admin) {
    match cookies {
        Some(cookies) => cookies.change(admin).await,
        None => std::future::pending().await,
    }
}

fn report(last: &Snapshot) {
    let (inward, outward) = last.ledger.imbalance();
    if (inward, outward) != (0, 0) {
        tracing::error!(
            "the ledger does not balance: {inward} in, {outward} out; please report this"
        );
    }
    if last.frames.held != 0 {
        tracing::error!("{} frames were not given back; please report this", last.frames.held);
    }
}

/// The netlink crate warns of attributes that newer kernels have; they are none of our business.
const LOG_DEFAULT: &str = "warn,netlink_packet_route=error";
/// How long an operator's tools may take to give new interfaces their addresses, and how often they
/// are looked for.
const ADDRESS_WAIT: Duration = Duration::from_secs(30);
const ADDRESS_LOOK: Duration = Duration::from_millis(100);
/// How often a drain looks whether it is over.
const DRAIN_LOOK: Duration = Duration::from_millis(20);
