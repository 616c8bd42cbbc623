//! What `--filter` takes: `service=web`, `client=10.0.0.0/8`, `rtt>50ms`, `origin.lost>=1M`.
//!
//! An expression names a field, says how it is compared, and with what. A field of a leg holds if
//! that of either leg does, unless `client.` or `origin.` stands in front. All expressions must hold.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use ringroad_engine::stage::Wanted;
use ringroad_engine::tcp::congestion::CongestionPhase;
use ringroad_engine::tcp::{Limit, State};

use super::shown::{Connection, Leg};

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Expression {
    /// As it was typed.
    text: String,
    sides: Sides,
    field: &'static Field,
    operator: Operator,
    value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sides {
    Either,
    Client,
    Origin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Word(String),
    Yes(bool),
    Number(f64),
    Net(IpNet),
}

/// What can be asked for.
#[derive(Debug)]
struct Field {
    name: &'static str,
    of: Of,
}

/// Where it is looked for, and what is there.
#[derive(Debug)]
enum Of {
    Service,
    Worker,
    Dormant,
    /// [s]
    Time(fn(&Connection) -> f64),
    /// Where the other end of a leg is.
    Client,
    Origin,
    /// Of either end of a leg.
    Port,
    /// One of the words.
    Word(fn(&Leg) -> &str, fn() -> Vec<&'static str>),
    Number(Unit, fn(&Leg) -> Option<f64>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    None,
    Seconds,
    Octets,
    BitsPerSecond,
}

impl Expression {
    pub(crate) fn holds(&self, connection: &Connection) -> bool {
        let equal = |word: &str| matches!(&self.value, Value::Word(wanted) if wanted == word);
        match &self.field.of {
            Of::Service => self.decide(equal(&connection.service)),
            Of::Worker => self.decide(equal(&connection.worker)),
            Of::Dormant => self.decide(self.value == Value::Yes(connection.dormant)),
            Of::Time(take) => self.compare(take(connection)),
            Of::Client => self.decide(self.is_within(connection.client.as_ref())),
            Of::Origin => self.decide(self.is_within(connection.origin.as_ref())),
            Of::Port => self.holds_for_a_leg(connection, |leg| {
                let ports = [leg.local.port(), leg.remote.port()];
                match self.operator {
                    Operator::Unequal => ports.iter().all(|port| self.compare((*port).into())),
                    _ => ports.iter().any(|port| self.compare((*port).into())),
                }
            }),
            Of::Word(take, _) => {
                self.holds_for_a_leg(connection, |leg| self.decide(equal(take(leg))))
            }
            Of::Number(_, take) => {
                self.holds_for_a_leg(connection, |leg| take(leg).is_some_and(|is| self.compare(is)))
            }
        }
    }

    /// Has the engine look for it too, if it is what the engine can tell by itself. `services`: as they
    /// are numbered.
    pub(crate) fn narrow(&self, wanted: &mut Wanted, services: &[String]) -> Result<(), String> {
        if self.operator != Operator::Equal {
            return Ok(());
        }
        match (&self.field.of, &self.value) {
            (Of::Service, Value::Word(name)) => {
                let index = services.iter().position(|service| service == name);
                let index = index.ok_or_else(|| {
                    format!("there is no service {name:?}; there are {}", services.join(", "))
                })?;
                wanted.service = Some(index as u16);
            }
            (Of::Client, Value::Net(net)) => wanted.client = Some(*net),
            (Of::Origin, Value::Net(net)) => wanted.origin = Some(*net),
            (Of::Port, Value::Number(port)) => wanted.port = Some(*port as u16),
            _ => {}
        }
        Ok(())
    }

    /// As it was typed.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    fn holds_for_a_leg(&self, connection: &Connection, holds: impl Fn(&Leg) -> bool) -> bool {
        let client = connection.client.as_ref().filter(|_| self.sides != Sides::Origin);
        let origin = connection.origin.as_ref().filter(|_| self.sides != Sides::Client);
        client.into_iter().chain(origin).any(holds)
    }

    /// Of what is or is not.
    fn decide(&self, is: bool) -> bool {
        is == (self.operator == Operator::Equal)
    }

    fn is_within(&self, leg: Option<&Leg>) -> bool {
        matches!((&self.value, leg), (Value::Net(net), Some(leg)) if net.contains(&leg.remote.ip()))
    }

    fn compare(&self, is: f64) -> bool {
        let Value::Number(wanted) = self.value else { return false };
        match self.operator {
            Operator::Equal => is == wanted,
            Operator::Unequal => is != wanted,
            Operator::Less => is < wanted,
            Operator::AtMost => is <= wanted,
            Operator::Greater => is > wanted,
            Operator::AtLeast => is >= wanted,
        }
    }
}

impl FromStr for Expression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, operator, value) = split(text).ok_or_else(|| {
            format!(
                "{text:?} compares nothing: give a field, one of {}, and a value, such as \
                 service=web or rtt>50ms",
                OPERATORS.map(|(sign, _)| sign).join(" ")
            )
        })?;
        let (sides, bare) = match name.split_once('.') {
            Some(("client", bare)) => (Sides::Client, bare),
            Some(("origin", bare)) => (Sides::Origin, bare),
            _ => (Sides::Either, name),
        };
        let field = FIELDS.iter().find(|field| field.name == bare);
        let field = field.filter(|field| sides == Sides::Either || field.is_of_a_leg());
        let field = field.ok_or_else(|| no_field(name))?;
        if !field.is_a_number() && !matches!(operator, Operator::Equal | Operator::Unequal) {
            return Err(format!("{text:?}: {name} is no number, compare it by = or !="));
        }
        let value = field.value(value).map_err(|expected| format!("{text:?}: {expected}"))?;
        Ok(Expression { text: text.to_owned(), sides, field, operator, value })
    }
}

