//! The proof of a plan: the knee of another run, predicted and measured.

use serde::Serialize;

use super::answers::{Answers, NO_TRAFFIC, known};
use super::asked::Mix;
use super::costs::utilisation;
use super::curve::{Curve, Point};
use super::doubt::Answer;
use super::interval::Interval;

/// See the module. Loads are packets a second of the other run's traffic.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Against {
    /// From what packets, connections and octets cost in the first run, and where its knee was.
    pub(super) predicted: f64,
    /// By the other run's own latencies, of whose utilisation nothing is assumed.
    pub(super) measured: f64,
    /// Standard error of what was measured.
    pub(super) measured_error: f64,
    /// What the prediction is off by, as a part of what was measured.
    pub(super) off: f64,
}

impl Against {
    /// `other`: intervals that show a load each.
    pub(super) fn of(answers: &Answers, other: &[&Interval]) -> Answer<Against> {
        let (knee, costs) = (answers.knee.clone()?, known(&answers.costs)?);
        let mix = Mix::of(other, None).ok_or(NO_TRAFFIC)?;
        let predicted = knee.utilisation / utilisation(&costs, &mix.load(1.0));

        let seen: Vec<_> = (other.iter())
            .filter_map(|i| Some((i.load.packets_per_second, i.inside?.p95)))
            .collect();
        let points = Point::gather(&seen);
        let measured = Curve::through(&points)?.knee(&points)?;
        Ok(Against {
            predicted,
            measured: measured.load,
            measured_error: measured.error,
            off: predicted / measured.load - 1.0,
        })
    }
}
