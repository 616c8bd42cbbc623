//! The cores that poll: whether they are there, what each does, and whether they are left alone.

use ringroad_config::schema::Config;
use ringroad_hugepages::{Cpu, Cpus};

use super::finding::Finding;
use super::host::Host;
use crate::cores::{CorePlan, all_poll, ranges, siblings};

/// What of this host's cores a process can have.
#[derive(Clone, Debug)]
pub(super) struct Within {
    /// Those that a thread of it can be kept on.
    pub(super) usable: Vec<usize>,
    /// Those that it is run on unless it asks for others.
    pub(super) allowed: Vec<usize>,
}

pub(super) fn judge(config: &Config, within: &Within, cpus: &Cpus) -> Vec<Finding> {
    let engine = &config.engine.cores;
    let mut findings = Vec::new();
    // A core that cannot be had is told below.
    if let Ok(plan) = CorePlan::new(config, &within.usable) {
        findings.push(Finding::ok("arrangement", plan.why));
    }
    for core in engine {
        let cpu = u32::try_from(*core).ok().and_then(|number| cpus.get(number));
        let Some(cpu) = cpu.filter(|_| within.usable.contains(core)) else {
            findings.push(out_of_reach(*core, &within.usable));
            continue;
        };
        findings.push(isolation(cpu, cpus));
        findings.extend(sharing(cpu, engine, cpus));
        findings.extend(frequency(cpu).map(|finding| finding.on(subject(*core))));
    }
    findings.extend(siblings(engine, cpus).into_iter().map(Finding::from));
    findings.extend(all_poll(&config.engine, &within.allowed).map(Finding::from));
    findings
}

fn out_of_reach(core: usize, usable: &[usize]) -> Finding {
    Finding::failure("core", "is not online, or not this process's to use")
        .fix(format!("choose from {} in engine.cores", ranges(usable)))
        .on(subject(core))
}

fn isolation(cpu: &Cpu, cpus: &Cpus) -> Finding {
    let number = cpu.number;
    let finding = match (cpu.isolated, cpu.tickless) {
        (true, true) => Finding::ok("core-isolation", "Linux leaves it alone"),
        (true, false) => Finding::note("core-isolation", "isolated, but for the timer's tick")
            .fix(format!("boot with nohz_full={number} rcu_nocbs={number} as well")),
        (false, _) => Finding::warning(
            "core-isolation",
            "Linux runs other programs there too; each makes packets wait, or be dropped",
        )
        .fix(match another(cpu, cpus) {
            None => "give the machine a second core".to_owned(),
            Some(other) if number == 0 => format!(
                "boot with isolcpus={other} nohz_full={other} rcu_nocbs={other}, and give \
                 engine.cores that core: Linux needs core 0 itself"
            ),
            Some(_) => {
                format!("boot with isolcpus={number} nohz_full={number} rcu_nocbs={number}")
            }
        }),
    };
    finding.on(subject(number))
}

/// The last core on the same node that is another physical one; else any other.
fn another(cpu: &Cpu, cpus: &Cpus) -> Option<u32> {
    let others = || cpus.cpus.iter().rev().filter(|other| other.number != cpu.number);
    let apart = |other: &&Cpu| other.node == cpu.node && !cpu.siblings.contains(&other.number);
    others().find(apart).or_else(|| others().next()).map(|other| other.number)
}

/// What Linux runs on the same physical core takes of what that can do.
fn sharing(cpu: &Cpu, engine: &[usize], cpus: &Cpus) -> Vec<Finding> {
    let polls = |number: &u32| engine.contains(&(*number as usize));
    let used = |number: u32| cpus.get(number).is_some_and(|other| !other.isolated);
    let judge = |sibling| {
        let finding = if used(sibling) {
            Finding::warning(
                "smt-siblings",
                format!("shares a physical core with core {sibling}, where Linux runs programs"),
            )
            .fix(format!(
                "leave that one unused: echo 0 > /sys/devices/system/cpu/cpu{sibling}/online"
            ))
        } else {
            Finding::ok("smt-siblings", format!("core {sibling}, its sibling, is isolated too"))
        };
        finding.on(subject(cpu.number))
    };
    cpu.siblings.iter().copied().filter(|sibling| !polls(sibling)).map(judge).collect()
}

/// `None` where Linux does not choose the frequency.
fn frequency(cpu: &Cpu) -> Option<Finding> {
    let (number, governor) = (cpu.number, cpu.governor.as_ref()?);
    let message = format!("governor {governor}");
    if governor == "performance" {
        return Some(Finding::ok("frequency", message));
    }
    let file = format!("/sys/devices/system/cpu/cpu{number}/cpufreq/scaling_governor");
    Some(
        Finding::warning("frequency", format!("{message}: slow after every pause"))
            .fix(format!("echo performance > {file}")),
    )
}

/// The cores of a host of which nothing is asked yet.
pub(super) fn overview(host: &Host) -> Vec<Finding> {
    let cpus = &host.cpus.cpus;
    let numbers = |wanted: fn(&Cpu) -> bool| {
        let wanted = cpus.iter().filter(|cpu| wanted(cpu));
        ranges(&wanted.map(|cpu| cpu.number as usize).collect::<Vec<_>>())
    };
    let nodes = match host.nodes.count() {
        0 | 1 => "one NUMA node".to_owned(),
        count => format!("{count} NUMA nodes"),
    };
    let threads = if cpus.iter().any(|cpu| !cpu.siblings.is_empty()) { ", SMT on" } else { "" };
    let isolated = match numbers(|cpu| cpu.isolated) {
        none if none.is_empty() => "none isolated".to_owned(),
        isolated => format!("isolated {isolated}"),
    };
    let all = numbers(|_| true);
    let mut findings = vec![Finding::ok("cores", format!("{all} on {nodes}{threads}; {isolated}"))];
    let slow = numbers(|cpu| cpu.governor.as_ref().is_some_and(|name| name != "performance"));
    if !slow.is_empty() {
        findings.push(
            Finding::warning(
                "frequency",
                "governor other than performance: slow after every pause",
            )
            .on(format!("cores {slow}"))
            .fix(
                "give it to those that are to poll: cpupower -c CORES frequency-set -g performance",
            ),
        );
    }
    findings
}

fn subject(core: impl std::fmt::Display) -> String {
    format!("core {core}")
}
