//! What is asked: a load, as one types it.

use std::str::FromStr;

use super::doubt::{Answer, Doubt};
use super::interval::{Interval, Load};
use super::squares::median;

/// A load as far as it was said.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Asked {
    connections: Option<f64>,
    connections_per_second: Option<f64>,
    packets_per_second: Option<f64>,
    requests_per_second: Option<f64>,
    bits_per_second: Option<f64>,
}

/// What recorded traffic was made of; stands in for what was not said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mix {
    pub(super) octets_per_packet: f64,
    pub(super) connections_per_packet: f64,
    /// Open at one time, for each packet in a second.
    pub(super) open_per_packet: f64,
    /// Where requests were counted.
    pub(super) packets_per_request: Option<f64>,
}

impl Mix {
    /// `None`: there was no traffic.
    pub(super) fn of(intervals: &[&Interval], packets_per_request: Option<f64>) -> Option<Mix> {
        let loads = || intervals.iter().map(|interval| interval.load);
        let packets: f64 = loads().map(|load| load.packets_per_second).sum();
        let mean = |rate: fn(Load) -> f64| loads().map(rate).sum::<f64>() / packets;
        (packets > 0.0).then(|| Mix {
            octets_per_packet: mean(|load| load.octets_per_second),
            connections_per_packet: mean(|load| load.connections_per_second),
            open_per_packet: median(
                loads()
                    .filter(|load| load.packets_per_second > 0.0)
                    .map(|load| load.connections / load.packets_per_second),
            )
            .unwrap_or(0.0),
            packets_per_request,
        })
    }

    /// A load of so many packets a second.
    pub(super) fn load(&self, packets_per_second: f64) -> Load {
        Load {
            packets_per_second,
            connections_per_second: packets_per_second * self.connections_per_packet,
            octets_per_second: packets_per_second * self.octets_per_packet,
            connections: packets_per_second * self.open_per_packet,
        }
    }
}

impl Asked {
    /// The whole load: what was not said is as it was recorded, in proportion to packets.
    pub(super) fn load(&self, mix: &Mix) -> Answer<Load> {
        let by_bits = || {
            let octets = self.bits_per_second? / 8.0;
            (mix.octets_per_packet > 0.0).then(|| octets / mix.octets_per_packet)
        };
        let packets = match (self.packets_per_second, self.requests_per_second) {
            (Some(packets), _) => packets,
            (None, Some(requests)) => {
                requests * mix.packets_per_request.ok_or(Doubt::NoRequests)?
            }
            (None, None) => by_bits().ok_or(Doubt::NotApart { what: "packets a second" })?,
        };
        let as_recorded = mix.load(packets);
        Ok(Load {
            packets_per_second: packets,
            connections_per_second: (self.connections_per_second)
                .unwrap_or(as_recorded.connections_per_second),
            octets_per_second: (self.bits_per_second)
                .map_or(as_recorded.octets_per_second, |bits| bits / 8.0),
            connections: self.connections.unwrap_or(as_recorded.connections),
        })
    }
}

impl FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut asked = Asked::default();
        for part in text.split(',').map(str::trim) {
            let (key, value) =
                part.split_once('=').ok_or_else(|| format!("{part:?} is no KEY=NUMBER"))?;
            let place = match key.trim() {
                "connections" => &mut asked.connections,
                "connections_per_second" => &mut asked.connections_per_second,
                "packets_per_second" => &mut asked.packets_per_second,
                "requests_per_second" => &mut asked.requests_per_second,
                "bits_per_second" => &mut asked.bits_per_second,
                unknown => return Err(format!("there is no {unknown:?}; give {KEYS}")),
            };
            if place.replace(number(value)?).is_some() {
                return Err(format!("{key} is given twice"));
            }
        }
        if asked.packets_per_second.is_some() && asked.requests_per_second.is_some() {
            return Err("give packets_per_second or requests_per_second, not both".to_owned());
        }
        let says_packets =
            [asked.packets_per_second, asked.requests_per_second, asked.bits_per_second];
        if says_packets.iter().all(Option::is_none) {
            return Err(
                "give packets_per_second, requests_per_second or bits_per_second".to_owned()
            );
        }
        Ok(asked)
    }
}

/// Such as 250, 1.5k, 40M or 10G.
fn number(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let (digits, unit) = match text.chars().last() {
        Some('k') => (&text[..text.len() - 1], 1e3),
        Some('M') => (&text[..text.len() - 1], 1e6),
        Some('G') => (&text[..text.len() - 1], 1e9),
        _ => (text, 1.0),
    };
    let number = digits.parse::<f64>().ok().map(|number| number * unit);
    number
        .filter(|number| number.is_finite() && *number >= 0.0)
        .ok_or_else(|| format!("{text:?} is no number; write 250, 1.5k, 40M or 10G"))
}

const KEYS: &str = "connections, connections_per_second, packets_per_second or requests_per_second, \
                    bits_per_second";

#[cfg(test)]
mod tests {
    use super::*;

    const MIX: Mix = Mix {
        octets_per_packet: 500.0,
        connections_per_packet: 0.01,
        open_per_packet: 0.1,
        packets_per_request: Some(5.0),
    };

    fn load(text: &str) -> Answer<Load> {
        text.parse::<Asked>().unwrap().load(&MIX)
    }

    #[test]
    fn what_is_not_said_is_as_it_was_recorded() {
        let by_requests = load("requests_per_second=20k, connections=5000").unwrap();
        let expected = Load {
            packets_per_second: 100_000.0,
            connections_per_second: 1_000.0,
            octets_per_second: 5e7,
            connections: 5_000.0,
        };
        assert_eq!(by_requests, expected);
        let by_bits = load("bits_per_second=0.4G").unwrap();
        assert_eq!((by_bits.packets_per_second, by_bits.connections), (1e5, 1e4));
        let unknown = Mix { packets_per_request: None, ..MIX };
        let asked: Asked = "requests_per_second=1".parse().unwrap();
        assert_eq!(asked.load(&unknown), Err(Doubt::NoRequests));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, why) in [
            ("packets=5", "there is no \"packets\"; give connections"),
            ("packets_per_second", "is no KEY=NUMBER"),
            ("packets_per_second=ten", "\"ten\" is no number"),
            ("packets_per_second=-1", "\"-1\" is no number"),
            ("packets_per_second=1,packets_per_second=2", "given twice"),
            ("packets_per_second=1,requests_per_second=2", "not both"),
            ("connections=5", "give packets_per_second, requests_per_second or bits_per_second"),
        ] {
            let refusal = text.parse::<Asked>().unwrap_err();
            assert!(refusal.contains(why), "{text}: {refusal}");
        }
    }
}
