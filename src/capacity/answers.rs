//! From intervals to answers: each is there, or why it is not.

use serde::Serialize;

use super::asked::{Asked, Mix};
use super::costs::{Costs, utilisation};
use super::curve::{BEYOND_MAX, Curve, Knee, Point};
use super::doubt::{Answer, Doubt, answer, answer_if_asked, answers};
use super::interval::{Interval, Intervals, Load, Times};
use super::memory::Memory;
use super::steps::Steps;
use crate::cores::Role;

/// What is to be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    pub(super) load: Option<Asked>,
    /// The p99 inside that is still good enough [µs].
    pub(super) p99_us: Option<f64>,
    /// How much of what cores can do is to be used, from 0 to 1.
    pub(super) utilisation: f64,
    /// Of the ports [octets].
    pub(super) mtu: u32,
}

/// See the module.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Answers {
    pub(super) recorded: Recorded,
    #[serde(serialize_with = "answers")]
    pub(super) costs: Vec<Answer<Costs>>,
    #[serde(serialize_with = "answer")]
    pub(super) p50: Answer<Curve>,
    #[serde(serialize_with = "answer")]
    pub(super) p95: Answer<Curve>,
    #[serde(serialize_with = "answer")]
    pub(super) p99: Answer<Curve>,
    /// What the curves go through, by utilisation.
    pub(super) points: Points,
    #[serde(serialize_with = "answer")]
    pub(super) knee: Answer<AtLoad>,
    /// As seen by whoever drove the load, by requests a second.
    #[serde(serialize_with = "answer_if_asked")]
    pub(super) outside: Option<Answer<Knee>>,
    /// Where p99 is what was asked for.
    #[serde(serialize_with = "answer_if_asked")]
    pub(super) at_p99: Option<Answer<AtLoad>>,
    pub(super) memory: Memory,
    #[serde(serialize_with = "answer_if_asked")]
    pub(super) need: Option<Answer<Need>>,
}

/// What there is to go by.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Recorded {
    /// Unix time [s].
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) intervals: usize,
    /// Of these, those in which packets were lost before the engine saw them; no latency is taken from them.
    pub(super) overloaded: usize,
    pub(super) restarts: usize,
    /// The load at the end of the curve.
    pub(super) highest: Option<Load>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Points {
    pub(super) p50: Vec<Point>,
    pub(super) p95: Vec<Point>,
    pub(super) p99: Vec<Point>,
}

/// A load on the cores of the recording, with its traffic.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct AtLoad {
    pub(super) utilisation: f64,
    /// Standard error, where it is known.
    pub(super) utilisation_error: Option<f64>,
    pub(super) p50_us: f64,
    pub(super) p95_us: f64,
    pub(super) p99_us: f64,
    pub(super) packets_per_second: f64,
    pub(super) requests_per_second: Option<f64>,
    /// So many times the load that was asked about or, if none was, the highest that was recorded.
    pub(super) head_room: f64,
}

/// What a load takes.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Need {
    pub(super) load: Load,
    /// What is planned with, from 0 to 1.
    pub(super) utilisation: f64,
    pub(super) cores: Vec<CoresOf>,
    /// That hold payload.
    pub(super) frames: f64,
    /// Of these frames, and of connections' tables [octets].
    pub(super) frame_octets: f64,
    pub(super) connection_octets: f64,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct CoresOf {
    pub(super) role: Role,
    pub(super) cores: u64,
    /// So many would be at work without a pause.
    pub(super) at_work: f64,
}

