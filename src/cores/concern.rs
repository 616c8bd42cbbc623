//! What a choice of cores costs: not refused, but said, at a start and by `ringroad doctor`.

use std::fmt;

use ringroad_config::schema::{Engine, Idle};
use ringroad_hugepages::{Cpus, Nodes};

use super::ranges;

/// Something that costs speed, or packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Concern {
    /// As `ringroad doctor` calls what was looked at.
    pub(crate) check: &'static str,
    /// Which core or port; `None`: all.
    pub(crate) subject: Option<String>,
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) fix: String,
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(subject) = &self.subject {
            write!(f, "{subject}: ")?;
        }
        write!(f, "{}; {}", self.message, self.fix)
    }
}

/// Two that poll on one physical core share what it can do. Of each pair the first speaks for both.
pub(crate) fn siblings(cores: &[usize], cpus: &Cpus) -> Vec<Concern> {
    let polls = |number: &u32| cores.contains(&(*number as usize));
    let polling = cpus.cpus.iter().filter(|cpu| polls(&cpu.number));
    let pairs = polling.flat_map(|cpu| {
        let others = cpu.siblings.iter().filter(|other| **other > cpu.number && polls(other));
        others.map(|other| (cpu.number, *other))
    });
    pairs
        .map(|(core, sibling)| Concern {
            check: "smt-siblings",
            subject: Some(format!("core {core}")),
            message: format!(
                "polls on the same physical core as core {sibling}, for half the speed each"
            ),
            fix: "give engine.cores one thread of each physical core".to_owned(),
        })
        .collect()
}

/// Memory of another node costs more: the first of `cores` that is not on `node`, where a device is.
pub(crate) fn away(node: u32, cores: &[usize], nodes: &Nodes) -> Option<Concern> {
    let (core, other) = cores.iter().find_map(|core| {
        let other = nodes.of_cpu((*core).try_into().ok()?)?;
        (other != node).then_some((core, other))
    })?;
    let distance = match nodes.distance(other, node) {
        Some(distance) => format!(" (distance {distance}, within a node 10)"),
        None => String::new(),
    };
    let near: Vec<usize> = nodes.cpus(node).iter().map(|cpu| *cpu as usize).collect();
    Some(Concern {
        check: "numa",
        subject: None,
        message: format!("on node {node}, core {core} on node {other}{distance}"),
        fix: format!("choose engine.cores from {}", ranges(&near)),
    })
}

/// What does not poll needs a core now and then. `allowed`: those that Linux lets the process have.
pub(crate) fn all_poll(engine: &Engine, allowed: &[usize]) -> Option<Concern> {
    let left = allowed.iter().any(|core| !engine.cores.contains(core));
    if left || engine.idle != Idle::Spin {
        return None;
    }
    Some(Concern {
        check: "control-plane",
        subject: None,
        message: "every core of this process polls without a pause: routes, commands and figures \
                  come late, and packets wait for them"
            .to_owned(),
        fix: "leave a core out of engine.cores, or set engine.idle to adaptive".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use ringroad_hugepages::Cpu;

    use super::*;

    /// Four cores of two threads each, siblings four apart.
    fn cpus() -> Cpus {
        let cpu = |number| Cpu {
            number,
            node: None,
            siblings: vec![(number + 4) % 8],
            governor: None,
            isolated: false,
            tickless: false,
        };
        Cpus { cpus: (0..8).map(cpu).collect() }
    }

    fn lines(concerns: impl IntoIterator<Item = Concern>) -> Vec<String> {
        concerns.into_iter().map(|concern| concern.to_string()).collect()
    }

    #[test]
    fn each_pair_of_siblings_is_told_once() {
        assert_eq!(
            lines(siblings(&[6, 1, 2, 5, 3], &cpus())),
            [
                "core 1: polls on the same physical core as core 5, for half the speed each; give \
                 engine.cores one thread of each physical core",
                "core 2: polls on the same physical core as core 6, for half the speed each; give \
                 engine.cores one thread of each physical core",
            ]
        );
        assert!(siblings(&[0, 1, 2, 3], &cpus()).is_empty());
    }

    #[test]
    fn a_process_that_only_polls_is_told() {
        let engine =
            |cores: &[usize], idle| Engine { cores: cores.to_vec(), idle, ..Engine::default() };
        let told = lines(all_poll(&engine(&[1, 0], Idle::Spin), &[0, 1]));
        assert!(
            told[0].starts_with("every core of this process polls without a pause: "),
            "{told:?}"
        );
        assert!(
            told[0].ends_with("; leave a core out of engine.cores, or set engine.idle to adaptive")
        );
        assert_eq!(all_poll(&engine(&[0, 1], Idle::Adaptive), &[0, 1]), None, "which has pauses");
        assert_eq!(all_poll(&engine(&[1], Idle::Spin), &[0, 1]), None, "core 0 is left");
        assert_eq!(all_poll(&engine(&[4], Idle::Spin), &[0]), None, "core 4 is isolated");
    }
}
