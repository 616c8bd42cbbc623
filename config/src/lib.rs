//! The configuration of ringroad: its schema, its validation and its error messages.

pub mod limits;
pub mod schema;
