//! A lab for one drive: three hosts, the engine and its origin, and the load on the client.
//!
//! All of it is this program, run with other arguments. Whatever happens, the processes end and the hosts go.

use std::path::{Path, PathBuf};
use std::process::{Command as Blocking, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::super::steps::Steps;
use super::Options;

/// Where a recording is.
#[derive(Debug)]
pub(crate) enum Place {
    Kept(PathBuf),
    /// Gone when dropped.
    Temporary(TempDir),
}

impl Place {
    fn new(kept: Option<&Path>) -> Result<Place> {
        let Some(path) = kept else {
            let temporary = tempfile::Builder::new().prefix("ringroad-plan-").tempdir();
            return Ok(Place::Temporary(temporary.context("cannot make a directory")?));
        };
        let cannot = || format!("cannot make {}", path.display());
        std::fs::create_dir_all(path).with_context(cannot)?;
        if std::fs::read_dir(path).with_context(cannot)?.next().is_some() {
            bail!("{} is not empty; give a directory for this recording alone", path.display());
        }
        Ok(Place::Kept(path.to_owned()))
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Place::Kept(path) => path,
            Place::Temporary(directory) => directory.path(),
        }
    }
}

/// Sets the lab up, drives, and takes it down.
pub(super) async fn drive(options: &Options) -> Result<Place> {
    let place = Place::new(options.record.as_deref())?;
    let directory = std::path::absolute(place.path())?;
    let cores = crate::cores::allowed();
    let polls = cores.last().copied().unwrap_or(0);
    let lab = Lab::up()?;
    let config = directory.join("edge.yaml");
    let text = serde_json::to_string_pretty(&configuration(&directory, polls))?;
    std::fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;

    let mut engine =
        lab.start("edge", &["run", "--config", &config.to_string_lossy()], "ready").await?;
    leave(polls, &cores);
    let origin = ["origin", "--listen", "10.10.2.2:80"];
    let _origin = lab.start("origin", &origin, "listening").await?;
    lab.drive(options, &directory).await?;
    engine.stop().await?;
    Ok(place)
}

/// As JSON, which is YAML. The engine polls without naps: what is looked for is what work costs.
fn configuration(directory: &Path, core: usize) -> serde_json::Value {
    json!({
        "engine": { "cores": [core], "idle": "spin", "drain_timeout": "1s" },
        "ports": [
            { "name": "wan", "interface": "wan0" },
            { "name": "lan", "interface": "lan0" },
        ],
        "services": [{
            "name": "web",
            "port": "wan",
            "listen": ["10.10.1.1:80"],
            "origins": ["10.10.2.2:80"],
            "egress": { "port": "lan", "address": "10.10.2.1" },
        }],
        "telemetry": { "directory": directory, "interval": "1s" },
        "admin": { "socket": directory.join("ringroad.sock") },
    })
}

/// Keeps what is started from now on off the core that polls, if there is another.
fn leave(polls: usize, cores: &[usize]) {
    let mut others = CpuSet::new();
    let count = cores.iter().filter(|core| **core != polls && others.set(**core).is_ok()).count();
    if count > 0 {
        // Refused, they run where they did.
        let _ = sched_setaffinity(Pid::from_raw(0), &others);
    }
}

/// Hosts that are there, until dropped.
#[derive(Debug)]
struct Lab {
    program: PathBuf,
    prefix: String,
    is_up: bool,
}