impl Field {
    fn is_of_a_leg(&self) -> bool {
        matches!(self.of, Of::Port | Of::Word(..) | Of::Number(..))
    }

    fn is_a_number(&self) -> bool {
        matches!(self.of, Of::Time(_) | Of::Port | Of::Number(..))
    }

    /// What the text of a value means, or what is expected instead.
    fn value(&self, text: &str) -> Result<Value, String> {
        match &self.of {
            Of::Service | Of::Worker => Ok(Value::Word(text.to_owned())),
            Of::Dormant => match text {
                "yes" => Ok(Value::Yes(true)),
                "no" => Ok(Value::Yes(false)),
                _ => Err("give yes or no".to_owned()),
            },
            Of::Time(_) => number(Unit::Seconds, text),
            Of::Client | Of::Origin => prefix(text),
            Of::Port => match text.parse::<u16>() {
                Ok(port) => Ok(Value::Number(port.into())),
                Err(_) => Err("give a port from 1 to 65535".to_owned()),
            },
            Of::Word(_, words) => match words().contains(&text) {
                true => Ok(Value::Word(text.to_owned())),
                false => Err(format!("give one of {}", words().join(", "))),
            },
            Of::Number(unit, _) => number(*unit, text),
        }
    }
}

/// Into name, operator and value.
fn split(text: &str) -> Option<(&str, Operator, &str)> {
    let at = text.find(['=', '!', '<', '>'])?;
    let (name, rest) = text.split_at(at);
    let (sign, operator) = OPERATORS.iter().find(|(sign, _)| rest.starts_with(sign))?;
    let value = rest[sign.len()..].trim();
    (!name.is_empty() && !value.is_empty()).then_some((name.trim(), *operator, value))
}

fn no_field(name: &str) -> String {
    let fields: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
    format!(
        "there is no field {name:?}; there are {}; those of a leg also with client. or origin. in \
         front",
        fields.join(", ")
    )
}

fn prefix(text: &str) -> Result<Value, String> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    let net = text.parse::<IpNet>().or_else(|_| address());
    net.map(Value::Net)
        .map_err(|_| "give an address or a prefix, such as 10.0.0.0/8 or 2001:db8::/32".to_owned())
}

fn number(unit: Unit, text: &str) -> Result<Value, String> {
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let (factors, expected): (&[(&str, f64)], _) = match unit {
        Unit::None => (&[("", 1.0)], "give a number"),
        Unit::Seconds => (&TIMES, "give a time with its unit (us, ms, s, m or h)"),
        Unit::Octets => (&MULTIPLES, "give octets, such as 1500, 64k or 1.5M"),
        Unit::BitsPerSecond => (&MULTIPLES, "give bits a second, such as 500k or 1.5G"),
    };
    let factor = factors.iter().find(|(name, _)| *name == suffix).map(|(_, factor)| factor);
    let parsed = number.parse::<f64>().ok();
    parsed
        .zip(factor)
        .map(|(number, factor)| Value::Number(number * factor))
        .ok_or_else(|| expected.to_owned())
}

