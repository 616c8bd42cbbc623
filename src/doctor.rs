//! `ringroad doctor`: is this host fit to run ringroad?
//!
//! Reading the host is apart from judging it: [`host`], [`ports`] and [`services`] gather plain
//! data, the `judge` functions beside them make [`Finding`]s of it. What stops `ringroad run` is a
//! failure, what costs speed or packets a warning, what is only worth knowing a note. Nothing is
//! changed. Start reading at [`examine`].

mod admin;
mod cookies;
mod cores;
mod dpdk;
mod finding;
mod host;
mod memory;
mod nics;
mod ports;
mod process;
mod services;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use ringroad_config::schema::{Config, Driver};
use ringroad_engine::kernel::{Routes, read_once};
use ringroad_hugepages::{PROCFS, SYSFS};

use self::finding::{Diagnosis, Finding};
use self::host::Host;
use self::ports::Interface;
use crate::cli::EXIT_USAGE;
use crate::plan::Plan;

/// Whether this program was built with DPDK.
const DPDK: bool = cfg!(feature = "dpdk");

/// Look whether this host is fit to run ringroad
///
/// Each finding comes with what to do about it. With a configuration, the host is measured by what
/// that asks for; run it as ringroad will be run, and in the same network namespace. Changes
/// nothing. The exit code is 1 if something would stop a start.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The configuration that is to be run here
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let config = match args.config.as_deref().map(ringroad_config::load).transpose() {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let routes = runtime.block_on(read_once())?;
    let host = Host::read(Path::new(SYSFS), Path::new(PROCFS))?;
    let diagnosis = Diagnosis::of(match &config {
        Some(config) => examine(config, &host, &routes)?,
        None => examine_host(&host, &routes)?,
    });
    let page = match args.json {
        true => serde_json::to_string_pretty(&diagnosis)? + "\n",
        false => diagnosis.to_text(),
    };
    std::io::stdout().write_all(page.as_bytes()).context("cannot write to standard output")?;
    Ok(if diagnosis.fit { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The host by what a configuration asks of it.
fn examine(config: &Config, host: &Host, routes: &Routes) -> Result<Vec<Finding>> {
    let running = admin::answers(&config.admin.socket);
    let interfaces = Interface::read_all(config, &host.sysfs, routes);
    let needs = memory::Needs::of(config, &interfaces, host);

    let mut findings = host::judge(host, uses_af_xdp(config));
    findings.extend(process::judge(&process::read(needs.octets)?, needs.octets));
    let within = cores::Within { usable: crate::cores::usable(), allowed: crate::cores::allowed() };
    findings.extend(cores::judge(config, &within, &host.cpus));
    findings.extend(memory::judge(&needs, host, running));
    for port in &config.ports {
        findings.extend(match &port.driver {
            Driver::AfXdp(af_xdp) => match &interfaces[port.name.as_str()] {
                Ok(interface) => {
                    ports::judge(af_xdp, interface, &config.engine.cores, host, running)
                }
                Err(none) => vec![ports::missing(none)],
            },
            Driver::Dpdk(dpdk) => dpdk::judge(&dpdk.device, DPDK, &config.engine.cores, host),
        });
    }
    findings.extend(services::judge(config, routes, running)?);
    findings.extend(cookies::judge(config, host));
    findings.extend(admin::judge(&config.admin, routes, running)?);
    if !running && !findings.iter().any(Finding::stops) {
        findings.extend(refused_otherwise(config, routes));
    }
    Ok(findings)
}

/// The host by itself.
fn examine_host(host: &Host, routes: &Routes) -> Result<Vec<Finding>> {
    let mut findings = host::judge(host, true);
    findings.extend(process::judge(&process::read(0)?, 0));
    findings.extend(cores::overview(host));
    findings.extend(memory::overview(host));
    findings.extend(nics::overview(host, routes));
    Ok(findings)
}

fn uses_af_xdp(config: &Config) -> bool {
    config.ports.iter().any(|port| matches!(port.driver, Driver::AfXdp(_)))
}

/// What `ringroad run` would say where nothing here has anything against a start.
fn refused_otherwise(config: &Config, routes: &Routes) -> Option<Finding> {
    let refusal = format!("{:#}", Plan::new(config, routes).err()?);
    // As its errors do, it says what is wrong; and then what to do.
    let (what, fix) = refusal.split_once("; ").unwrap_or((&refusal, "see `ringroad run`"));
    Some(Finding::failure("start", what).fix(fix))
}
