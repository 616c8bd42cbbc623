//! `ringroad run`: from a configuration to traffic, and back to a clean host.
//!
//! Everything that can be refused is refused before anything is touched; what is touched is owned
//! by a value whose drop undoes it. The order of a start: plan, bind, reserve, open, load, attach
//! (all is still Linux's), see what Linux serves already, poll. The end is the reverse, after a
//! drain.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use ringroad_config::schema::{Config, Idle};
use ringroad_ebpf::{ServiceAddress, Shield, ShieldSettings};
use ringroad_engine::frame::{FramePool, Region};
use ringroad_engine::kernel::{KernelConnection, ReservedPorts, Watcher, clashes, connections};
use ringroad_engine::limits::CHUNK_SIZE_MIN;
use ringroad_engine::port::af_xdp::{AfXdp, Umem};
use ringroad_engine::stage::{
    Command, Commands, IdlePolicy, Lane, ShieldGate, Worker, WorkerSettings, mailbox, monotonic,
};
use ringroad_engine::telemetry::Snapshot;
use ringroad_hugepages::Request;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;

use crate::admin::{Admin, AdminSocket, MetricsSocket};
use crate::cli::EXIT_USAGE;
use crate::plan::{FIRST_QUEUE, Plan};
use crate::stats::Names;
use crate::{privileges, secret};

/// Run the engine in the foreground
///
/// Prints `ready` on standard error when traffic flows. SIGTERM takes no new connections, lets the
/// old ones finish (up to engine.drain_timeout) and ends.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// A virtual device of DPDK's; not in this version
    #[arg(long, value_name = "ARGS")]
    vdev: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    if let Some(vdev) = args.vdev.first() {
        eprintln!(
            "ringroad: --vdev {vdev}: DPDK devices are not available in this version; leave it \
             out, and give ports with driver af_xdp"
        );
        return Ok(ExitCode::from(EXIT_USAGE));
    }
    let config = match ringroad_config::load(&args.config) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    };
    start_log();
    // The smallest that frames can be; if they get larger, locking them says so.
    privileges::require(u64::from(config.engine.frames) * CHUNK_SIZE_MIN as u64)?;
    let polling = polling_core(&config)?;
    leave_core_to_lane(polling);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(config, polling))?;
    Ok(ExitCode::SUCCESS)
}

/// Warnings and errors go to standard error; `RINGROAD_LOG` asks for more or less.
fn start_log() {
    let filter =
        EnvFilter::try_from_env("RINGROAD_LOG").unwrap_or_else(|_| EnvFilter::new(LOG_DEFAULT));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

async fn serve(config: Config, core: core_affinity::CoreId) -> Result<()> {
    let (commands, mailbox) = mailbox()?;
    let told = commands.clone();
    let (watcher, routes) = Watcher::start(move |routes| {
        // Never refused: the latest routes have a place of their own.
        let _ = told.send(Command::Routes(routes));
    })
    .await?;
    let plan = Plan::new(&config, &routes)?;
    refuse_clashes(&plan)?;

    let mut socket = AdminSocket::bind(&config.admin.socket).await?;
    let metrics = match config.admin.metrics {
        Some(metrics) => Some(MetricsSocket::bind(metrics).await?),
        None => None,
    };
    let ranges: Vec<_> = plan.egress.iter().map(|(_, ports)| ports.clone()).collect();
    let reserved = ReservedPorts::reserve(&ranges)?;

    let mut pool = frame_pool(config.engine.frames as usize, plan.frame_size)?;
    let umem = Umem::new(&pool);
    let mut ports = Vec::new();
    for port in &plan.ports {
        ports.push(AfXdp::open(&mut pool, &umem, port.socket.clone())?);
    }
    let mut shield = Shield::load(&plan.shield)?;
    let names = Names {
        services: config.services.iter().map(|service| service.name.clone()).collect(),
        ports: config.ports.iter().map(|port| port.name.clone()).collect(),
    };

    let settings = WorkerSettings {
        ports: plan.ports.iter().map(|port| port.identity).collect(),
        services: plan.services,
        secret: secret::load(&config.admin.socket)?,
    };
    let snapshot = Snapshot::new(names.services.len(), names.ports.len());
    let worker = Worker::new(settings, pool, routes, monotonic());
    put_in_front(&mut shield, &plan.shield, &ports)?;

    let idle = match config.engine.idle {
        Idle::Spin => IdlePolicy::Spin,
        Idle::Adaptive => IdlePolicy::Adaptive,
    };
    let gate = ShieldGate::new(shield.control(), FIRST_QUEUE);
    let lane = Lane::new(worker, ports, gate, watcher.resolver(), mailbox, idle);
    let (ended, mut lane_ended) = oneshot::channel();
    let lane = thread::Builder::new().name("lane-0".to_owned()).spawn(move || {
        if let Err(error) = pin(core) {
            tracing::warn!("{error}");
        }
        // Naps and timeouts are meant to the microsecond.
        let _ = nix::sys::prctl::set_timerslack(1);
        let last = lane.run(monotonic, snapshot);
        // Nobody listens any more when the engine ends by itself.
        let _ = ended.send(());
        last
    })?;

    let admin = Arc::new(Admin {
        commands: commands.clone(),
        shield: shield.counters_reader(),
        control: shield.control(),
        names,
    });
    socket.serve(admin.clone());
    if let Some(metrics) = metrics {
        metrics.serve(admin.clone());
    }
    // Once it answers, the lane has shown a sign of life and takes connections.
    admin.stats().await?;
    eprintln!("ready");
    // Without systemd there is nobody to notify.
    let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Ready]);

    let lane_died = tokio::select! {
        signal = stop_signal() => { signal?; false }
        _ = &mut lane_ended => true,
    };
    if !lane_died {
        let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Stopping]);
        drain(&admin, config.engine.drain_timeout).await;
        tell(&commands, Command::Stop).await;
    }
    let last =
        lane.join().map_err(|_| anyhow!("the lane ended by a fault of its own; see above"))?;
    drop(shield);
    drop(reserved);
    report(&last);
    Ok(())
}