/// Two characters before one.
const OPERATORS: [(&str, Operator); 6] = [
    ("!=", Operator::Unequal),
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
];

const TIMES: [(&str, f64); 5] =
    [("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

const MULTIPLES: [(&str, f64); 4] = [("", 1.0), ("k", 1e3), ("M", 1e6), ("G", 1e9)];

fn seconds(micros: Option<u64>) -> Option<f64> {
    micros.map(|micros| micros as f64 / 1e6)
}

const FIELDS: &[Field] = &[
    Field { name: "service", of: Of::Service },
    Field { name: "worker", of: Of::Worker },
    Field { name: "client", of: Of::Client },
    Field { name: "origin", of: Of::Origin },
    Field { name: "port", of: Of::Port },
    Field { name: "dormant", of: Of::Dormant },
    Field { name: "age", of: Of::Time(|c| c.age_s) },
    Field { name: "idle", of: Of::Time(|c| c.idle_s) },
    Field {
        name: "state",
        of: Of::Word(|leg| &leg.state, || State::ALL.map(State::name).to_vec()),
    },
    Field {
        name: "congestion",
        of: Of::Word(|leg| &leg.congestion, || vec!["reno", "cubic", "bbr", "dctcp", "vegas"]),
    },
    Field {
        name: "phase",
        of: Of::Word(|leg| &leg.phase, || CongestionPhase::ALL.map(CongestionPhase::name).to_vec()),
    },
    Field {
        name: "limited",
        of: Of::Word(|leg| &leg.limited_by, || Limit::ALL.map(Limit::name).to_vec()),
    },
    Field { name: "rtt", of: Of::Number(Unit::Seconds, |leg| seconds(leg.rtt_us)) },
    Field { name: "rttvar", of: Of::Number(Unit::Seconds, |leg| seconds(leg.rttvar_us)) },
    Field { name: "minrtt", of: Of::Number(Unit::Seconds, |leg| seconds(leg.min_rtt_us)) },
    Field { name: "rto", of: Of::Number(Unit::Seconds, |leg| seconds(Some(leg.rto_us))) },
    Field { name: "retries", of: Of::Number(Unit::None, |leg| Some(leg.retries.into())) },
    Field { name: "cwnd", of: Of::Number(Unit::Octets, |leg| Some(leg.cwnd_bytes.into())) },
    Field {
        name: "ssthresh",
        of: Of::Number(Unit::Octets, |leg| leg.ssthresh_bytes.map(f64::from)),
    },
    Field {
        name: "inflight",
        of: Of::Number(Unit::Octets, |leg| Some(leg.in_flight_bytes.into())),
    },
    Field { name: "mss", of: Of::Number(Unit::Octets, |leg| Some(leg.mss_bytes.into())) },
    Field { name: "pmtu", of: Of::Number(Unit::Octets, |leg| Some(leg.pmtu_bytes.into())) },
    Field { name: "sent", of: Of::Number(Unit::Octets, |leg| Some(leg.sent_bytes as f64)) },
    Field { name: "acked", of: Of::Number(Unit::Octets, |leg| Some(leg.acked_bytes as f64)) },
    Field { name: "received", of: Of::Number(Unit::Octets, |leg| Some(leg.received_bytes as f64)) },
    Field { name: "lost", of: Of::Number(Unit::Octets, |leg| Some(leg.lost_bytes as f64)) },
    Field {
        name: "retransmitted",
        of: Of::Number(Unit::None, |leg| Some(leg.retransmitted_segments.into())),
    },
    Field { name: "queued", of: Of::Number(Unit::Octets, |leg| Some(leg.queued_bytes.into())) },
    Field {
        name: "frames",
        of: Of::Number(Unit::None, |leg| Some((leg.queued_frames + leg.received_frames).into())),
    },
    Field {
        name: "delivery",
        of: Of::Number(Unit::BitsPerSecond, |leg| leg.delivery_rate_bps.map(|bps| bps as f64)),
    },
    Field {
        name: "pacing",
        of: Of::Number(Unit::BitsPerSecond, |leg| leg.pacing_rate_bps.map(|bps| bps as f64)),
    },
    Field { name: "score", of: Of::Number(Unit::None, |leg| leg.quality.map(|q| q.score)) },
    Field {
        name: "confidence",
        of: Of::Number(Unit::None, |leg| leg.quality.map(|q| q.confidence)),
    },
];

#[cfg(test)]
mod tests;