impl Answers {
    pub(super) fn of(intervals: &Intervals, driven: Option<&Steps>, asked: &Question) -> Self {
        let all = &intervals.list;
        let costs = Costs::of_all(all);
        let good = that_show_load(all, driven);
        let mix = Mix::of(&good, driven.and_then(|steps| packets_per_request(all, steps)));
        let points = known(&costs).map(|costs| Points::of(&costs, &good)).unwrap_or_default();
        let through = |points: &[Point]| known(&costs).and_then(|_| Curve::through(points));
        let curves = [&points.p50, &points.p95, &points.p99].map(|points| through(points));
        let model = Model::of(&costs, &curves, mix, asked.load);
        let [p50, p95, p99] = curves.map(|curve| curve.and_then(Curve::if_exact));

        let knee = model.clone().and_then(|model| {
            let knee = model.p95.knee(&points.p95)?;
            Ok(model.at(knee.load, Some(knee.error)))
        });
        let seen_most = points.p95.iter().map(|point| point.load).fold(0.0, f64::max);
        let knee = knee.map_err(|doubt| match driven {
            Some(steps) if rises_outside(steps) && seen_most < ELSEWHERE => {
                Doubt::LimitElsewhere { utilisation: seen_most }
            }
            _ => doubt,
        });
        let at_p99 = asked.p99_us.map(|limit| -> Answer<AtLoad> {
            let (model, p99) = (model.clone()?, p99.clone()?);
            Ok(model.at(p99.reaches(limit)?, None))
        });
        let memory = Memory::of(all, asked.mtu);
        let need = asked.load.map(|load| -> Answer<Need> {
            let costs = known(&costs)?;
            let mix = mix.ok_or(NO_TRAFFIC)?;
            let within = match &at_p99 {
                Some(at) => asked.utilisation.min(at.as_ref().map_err(Doubt::clone)?.utilisation),
                None => asked.utilisation,
            };
            let times = within / seen_most;
            if times > BEYOND_MAX {
                return Err(Doubt::Beyond { what: "the utilisation to plan with", times });
            }
            Need::of(load.load(&mix)?, within, &costs, &memory, &mix)
        });
        Answers {
            recorded: Recorded::of(intervals, &good),
            p50,
            p95,
            p99,
            costs,
            points,
            knee,
            outside: driven.map(knee_outside),
            at_p99,
            memory,
            need,
        }
    }

    /// Whether all is answered that was asked for by itself.
    pub(super) fn are_whole(&self) -> bool {
        let lacks = matches!(self.at_p99, Some(Err(_))) || matches!(self.need, Some(Err(_)));
        self.knee.is_ok() && !lacks
    }
}

/// What loads are judged by, once all of it is known.
#[derive(Clone, Debug)]
struct Model {
    costs: Vec<Costs>,
    p50: Curve,
    p95: Curve,
    p99: Curve,
    mix: Mix,
    /// What head-room is measured from: a utilisation.
    reference: f64,
}

impl Model {
    fn of(
        costs: &[Answer<Costs>],
        [p50, p95, p99]: &[Answer<Curve>; 3],
        mix: Option<Mix>,
        asked: Option<Asked>,
    ) -> Answer<Model> {
        let (costs, mix) = (known(costs)?, mix.ok_or(NO_TRAFFIC)?);
        let (p50, p95, p99) = (p50.clone()?, p95.clone()?, p99.clone()?);
        let asked = asked.and_then(|asked| asked.load(&mix).ok());
        let reference = asked.map_or(p95.to(), |load| utilisation(&costs, &load));
        Ok(Model { costs, p50, p95, p99, mix, reference })
    }

    fn at(&self, load: f64, error: Option<f64>) -> AtLoad {
        let packets_per_second = load / utilisation(&self.costs, &self.mix.load(1.0));
        let per_request = self.mix.packets_per_request;
        AtLoad {
            utilisation: load,
            utilisation_error: error,
            p50_us: self.p50.at(load),
            p95_us: self.p95.at(load),
            p99_us: self.p99.at(load),
            packets_per_second,
            requests_per_second: per_request.map(|packets| packets_per_second / packets),
            head_room: load / self.reference,
        }
    }
}

impl Recorded {
    fn of(intervals: &Intervals, good: &[&Interval]) -> Self {
        let all = &intervals.list;
        Recorded {
            from: all.first().map_or(0.0, |interval| interval.began),
            to: all.last().map_or(0.0, |interval| interval.ended),
            intervals: all.len(),
            overloaded: all.iter().filter(|interval| is_overloaded(interval)).count(),
            restarts: intervals.restarts.len(),
            highest: good
                .iter()
                .map(|interval| interval.load)
                .max_by(|one, other| one.packets_per_second.total_cmp(&other.packets_per_second)),
        }
    }
}