impl Lab {
    fn up() -> Result<Lab> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let prefix = format!("rr-plan{}", std::process::id());
        let mut lab = Lab { program, prefix, is_up: false };
        let output = lab.command(&["up"]).output().context("cannot run this program")?;
        if !output.status.success() {
            bail!("{}", said(&output.stderr));
        }
        lab.is_up = true;
        Ok(lab)
    }

    fn command(&self, arguments: &[&str]) -> Blocking {
        let mut command = Blocking::new(&self.program);
        command.args(["lab", "--prefix", &self.prefix]).args(arguments).stdin(Stdio::null());
        command
    }

    /// This program on a host. `lab exec` becomes it: the process is the one that is asked for.
    fn on(&self, host: &str) -> Command {
        let mut command = self.command(&["exec", host]);
        command.arg(&self.program);
        let mut command = Command::from(command);
        command.kill_on_drop(true);
        command
    }

    /// Starts what goes on until it is told to stop, and waits for it to say that it is there.
    async fn start(&self, host: &str, arguments: &[&str], word: &str) -> Result<Running> {
        let mut command = self.on(host);
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start the {host}"))?;
        let Some(stderr) = child.stderr.take() else { bail!("the {host} says nothing") };
        let mut says = BufReader::new(stderr).lines();
        let there = timeout(THERE_WITHIN, expect(&mut says, word)).await;
        let not_there = || format!("the {host} is not {word}");
        there.context("not in time").and_then(|said| said).with_context(not_there)?;
        // Whoever writes to a pipe that nobody reads stands still in the end.
        spawn_local(async move { while let Ok(Some(_)) = says.next_line().await {} });
        Ok(Running(child))
    }

    /// The load, from the client; it writes the steps into the directory itself.
    async fn drive(&self, options: &Options, directory: &Path) -> Result<()> {
        let mut command = self.on("client");
        command
            .args(["plan", "--drive", "--record"])
            .arg(directory)
            .args(["--target", &format!("http://10.10.1.1/bytes/{}", options.octets)])
            .args(["--other", &format!("/bytes/{}", another_size(options.octets))])
            .args(["--steps", &options.steps.to_string()])
            .args(["--step-time", &format!("{}ms", options.step_time.as_millis())])
            .args(["--connections", &options.connections.to_string()])
            .args(["--rate-max", &options.rate_max.to_string()])
            .stdout(Stdio::null());
        let status = command.status().await.context("cannot start the client")?;
        // Its exit code says, too, whether what the client saw supports an answer by itself.
        if Steps::read(directory)?.is_none() {
            bail!("the load could not be driven; the client ended with {status}");
        }
        Ok(())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if !self.is_up {
            // Who cannot make a lab leaves nothing of it.
            return;
        }
        let down = self.command(&["down"]).output();
        if let Err(why) = down.map_err(|error| error.to_string()).and_then(|output| {
            if output.status.success() { Ok(()) } else { Err(said(&output.stderr)) }
        }) {
            eprintln!("ringroad: the lab {} is still there: {why}", self.prefix);
        }
    }
}

/// A process of ours on a host; killed when dropped.
#[derive(Debug)]
struct Running(Child);

impl Running {
    /// Tells it to end, and waits for that.
    async fn stop(&mut self) -> Result<()> {
        if let Some(id) = self.0.id() {
            kill(Pid::from_raw(id.try_into()?), Signal::SIGTERM)?;
        }
        let status = timeout(THERE_WITHIN, self.0.wait()).await;
        match status.context("the engine does not end")?? {
            status if status.success() => Ok(()),
            status => bail!("the engine ended with {status}"),
        }
    }
}

/// Reads up to a line with this word.
async fn expect(says: &mut Lines<BufReader<ChildStderr>>, word: &str) -> Result<()> {
    let mut last = String::new();
    while let Some(line) = says.next_line().await? {
        if line.split_whitespace().any(|said| said == word) {
            return Ok(());
        }
        last = line;
    }
    bail!("it ended: {}", last.trim_start_matches("ringroad: "))
}

fn said(stderr: &[u8]) -> String {
    String::from_utf8_lossy(stderr).trim().trim_start_matches("ringroad: ").to_owned()
}

/// How long a process may take to be there, or to end.
const THERE_WITHIN: Duration = Duration::from_secs(10);

/// Of replies that tell what octets cost from what packets do: with another share of full packets.
fn another_size(octets: u64) -> u64 {
    if octets > SMALL_MOST { SMALL } else { LARGE }
}

/// What fits into one packet, and what takes many [octets].
const SMALL: u64 = 512;
const LARGE: u64 = 32_768;

/// Replies up to this size leave most packets of a request without payload [octets].
const SMALL_MOST: u64 = 8_192;
