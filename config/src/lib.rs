//! The configuration of ringroad: its schema, its validation and its error messages.
//!
//! A file is read in three steps: `document` makes a tree of it that knows where everything
//! stands, `sections` reads the tree key by key (with `fields` and `value`) and notes every
//! problem with its place, and what comes out is a [`schema::Config`]: plain data that is
//! consistent and within [`limits`]. Nothing here looks at the host: whether an interface exists,
//! or an address is local, is found out at start.
//!
//! ```
//! let errors = ringroad_config::parse("edge.yaml", "ports: [{ interface: wan0 }]\n").unwrap_err();
//! assert_eq!(
//!     errors.to_string(),
//!     "edge.yaml:1:1: the file lacks \"services\"; add it, for example \
//!      services: [{ listen: [\"10.10.1.1:80\"], origins: [\"10.10.2.2:80\"] }]"
//! );
//! ```

mod document;
#[cfg(any(test, fuzzing))]
pub mod exercise;
mod fields;
pub mod limits;
mod problem;
pub mod schema;
mod sections;
mod value;
mod yaml;

use std::io::Read;
use std::path::Path;

pub use problem::{Errors, Position, Problem};
pub use schema::Config;
pub use value::duration;

use limits::FILE_MAX;
use problem::Problems;

/// Reads and checks the file at `path`.
pub fn load(path: &Path) -> Result<Config, Errors> {
    let file = path.display().to_string();
    let unreadable = |error| {
        Errors::unreadable(&file, format!("cannot be read: {error}; check the path and its rights"))
    };
    let mut text = String::new();
    let opened = std::fs::File::open(path).map_err(unreadable)?;
    opened.take(FILE_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > FILE_MAX {
        let message = format!("longer than {FILE_MAX} octets; no configuration is");
        return Err(Errors::unreadable(&file, message));
    }
    parse(&file, &text)
}

/// Checks `text`, which messages call `file`.
pub fn parse(file: &str, text: &str) -> Result<Config, Errors> {
    let mut problems = Problems::default();
    let config = document::parse(text, &mut problems)
        .and_then(|root| sections::config(&root, &mut problems));
    problems.finish(file, config)
}

impl Config {
    /// The whole configuration as YAML, every default filled in; [`parse`] reads it back the same,
    /// but that [`schema::Metrics::required`] is then set: the file asks for it.
    pub fn to_yaml(&self) -> String {
        yaml::write(self)
    }
}

#[cfg(test)]
mod tests;