impl Need {
    fn of(load: Load, within: f64, costs: &[Costs], memory: &Memory, mix: &Mix) -> Answer<Need> {
        let mut cores = Vec::with_capacity(costs.len());
        for each in costs {
            let at_work = each.cores_at_work(&load) * each.unevenness;
            if each.role == Role::Io && at_work > within {
                return Err(Doubt::OneCore { utilisation: at_work });
            }
            let needed = (at_work / within).ceil().max(1.0) as u64;
            cores.push(CoresOf { role: each.role, cores: needed, at_work });
        }
        let frames = memory.frames(&load, mix.octets_per_packet).ceil();
        Ok(Need {
            load,
            utilisation: within,
            cores,
            frames,
            frame_octets: frames * memory.octets_per_frame as f64,
            connection_octets: load.connections * memory.octets_per_connection as f64,
        })
    }
}

/// What is said of a target of which only its answers are known.
#[derive(Debug, Serialize)]
pub(super) struct Outside<'a> {
    #[serde(flatten)]
    pub(super) steps: &'a Steps,
    #[serde(serialize_with = "answer")]
    pub(super) knee: &'a Answer<Knee>,
}

/// Those of which latency at a load can be taken.
pub(super) fn that_show_load<'a>(
    intervals: &'a [Interval],
    driven: Option<&Steps>,
) -> Vec<&'a Interval> {
    intervals.iter().filter(|interval| is_good(interval) && is_load(driven, interval)).collect()
}

/// Of all roles, or of none: who is not known may be the limit.
pub(super) fn known(costs: &[Answer<Costs>]) -> Answer<Vec<Costs>> {
    if costs.is_empty() {
        return Err(NO_TRAFFIC);
    }
    costs.iter().cloned().collect()
}

impl Points {
    fn of(costs: &[Costs], intervals: &[&Interval]) -> Self {
        let by_load = |time: fn(&Times) -> f64| {
            let seen = intervals.iter().filter_map(|interval| {
                Some((utilisation(costs, &interval.load), time(interval.inside.as_ref()?)))
            });
            Point::gather(&seen.collect::<Vec<_>>())
        };
        Points {
            p50: by_load(|times| times.p50),
            p95: by_load(|times| times.p95),
            p99: by_load(|times| times.p99),
        }
    }
}

/// The knee of what was seen from outside.
pub(super) fn knee_outside(steps: &Steps) -> Answer<Knee> {
    let mut points: Vec<Point> = (steps.loads())
        .filter(|step| step.kept_up())
        .map(|step| Point { load: step.answered, time_us: step.p50_us, intervals: 1 })
        .collect();
    points.sort_by(|one, next| one.load.total_cmp(&next.load));
    Curve::through(&points)?.knee(&points)
}

/// Whether latency tells of the load: not where packets were lost on the way to the engine, or none came.
fn is_good(interval: &Interval) -> bool {
    interval.inside.is_some() && interval.load.packets_per_second > 0.0 && !is_overloaded(interval)
}

fn is_overloaded(interval: &Interval) -> bool {
    interval.lost > LOST_MOST * interval.load.packets_per_second
}

/// Whether an interval shows a load by itself, as far as one knows what was driven.
fn is_load(driven: Option<&Steps>, interval: &Interval) -> bool {
    driven.is_none_or(|steps| steps.loads().any(|step| step.holds(interval)))
}

fn packets_per_request(intervals: &[Interval], steps: &Steps) -> Option<f64> {
    let mut sums = (0.0, 0.0);
    for step in steps.loads() {
        for interval in intervals.iter().filter(|interval| step.holds(interval)) {
            sums.0 += interval.load.packets_per_second;
            sums.1 += step.answered;
        }
    }
    (sums.1 > 0.0).then(|| sums.0 / sums.1)
}

fn rises_outside(steps: &Steps) -> bool {
    let times = || steps.loads().map(|step| step.p99_us);
    times().fold(0.0, f64::max) > RISES * times().fold(f64::INFINITY, f64::min)
}

/// There is nothing to go by.
pub(super) const NO_TRAFFIC: Doubt =
    Doubt::TooFew { what: "intervals with traffic", have: 0, need: 1 };

/// Packets lost for each that came; with more, what came was not the load.
const LOST_MOST: f64 = 1e-3;

/// So many times its least, latency outside has risen.
const RISES: f64 = 3.0;

/// With less in use, the engine is not what others wait for.
const ELSEWHERE: f64 = 0.6;