/// Attaches the shield, and lets it hand packets to the engine's sockets.
///
/// Attached without sockets it leaves all to Linux and remembers what is new there; what is older
/// is told before it has sockets. So no connection of Linux's is taken from it.
fn put_in_front(shield: &mut Shield, settings: &ShieldSettings, ports: &[AfXdp]) -> Result<()> {
    for (index, port) in settings.ports.iter().enumerate() {
        let mode = shield.attach(index as u32)?;
        tracing::info!("{}: XDP attached, {mode} mode", port.interface);
    }
    leave_to_linux(shield, &settings.services)?;
    for (index, port) in ports.iter().enumerate() {
        let fd = port.fd().context("a port that was just opened is open")?;
        shield.set_socket(index as u32, FIRST_QUEUE, fd)?;
    }
    Ok(())
}

/// The connections that Linux serves on the services' addresses stay with it.
fn leave_to_linux(shield: &Shield, services: &[ServiceAddress]) -> Result<()> {
    let port_of: HashMap<SocketAddr, u32> =
        services.iter().map(|service| (service.address, service.port_index)).collect();
    let open = connections(|local| port_of.contains_key(&local))
        .context("cannot see which connections Linux serves already")?;
    for KernelConnection { local, remote } in &open {
        shield.keep_with_kernel(port_of[local], *local, *remote)?;
    }
    tracing::info!("{} connections to the services stay with Linux", open.len());
    Ok(())
}

/// Keeps the calling thread on `core`.
fn pin(core: core_affinity::CoreId) -> Result<()> {
    if core_affinity::set_for_current(core) {
        return Ok(());
    }
    bail!(
        "engine.cores: cannot keep the polling thread on core {}; it runs wherever Linux puts it, \
         and slower: is the core online, and this process's to use?",
        core.id
    )
}

/// Waits until no connection is open, at most for `timeout`.
async fn drain(admin: &Admin, timeout: Duration) {
    tell(&admin.commands, Command::Drain).await;
    let open = async {
        while let Ok(stats) = admin.stats().await {
            if stats.services.iter().all(|service| service.connections.active == 0) {
                break;
            }
            tokio::time::sleep(DRAIN_LOOK).await;
        }
    };
    if tokio::time::timeout(timeout, open).await.is_err() {
        tracing::warn!("connections are still open after {timeout:?}; they are reset");
    }
}

/// Returns at the first `SIGTERM` or `SIGINT`.
async fn stop_signal() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => tracing::warn!(
                "SIGHUP: this version cannot reload; restart it to apply a new configuration"
            ),
        }
    }
}

/// Hands a command to a lane that may be busy; a lane that hangs is not waited for.
async fn tell(commands: &Commands, command: Command) {
    let mut command = command;
    for _ in 0..TELL_TRIES {
        match commands.send(command) {
            Ok(()) => return,
            Err(back) => command = back,
        }
        tokio::time::sleep(TELL_PAUSE).await;
    }
    tracing::error!("the lane takes no commands");
}

fn frame_pool(frames: usize, frame_size: usize) -> Result<FramePool> {
    let mapping =
        ringroad_hugepages::map(Request { len: frames * frame_size, node: None, hugepages: true })?;
    tracing::info!("{frames} frames of {frame_size} octets on {}", mapping.backing());
    Ok(FramePool::new(Region::from_hugepages(mapping), frame_size))
}

/// Linux must not use the source ports that are ours.
fn refuse_clashes(plan: &Plan) -> Result<()> {
    for (address, ports) in &plan.egress {
        if let Some(clash) = clashes(*address, ports.clone())?.first() {
            bail!("egress {address}, source ports {}-{}: {clash}", ports.start(), ports.end());
        }
    }
    Ok(())
}

/// The core that the configuration gives to the lane.
fn polling_core(config: &Config) -> Result<core_affinity::CoreId> {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let wanted = config.engine.cores.first().copied().unwrap_or(0);
    cores.iter().copied().find(|core| core.id == wanted).with_context(|| {
        let may: Vec<String> = cores.iter().map(|core| core.id.to_string()).collect();
        format!(
            "engine.cores: core {wanted} is not this process's to use; choose one of {}",
            may.join(", ")
        )
    })
}

/// The control plane keeps off the core that polls, where there is another.
fn leave_core_to_lane(polling: core_affinity::CoreId) {
    let others = core_affinity::get_core_ids().unwrap_or_default();
    if let Some(other) = others.into_iter().find(|core| core.id != polling.id) {
        core_affinity::set_for_current(other);
    }
}

fn report(last: &Snapshot) {
    let (inward, outward) = last.telemetry.ledger.imbalance();
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
/// How often a drain looks whether it is over.
const DRAIN_LOOK: Duration = Duration::from_millis(20);
/// How long a lane may take to look at its queue, in tries and time between them.
const TELL_TRIES: u32 = 100;
const TELL_PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_that_is_not_there_is_told() {
        // The pinning of a thread ends with it.
        let pinned = |id| std::thread::spawn(move || pin(core_affinity::CoreId { id })).join();
        let mine = core_affinity::get_core_ids().unwrap()[0].id;
        assert!(pinned(mine).unwrap().is_ok());
        let error = pinned(1023).unwrap().unwrap_err().to_string();
        assert!(error.starts_with("engine.cores: ") && error.contains("core 1023"), "{error}");
    }
}
