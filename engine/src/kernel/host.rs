//! Finding a network interface by name, with an answer that helps when it is not there.

use super::link::Link;
use super::routes::Routes;

/// There is no such interface.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no interface is named {name:?}; {hint}")]
pub struct NoInterface {
    pub name: String,
    /// What may have been meant, or what there is.
    pub hint: String,
}

/// How alike two names must be, of one, for one to be taken as a slip for the other.
const ALIKE: f64 = 0.6;

/// How many names are listed when none is alike.
const LISTED_MAX: usize = 8;

/// The interface of that name: its index, address, MTU, state, and any XDP program on it.
pub fn interface<'a>(routes: &'a Routes, name: &str) -> Result<&'a Link, NoInterface> {
    routes
        .link_by_name(name)
        .ok_or_else(|| NoInterface { name: name.to_owned(), hint: hint(routes, name) })
}

fn hint(routes: &Routes, name: &str) -> String {
    let likeness = |link: &&Link| strsim::normalized_damerau_levenshtein(&link.name, name);
    let nearest = routes.links().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    if let Some(nearest) = nearest.filter(|nearest| likeness(nearest) >= ALIKE) {
        return format!("did you mean {:?}?", nearest.name);
    }
    let mut names: Vec<&str> =
        routes.links().map(|link| link.name.as_str()).take(LISTED_MAX + 1).collect();
    if names.is_empty() {
        return "this network namespace has none".to_owned();
    }
    let more = if names.len() > LISTED_MAX { ", …" } else { "" };
    names.truncate(LISTED_MAX);
    format!("there are {}{more}", names.join(", "))
}
