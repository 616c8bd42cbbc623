//! Which core does what: a pure function of the configuration and of the cores there are.

use anyhow::{Result, bail};
use core_affinity::CoreId;
use ringroad_config::schema::{Arrangement, Config, Engine};
use serde::{Deserialize, Serialize};

use super::ranges;

/// How the stages are laid out over the cores.
///
/// *Run to completion*: each core has a lane of its own, which polls queues of every port and owns the
/// connections that come by them. *Pipeline*: the first core receives and sends for all, the others
/// process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CorePlan {
    /// Receives and sends for all others, and does nothing else. `None`: each does so for itself.
    pub(crate) io: Option<CoreId>,
    /// Own the connections. At least one.
    pub(crate) workers: Vec<CoreId>,
    /// The choice in one line, for the log and `ringroad doctor`.
    pub(crate) why: String,
}

/// A thread that polls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PollingThread {
    /// As Linux shows it.
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) core: CoreId,
}

/// What a thread does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// All of it.
    #[default]
    Lane,
    /// Receives and sends.
    Io,
    /// Processes.
    Worker,
}

impl Role {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Role::Lane => "lane",
            Role::Io => "io",
            Role::Worker => "worker",
        }
    }
}

impl CorePlan {
    /// `usable`: the cores that a thread of this process can be kept on.
    ///
    /// That the cores are different ones, and fit the arrangement, the configuration has seen to.
    pub(crate) fn new(config: &Config, usable: &[usize]) -> Result<Self> {
        // Every lane polls and sends by a queue of each port, so the port with the fewest counts.
        let queues = config.ports.iter().map(|port| port.queues());
        let queues = queues.min().unwrap_or(1) as usize;
        Self::of(&config.engine, queues, usable)
    }

    fn of(engine: &Engine, queues: usize, usable: &[usize]) -> Result<Self> {
        if let Some(core) = engine.cores.iter().find(|core| !usable.contains(core)) {
            bail!(
                "engine.cores: core {core} is not this process's to use; choose from {}",
                ranges(usable)
            );
        }
        let cores: Vec<CoreId> = engine.cores.iter().map(|id| CoreId { id: *id }).collect();
        let too_many = cores.len() > queues;
        Ok(match (engine.arrangement, cores.split_first()) {
            (Arrangement::Pipeline, Some((io, workers))) => Self::pipeline(*io, workers, ""),
            (Arrangement::Auto, Some((io, workers))) if too_many && !workers.is_empty() => {
                let s = if queues == 1 { "" } else { "s" };
                let reason = format!("{} cores for {queues} queue{s}; ", cores.len());
                Self::pipeline(*io, workers, &reason)
            }
            _ => Self::run_to_completion(cores),
        })
    }

    fn pipeline(io: CoreId, workers: &[CoreId], reason: &str) -> Self {
        let numbers = numbers(workers);
        let process = if workers.len() == 1 { "processes" } else { "process" };
        CorePlan {
            io: Some(io),
            workers: workers.to_vec(),
            why: format!(
                "pipeline: {reason}core {} receives and sends, {} {process}",
                io.id,
                ranges(&numbers)
            ),
        }
    }

    fn run_to_completion(cores: Vec<CoreId>) -> Self {
        let numbers = numbers(&cores);
        let why = match numbers.as_slice() {
            [one] => format!("run-to-completion: core {one} receives, processes and sends"),
            several => format!(
                "run-to-completion: cores {} receive, process and send, each on its own queues",
                ranges(several)
            ),
        };
        CorePlan { io: None, workers: cores, why }
    }

    /// Never [`Arrangement::Auto`].
    #[cfg_attr(not(test), expect(dead_code, reason = "there is one core, so far"))]
    pub(crate) fn arrangement(&self) -> Arrangement {
        match self.io {
            Some(_) => Arrangement::Pipeline,
            None => Arrangement::RunToCompletion,
        }
    }

    /// How many cores have devices.
    pub(crate) fn with_devices(&self) -> usize {
        if self.io.is_some() { 1 } else { self.workers.len() }
    }

    /// All that poll.
    pub(crate) fn cores(&self) -> impl Iterator<Item = CoreId> {
        self.io.into_iter().chain(self.workers.iter().copied())
    }

    /// The threads, in the order of [`CorePlan::cores`].
    pub(crate) fn threads(&self) -> impl Iterator<Item = PollingThread> {
        let (what, role) = match self.io {
            Some(_) => ("worker", Role::Worker),
            None => ("lane", Role::Lane),
        };
        let workers = self.workers.iter().enumerate();
        let workers = workers.map(move |(index, core)| PollingThread {
            name: format!("{what}-{index}"),
            role,
            core: *core,
        });
        let io = |core| PollingThread { name: "io".to_owned(), role: Role::Io, core };
        self.io.map(io).into_iter().chain(workers)
    }

    /// Of a port's `queues`, those that are polled by the core which is the `index`th of those with
    /// devices. The I/O core of a pipeline polls all.
    pub(crate) fn queues_of(&self, index: usize, queues: u32) -> impl Iterator<Item = u32> {
        (0..queues).skip(index).step_by(self.with_devices())
    }
}

