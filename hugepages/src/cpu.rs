//! The cores of the host: where they are, whom they share their silicon with, what else runs there.

use std::path::Path;

use crate::Error;
use crate::files::{text, text_or_none};
use crate::numa::Nodes;

/// The cores that are online, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpus {
    pub cpus: Vec<Cpu>,
}

/// A core as Linux counts them: a hardware thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpu {
    pub number: u32,
    pub node: Option<u32>,
    /// Other cores that are online on the same physical core (SMT).
    pub siblings: Vec<u32>,
    /// How its frequency is chosen; `None` where Linux does not choose (most virtual machines).
    pub governor: Option<String>,
    /// Linux's scheduler puts nothing on it by itself (`isolcpus`).
    pub isolated: bool,
    /// No timer interrupts it while one thread runs there (`nohz_full`).
    pub tickless: bool,
}

impl Cpus {
    /// Reads what the kernel shows under `sysfs` ([`crate::SYSFS`]).
    pub fn read(sysfs: &Path) -> Result<Self, Error> {
        let directory = sysfs.join("devices/system/cpu");
        // Without a file the kernel has no such feature. An empty list may also read "(null)".
        let list = |name| text_or_none(&directory.join(name)).and_then(|text| parse_list(&text));
        let path = directory.join("online");
        let online = text(&path)?;
        let online = parse_list(&online).ok_or(Error::NoList { path, text: online })?;
        let isolated = list("isolated").unwrap_or_default();
        let tickless = list("nohz_full").unwrap_or_default();
        let nodes = Nodes::read(sysfs)?;
        let cpu = |number: u32| {
            let own = directory.join(format!("cpu{number}"));
            let siblings = text_or_none(&own.join("topology/thread_siblings_list"));
            let siblings = siblings.and_then(|text| parse_list(&text)).unwrap_or_default();
            Cpu {
                number,
                node: nodes.of_cpu(number),
                siblings: siblings
                    .into_iter()
                    .filter(|other| *other != number && online.contains(other))
                    .collect(),
                governor: text_or_none(&own.join("cpufreq/scaling_governor")),
                isolated: isolated.contains(&number),
                tickless: tickless.contains(&number),
            }
        };
        Ok(Cpus { cpus: online.iter().copied().map(cpu).collect() })
    }

    pub fn get(&self, number: u32) -> Option<&Cpu> {
        self.cpus.iter().find(|cpu| cpu.number == number)
    }
}

/// Reads a list of cores as the kernel writes it: `0-3,8`.
pub(crate) fn parse_list(text: &str) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    for range in text.trim().split(',').filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if last >= CPUS_MAX {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

/// Cores that a list can name: more than any kernel is built for.
const CPUS_MAX: u32 = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SYSFS;
    use crate::files::tests::lay_out;

    #[test]
    fn cores_are_read_with_all_that_matters() {
        let sysfs = tempfile::tempdir().unwrap();
        lay_out(
            sysfs.path(),
            &[
                ("devices/system/cpu/online", "0-2,4"),
                ("devices/system/cpu/isolated", "2,4"),
                ("devices/system/cpu/nohz_full", "(null)"),
                ("devices/system/cpu/cpu2/topology/thread_siblings_list", "2,3-4"),
                ("devices/system/cpu/cpu2/cpufreq/scaling_governor", "powersave"),
                ("devices/system/node/node1/cpulist", "2-4"),
                ("devices/system/node/node1/distance", "21 10"),
            ],
        );
        let cpus = Cpus::read(sysfs.path()).unwrap();
        let expected = Cpu {
            number: 2,
            node: Some(1),
            siblings: vec![4],
            governor: Some("powersave".to_owned()),
            isolated: true,
            tickless: false,
        };
        assert_eq!(cpus.get(2), Some(&expected), "core 3 is offline");
        assert_eq!(cpus.cpus.iter().map(|cpu| cpu.number).collect::<Vec<_>>(), [0, 1, 2, 4]);
        assert_eq!(cpus.get(3), None);
    }

    #[test]
    fn lists_are_read_as_the_kernel_writes_them() {
        assert_eq!(parse_list("0-2,8\n"), Some(vec![0, 1, 2, 8]));
        assert_eq!(parse_list("\n"), Some(vec![]));
        for odd in ["(null)", "1-", "a", "0-4294967295"] {
            assert_eq!(parse_list(odd), None, "{odd}");
        }
    }

    #[test]
    fn this_host_can_be_read() {
        assert!(!Cpus::read(Path::new(SYSFS)).unwrap().cpus.is_empty());
    }
}
