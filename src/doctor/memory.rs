//! Packet memory: how much a configuration wants, and where it would be.

use std::collections::BTreeMap;

use ringroad_config::schema::{Config, DriverKind};
use ringroad_engine::limits::CHUNK_SIZE_MAX;
use ringroad_engine::port::af_xdp::frame_size_for;
use ringroad_hugepages::{PAGE_2M, Pool};

use super::finding::Finding;
use super::host::Host;
use super::ports::Interfaces;
use crate::backend::dpdk::{MTU_DEFAULT, megabytes};

/// Packet memory that a start will take.
#[derive(Debug)]
pub(super) struct Needs {
    driver: DriverKind,
    /// In all [octets].
    pub(super) octets: u64,
    /// By the node of the cores that work on it, `None` where there is but one: hugepages of 2 MiB.
    pub(super) pages: BTreeMap<Option<u32>, u64>,
}

impl Needs {
    pub(super) fn of(config: &Config, interfaces: &Interfaces<'_>, host: &Host) -> Self {
        let mtus = interfaces.values().flatten().map(|interface| interface.link.mtu);
        let mtu = mtus.max().unwrap_or(0);
        let of_lane = match config.driver() {
            DriverKind::AfXdp => {
                let frame_size = frame_size_for(mtu).unwrap_or(CHUNK_SIZE_MAX);
                u64::from(config.engine.frames) * frame_size as u64
            }
            // Without a TAP yet, or with one of an MTU that a start refuses, this is Ethernet's.
            DriverKind::Dpdk => {
                let mtu = u16::try_from(mtu).ok().filter(|mtu| *mtu > 0).unwrap_or(MTU_DEFAULT);
                megabytes(config.engine.frames, mtu, config.engine.cores.len()).unwrap_or(0) << 20
            }
        };
        let mut needs = Needs { driver: config.driver(), octets: 0, pages: BTreeMap::new() };
        for core in &config.engine.cores {
            needs.octets += of_lane;
            *needs.pages.entry(host.node_of(*core)).or_default() += of_lane.div_ceil(PAGE_2M);
        }
        needs
    }
}

/// `running`: an engine of this configuration has its memory already.
pub(super) fn judge(needs: &Needs, host: &Host, running: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut on_ordinary_pages = 0;
    for (node, pages) in &needs.pages {
        let pool = host.hugepages.pool(PAGE_2M, *node);
        let free = pool.map_or(0, |pool| if running { pool.total } else { pool.free });
        if free < *pages {
            on_ordinary_pages += pages * PAGE_2M;
        }
        findings.push(hugepages(needs.driver, *node, pool, free, *pages));
    }
    if let Some(available) = host.memory_available.filter(|_| !running)
        && available < on_ordinary_pages
    {
        let message = format!(
            "{} MiB of packet memory are needed, {} MiB are left",
            on_ordinary_pages >> 20,
            available >> 20
        );
        findings
            .push(Finding::failure("memory", message).fix("lower engine.frames, or free memory"));
    }
    findings
}

fn hugepages(
    driver: DriverKind,
    node: Option<u32>,
    pool: Option<Pool>,
    free: u64,
    needed: u64,
) -> Finding {
    let finding = match pool {
        None if driver == DriverKind::Dpdk => {
            Finding::failure("hugepages", "this kernel has none of 2 MiB, and DPDK wants them").fix(
                "boot a kernel with CONFIG_HUGETLBFS, or run with --no-huge (virtual devices only)",
            )
        }
        None => Finding::warning(
            "hugepages",
            "this kernel has none of 2 MiB; packet memory will be on ordinary pages, and slower",
        )
        .fix("boot a kernel with CONFIG_HUGETLBFS"),
        Some(_) if free >= needed => {
            Finding::ok("hugepages", format!("of 2 MiB: {needed} needed, {free} free"))
        }
        Some(_) if driver == DriverKind::Dpdk => Finding::note(
            "hugepages",
            format!(
                "of 2 MiB: {needed} needed, {free} free; a start takes the rest of free memory"
            ),
        ),
        Some(pool) => Finding::warning(
            "hugepages",
            format!(
                "of 2 MiB: {needed} needed, {free} free; with too few, packet memory is on \
                 ordinary pages, and slower"
            ),
        )
        .fix(format!("echo {} > {}", pool.total + needed - free, file(node))),
    };
    match node {
        Some(node) => finding.on(format!("node {node}")),
        None => finding,
    }
}

/// Where the count of hugepages of 2 MiB is set.
fn file(node: Option<u32>) -> String {
    match node {
        Some(node) => {
            format!("/sys/devices/system/node/node{node}/hugepages/hugepages-2048kB/nr_hugepages")
        }
        None => "/proc/sys/vm/nr_hugepages".to_owned(),
    }
}

/// The hugepages of a host of which nothing is asked yet.
pub(super) fn overview(host: &Host) -> Vec<Finding> {
    let several = host.hugepages.nodes.len() > 1;
    let mut findings = Vec::new();
    for node in &host.hugepages.nodes {
        let pools: Vec<String> =
            node.pools.iter().filter(|pool| pool.total > 0).map(shown).collect();
        let finding = if pools.is_empty() {
            Finding::note("hugepages", "none; packet memory would be on ordinary pages, and slower")
                .fix(format!(
                    "32 of 2 MiB hold the default of 32,768 frames: echo 32 > {}",
                    file(several.then_some(node.number))
                ))
        } else {
            Finding::ok("hugepages", pools.join(", "))
        };
        findings.push(match several {
            true => finding.on(format!("node {}", node.number)),
            false => finding,
        });
    }
    findings
}

fn shown(pool: &Pool) -> String {
    format!("{} of {} MiB, {} free", pool.total, pool.page_size >> 20, pool.free)
}
