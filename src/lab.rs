//! `ringroad lab`: three hosts in network namespaces, `client — edge — origin`, joined by veth.
//!
//! What is made is a plain list of commands of `ip`, `ethtool` and `sysctl` ([`plan`]), the
//! operator's own tools: `--print` shows it. The lab is its namespaces: all else lives in them
//! and goes with them, so taking it down, also after an `up` that was killed, is deleting these.

mod command;
mod plan;

use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use nix::sched::{CloneFlags, setns};

use plan::{Host, Layout};

/// Where `ip netns` keeps the names of namespaces.
const NAMESPACES: &str = "/run/netns";

/// Most queues of a veth device in the lab; Linux makes as many for each.
const QUEUES_MAX: i64 = 64;

/// Longest prefix of the namespaces' names \[octets\].
const PREFIX_MAX: usize = 64;

/// Set up, take down or use a network of three hosts in network namespaces
///
///   client                    edge                              origin
///   eth0 10.10.1.2/24 ------- wan0 10.10.1.1/24
///        fd00:1::2/64              fd00:1::1/64
///                             lan0 10.10.2.1/24 --------------- eth0 10.10.2.2/24
///                                  fd00:2::1/64                      fd00:2::2/64
///
/// The edge routes, so that both ends reach each other also without ringroad.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Start of the namespaces' names: PREFIX-client, PREFIX-edge, PREFIX-origin
    #[arg(long, global = true, default_value = "ringroad", value_parser = prefix)]
    prefix: String,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Set the lab up
    Up(Up),
    /// Take the lab down, also one that is only half up
    Down {
        /// Show the commands instead of running them
        #[arg(long)]
        print: bool,
    },
    /// Run a command on one of the hosts
    Exec {
        host: Host,
        /// The command and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
struct Up {
    /// Queues of each device
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=QUEUES_MAX))]
    queues: u32,
    /// MTU of each device, in octets; 1280 is IPv6's least
    #[arg(long, default_value_t = 1500, value_parser = clap::value_parser!(u32).range(1280..=65_535))]
    mtu: u32,
    /// Put a host PREFIX-wire between client and edge, with devices c0 and e0 that nothing
    /// connects: for a program that delays, loses or reorders what it passes on
    #[arg(long)]
    wire: bool,
    /// Show the commands instead of running them
    #[arg(long)]
    print: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.action {
        Action::Up(up) => {
            let layout = Layout {
                prefix: args.prefix.clone(),
                queues: up.queues,
                mtu: up.mtu,
                wire: up.wire,
            };
            if up.print { show(&layout.commands())? } else { set_up(&layout)? }
        }
        Action::Down { print: true } => {
            let all = Host::value_variants().iter();
            show(&all.map(|host| plan::deletion(&args.prefix, *host)).collect::<Vec<_>>())?;
        }
        Action::Down { print: false } => {
            require_root()?;
            take_down(&args.prefix)?;
        }
        Action::Exec { host, command } => return exec(&args.prefix, *host, command),
    }
    Ok(ExitCode::SUCCESS)
}

fn show(commands: &[command::Line]) -> Result<()> {
    let text: String = commands.iter().map(|command| format!("{command}\n")).collect();
    std::io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")
}

fn set_up(layout: &Layout) -> Result<()> {
    require_root()?;
    command::require_tools()?;
    for host in Host::value_variants() {
        let name = host.namespace(&layout.prefix);
        if namespace_path(&name).exists() {
            bail!(
                "namespace {name} already exists; take the lab down first (ringroad lab down \
                 --prefix {prefix}), or choose another --prefix",
                prefix = layout.prefix
            );
        }
    }
    for command in layout.commands() {
        if let Err(error) = command.run() {
            // What failed is the news; that it cannot be undone either would hide it.
            let undone = take_down(&layout.prefix);
            return Err(error).context(match undone {
                Ok(()) => "the lab is not up, and what was made of it is gone again".to_owned(),
                Err(undoing) => format!("the lab is half up ({undoing:#})"),
            });
        }
    }
    Ok(())
}

/// Deletes the lab's namespaces, as far as they are there.
fn take_down(prefix: &str) -> Result<()> {
    for host in Host::value_variants() {
        let name = host.namespace(prefix);
        if namespace_path(&name).exists() {
            let processes = command::line(&["ip", "netns", "pids", &name]).run()?;
            plan::deletion(prefix, *host).run()?;
            let processes: Vec<&str> = processes.split_whitespace().collect();
            if !processes.is_empty() {
                eprintln!(
                    "ringroad: {name} has lost its name, but lives until its processes end: {}",
                    processes.join(" ")
                );
            }
        }
    }
    Ok(())
}

/// Becomes `command` on `host`: its exit code is ours, and signals reach it.
fn exec(prefix: &str, host: Host, command: &[String]) -> Result<ExitCode> {
    require_root()?;
    let name = host.namespace(prefix);
    let namespace = File::open(namespace_path(&name)).with_context(|| {
        format!("there is no host {name}; set the lab up first (ringroad lab up --prefix {prefix})")
    })?;
    setns(&namespace, CloneFlags::CLONE_NEWNET)
        .with_context(|| format!("cannot enter namespace {name}"))?;
    drop(namespace);
    let [program, arguments @ ..] = command else {
        bail!("there is no command to run; give one after the host");
    };
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot run {program}"))
}

fn require_root() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("the lab is made of network namespaces, which takes root; run this with sudo");
    }
    Ok(())
}

fn namespace_path(name: &str) -> PathBuf {
    Path::new(NAMESPACES).join(name)
}

/// A prefix that names of files can start with.
fn prefix(text: &str) -> Result<String, String> {
    let good = (1..=PREFIX_MAX).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    good.then(|| text.to_owned()).ok_or_else(|| {
        format!(
            "give up to {PREFIX_MAX} letters, digits, \"-\" and \"_\", the first a letter or digit"
        )
    })
}
