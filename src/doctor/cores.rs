//! The cores that poll: whether they are there, and whether they are left alone.

use ringroad_hugepages::{Cpu, Cpus};

use super::finding::Finding;
use super::host::Host;

/// `engine`: the cores that the configuration gives to the engine. `usable`: those that a thread of
/// this process can be kept on.
pub(super) fn judge(engine: &[usize], usable: &[usize], cpus: &Cpus) -> Vec<Finding> {
    let mut findings = Vec::new();
    for core in engine {
        let cpu = u32::try_from(*core).ok().and_then(|number| cpus.get(number));
        let Some(cpu) = cpu.filter(|_| usable.contains(core)) else {
            findings.push(out_of_reach(*core, usable));
            continue;
        };
        findings.push(isolation(cpu, cpus));
        findings.extend(sharing(cpu, engine, cpus));
        findings.extend(frequency(cpu).map(|finding| finding.on(subject(*core))));
    }
    findings
}

fn out_of_reach(core: usize, usable: &[usize]) -> Finding {
    let usable: Vec<u32> = usable.iter().map(|core| *core as u32).collect();
    Finding::failure("core", "is not online, or not this process's to use")
        .fix(format!("choose from {} in engine.cores", ranges(&usable)))
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

/// Two threads of one physical core share what it can do.
fn sharing(cpu: &Cpu, engine: &[usize], cpus: &Cpus) -> Vec<Finding> {
    let polls = |number: u32| engine.contains(&(number as usize));
    let used = |number: u32| cpus.get(number).is_some_and(|other| !other.isolated);
    let (number, siblings) = (cpu.number, cpu.siblings.iter().copied());
    let judge = |sibling| {
        // Of two that poll, one speaks for both.
        if polls(sibling) && sibling < number {
            return None;
        }
        let finding = if polls(sibling) {
            Finding::warning(
                "smt-siblings",
                format!(
                    "polls on the same physical core as core {sibling}, for half the speed each"
                ),
            )
            .fix("give engine.cores one thread of each physical core")
        } else if used(sibling) {
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
        Some(finding.on(subject(number)))
    };
    siblings.filter_map(judge).collect()
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
        let numbers: Vec<u32> = cpus.iter().filter(|cpu| wanted(cpu)).map(|c| c.number).collect();
        ranges(&numbers)
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

/// Numbers in order as the kernel writes them: `0-3,8`.
pub(super) fn ranges(numbers: &[u32]) -> String {
    let runs = numbers.chunk_by(|a, b| a + 1 == *b);
    let text: Vec<String> = runs
        .map(|run| match run {
            [one] => one.to_string(),
            _ => format!("{}-{}", run[0], run[run.len() - 1]),
        })
        .collect();
    text.join(",")
}
