//! What each core does with its time, since it started: what happens now is the rate of it.

use std::fmt;

use super::Scrape;
use super::page::Page;
use crate::stats::Core;

pub(super) fn write(page: &mut Page<'_>, scrape: &Scrape) -> fmt::Result {
    let Scrape { about, stats, stalls, .. } = scrape;
    let threads = about.threads().iter().map(|thread| [("core", thread.name.as_str())]);
    page.counters(
        "core_stalls",
        "How often a core did not turn for longer than it may",
        threads.zip(stalls.iter().copied()),
    )?;
    time(page, &stats.cores)?;
    stages(page, &stats.cores)?;
    rings(page, &stats.cores)?;
    let bottleneck = stats.bottleneck.as_ref().and_then(|it| it.core.as_deref());
    page.gauges(
        "core_bottleneck",
        "Whether it is this core that the others wait for, or which has no time left",
        (stats.cores.iter()).map(|core| (named(core), u64::from(bottleneck == Some(&core.name)))),
    )
}

fn time(page: &mut Page<'_>, cores: &[Core]) -> fmt::Result {
    page.counters(
        "core_busy_seconds",
        "Time of a core in turns that found something to do",
        cores.iter().map(|core| (named(core), core.busy_s)),
    )?;
    page.counters(
        "core_idle_seconds",
        "Time of a core that found nothing to do, or slept",
        cores.iter().map(|core| (named(core), core.idle_s)),
    )?;
    page.counters(
        "core_turns",
        "Turns of a core, by whether they found something",
        cores.iter().flat_map(|core| {
            let found = [("something", core.busy_turns), ("nothing", core.turns - core.busy_turns)];
            found.map(|(what, turns)| (part(core, "found", what), turns))
        }),
    )
}

fn stages(page: &mut Page<'_>, cores: &[Core]) -> fmt::Result {
    let stages = || {
        cores.iter().flat_map(|core| {
            core.stages.iter().map(move |stage| (part(core, "stage", &stage.name), stage))
        })
    };
    page.counters(
        "stage_packets",
        "Packets that a stage had",
        stages().map(|(labels, stage)| (labels, stage.packets)),
    )?;
    page.counters(
        "stage_sampled_packets",
        "Packets that a stage had in the turns that were measured",
        stages().map(|(labels, stage)| (labels, stage.sampled_packets)),
    )?;
    page.counters(
        "stage_sampled_seconds",
        "Time of a stage in the turns that were measured",
        stages().map(|(labels, stage)| (labels, stage.sampled_s)),
    )
}

fn rings(page: &mut Page<'_>, cores: &[Core]) -> fmt::Result {
    let rings = || {
        cores.iter().flat_map(|core| {
            core.rings.iter().map(move |ring| (part(core, "ring", &ring.name), ring))
        })
    };
    page.counters(
        "ring_full",
        "How often a core found no room in a ring",
        rings().map(|(labels, ring)| (labels, ring.full)),
    )?;
    page.gauges(
        "ring_capacity",
        "Packets that a ring can hold",
        rings().map(|(labels, ring)| (labels, ring.capacity)),
    )
}

fn named(core: &Core) -> [(&'static str, &str); 1] {
    [("core", &core.name)]
}

fn part<'a>(core: &'a Core, what: &'static str, name: &'a str) -> [(&'static str, &'a str); 2] {
    [("core", &core.name), (what, name)]
}