fn numbers(cores: &[CoreId]) -> Vec<usize> {
    cores.iter().map(|core| core.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const USABLE: [usize; 6] = [0, 1, 2, 3, 5, 6];

    fn plan(arrangement: Arrangement, cores: &[usize], queues: usize) -> CorePlan {
        let engine = Engine { arrangement, cores: cores.to_vec(), ..Engine::default() };
        CorePlan::of(&engine, queues, &USABLE).unwrap()
    }

    /// Names and cores of the threads.
    fn threads(plan: &CorePlan) -> Vec<(String, usize)> {
        plan.threads().map(|thread| (thread.name, thread.core.id)).collect()
    }

    fn named(names: &[(&str, usize)]) -> Vec<(String, usize)> {
        names.iter().map(|(name, core)| ((*name).to_owned(), *core)).collect()
    }

    #[test]
    fn one_core_does_all_of_it() {
        for queues in [1, 4] {
            let plan = plan(Arrangement::Auto, &[2], queues);
            assert_eq!(plan.arrangement(), Arrangement::RunToCompletion);
            assert_eq!(threads(&plan), named(&[("lane-0", 2)]));
            assert_eq!(plan.why, "run-to-completion: core 2 receives, processes and sends");
        }
    }

    #[test]
    fn cores_with_queues_of_their_own_run_to_completion() {
        let plan = plan(Arrangement::Auto, &[2, 3, 5], 3);
        assert_eq!(plan.arrangement(), Arrangement::RunToCompletion);
        assert_eq!(threads(&plan), named(&[("lane-0", 2), ("lane-1", 3), ("lane-2", 5)]));
        assert_eq!(
            plan.why,
            "run-to-completion: cores 2-3,5 receive, process and send, each on its own queues"
        );
    }

    #[test]
    fn more_cores_than_queues_are_a_pipeline() {
        let four = plan(Arrangement::Auto, &[0, 1, 2, 3], 1);
        assert_eq!(four.arrangement(), Arrangement::Pipeline);
        assert_eq!(
            threads(&four),
            named(&[("io", 0), ("worker-0", 1), ("worker-1", 2), ("worker-2", 3)])
        );
        assert_eq!(
            four.why,
            "pipeline: 4 cores for 1 queue; core 0 receives and sends, 1-3 process"
        );
        assert_eq!(
            plan(Arrangement::Auto, &[6, 2, 1], 2).why,
            "pipeline: 3 cores for 2 queues; core 6 receives and sends, 2,1 process"
        );
        assert_eq!(
            plan(Arrangement::Auto, &[1, 0], 1).why,
            "pipeline: 2 cores for 1 queue; core 1 receives and sends, 0 processes"
        );
    }

    #[test]
    fn a_pipeline_that_is_asked_for_is_one_with_any_queues() {
        let plan = plan(Arrangement::Pipeline, &[0, 1], 8);
        assert_eq!(threads(&plan), named(&[("io", 0), ("worker-0", 1)]));
        assert_eq!(plan.why, "pipeline: core 0 receives and sends, 1 processes");
    }

    #[test]
    fn the_port_with_the_fewest_queues_decides() {
        let text = "\
ports:
  - { name: wan, interface: wan0, queues: 4 }
  - { name: lan, interface: lan0, queues: 2 }
services: [{ port: wan, listen: [\"192.0.2.1:80\"], origins: [\"192.0.2.2:80\"] }]
";
        let mut config = ringroad_config::parse("f", text).unwrap();
        let io = |config: &Config| CorePlan::new(config, &USABLE).unwrap().io.map(|core| core.id);
        config.engine.cores = vec![1, 2];
        assert_eq!(io(&config), None);
        config.engine.cores = vec![1, 2, 3];
        assert_eq!(io(&config), Some(1));
    }

    #[test]
    fn queues_of_a_device_of_dpdks_make_lanes_as_those_of_an_interface_do() {
        let text = "\
ports: [{ name: wan, driver: dpdk, device: net_tap0, queues: 2 }]
services: [{ listen: [\"192.0.2.1:80\"], origins: [\"192.0.2.2:80\"] }]
engine: { cores: [1, 2] }
";
        let mut config = ringroad_config::parse("f", text).unwrap();
        let plan = |config: &Config| threads(&CorePlan::new(config, &USABLE).unwrap());
        assert_eq!(plan(&config), named(&[("lane-0", 1), ("lane-1", 2)]));
        config.engine.cores.push(3);
        assert_eq!(plan(&config), named(&[("io", 1), ("worker-0", 2), ("worker-1", 3)]));
    }

    #[test]
    fn every_queue_is_polled_by_one_lane() {
        let plan = plan(Arrangement::Auto, &[0, 1, 2], 3);
        let queues = |lane| plan.queues_of(lane, 7).collect::<Vec<_>>();
        assert_eq!([queues(0), queues(1), queues(2)], [vec![0, 3, 6], vec![1, 4], vec![2, 5]]);
    }

    #[test]
    fn a_core_that_cannot_be_had_is_refused() {
        let engine = Engine { cores: vec![0, 4], ..Engine::default() };
        assert_eq!(
            CorePlan::of(&engine, 2, &USABLE).unwrap_err().to_string(),
            "engine.cores: core 4 is not this process's to use; choose from 0-3,5-6"
        );
    }

    #[test]
    fn the_names_of_all_threads_fit_linux() {
        // TASK_COMM_LEN, less its final zero.
        const NAME_MAX: usize = 15;
        let core = |id| CoreId { id };
        let cores: Vec<CoreId> = (0..=ringroad_config::limits::CPU_MAX).map(core).collect();
        let pipeline = CorePlan::pipeline(core(0), &cores, "");
        assert!(pipeline.threads().all(|thread| thread.name.len() <= NAME_MAX));
    }
}
