//! What a recording says, in plain words.

use std::collections::BTreeMap;

use ringroad_ebpf::Verdict;

use super::history::{Counts, History};
use super::units::{bit_rate, counted, number, percent, seconds};
use crate::stats::{self, Bottleneck};

/// One sentence each, the most important ones first.
pub(super) fn sentences(history: &History) -> Vec<String> {
    let mut said = match history.counts().next() {
        Some(_) => vec![throughput(history), connections(history), drops(&history.total)],
        None => {
            vec!["Rates cannot be told: no two intervals follow one upon the other.".to_owned()]
        }
    };
    said.extend(bottleneck(history));
    said.push(shield(history));
    said.extend(gaps(history));
    said
}

fn throughput(history: &History) -> String {
    let total = &history.total;
    let bits = |counts: &Counts| 8.0 * counts.rate(counts.sum(|s| s.to_client + s.to_origin));
    let packets = |counts: &Counts| counts.rate(counts.received);
    format!(
        "Throughput: {} of payload on average ({} to clients, {} to origins), {} at most; {} packets \
         received a second, {} at most.",
        bit_rate(bits(total)),
        bit_rate(8.0 * total.rate(total.sum(|s| s.to_client))),
        bit_rate(8.0 * total.rate(total.sum(|s| s.to_origin))),
        bit_rate(history.most(bits)),
        number(packets(total)),
        number(history.most(packets)),
    )
}

fn connections(history: &History) -> String {
    let total = &history.total;
    let active = history.steps.iter().map(|step| step.active_connections()).max().unwrap_or(0);
    format!(
        "Connections: {} accepted ({} a second), {} refused, {} left to Linux; {} at once at most.",
        number(total.sum(|s| s.accepted) as f64),
        number(total.rate(total.sum(|s| s.accepted))),
        number(total.sum(|s| s.refused) as f64),
        number(total.sum(|s| s.fell_back) as f64),
        number(active as f64),
    )
}

fn drops(total: &Counts) -> String {
    let Some((reason, count)) = top(&total.dropped) else {
        return format!("Drops: none of {} received.", counted(total.received, "packet"));
    };
    let drops = total.drops();
    format!(
        "Drops: {} of {} received ({}), {} of them as {}.",
        counted(drops, "packet"),
        number(total.received as f64),
        percent(drops as f64 / total.received.max(1) as f64),
        percent(count as f64 / drops as f64),
        reason.replace('_', " "),
    )
}

/// By what each core did over all of the recording.
fn bottleneck(history: &History) -> Option<String> {
    let mut cores = history.last().stats.cores.clone();
    for core in &mut cores {
        if let Some(counts) = history.total.cores.get(&core.name) {
            core.utilisation = counts.utilisation();
        }
    }
    let Bottleneck { core, why } = stats::bottleneck(&cores)?;
    Some(match core {
        Some(core) => format!("Bottleneck: {core}, {why}."),
        None => format!("Bottleneck: no core; {why}."),
    })
}

fn shield(history: &History) -> String {
    let drops = |verdict: &Verdict| verdict.is_drop();
    let refused: BTreeMap<String, u64> = (Verdict::ALL.iter().filter(|verdict| drops(verdict)))
        .filter_map(|verdict| {
            let count = *history.total.shield.get(verdict.name())?;
            Some((verdict.name().to_owned(), count))
        })
        .collect();
    let cookies = match history.cookies_share() {
        0.0 => "SYN cookies were off".to_owned(),
        share if share >= 1.0 => "SYN cookies were on all the time".to_owned(),
        share => format!("SYN cookies were on for {} of the time", percent(share)),
    };
    match top(&refused) {
        None => format!("Shield: it had nothing to drop; {cookies}."),
        Some((reason, _)) => format!(
            "Shield: at work; it dropped {}, most as {}; {cookies}.",
            counted(refused.values().sum(), "packet"),
            reason.replace('_', " "),
        ),
    }
}

fn gaps(history: &History) -> Option<String> {
    let mut said = Vec::new();
    if history.restarts > 0 {
        let times = if history.restarts == 1 { "once" } else { "several times" };
        said.push(format!("the engine started anew {times}"));
    }
    if history.missing_s > 0.0 {
        said.push(format!("{} are missing", seconds(history.missing_s)));
    }
    (!said.is_empty()).then(|| format!("Gaps: {}; nothing is made up there.", said.join(", ")))
}

/// What has counted most, if anything has.
fn top(counts: &BTreeMap<String, u64>) -> Option<(&str, u64)> {
    let (name, count) = counts.iter().max_by_key(|(_, count)| **count)?;
    (*count > 0).then_some((name.as_str(), *count))
}
