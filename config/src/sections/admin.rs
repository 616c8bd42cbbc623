//! How the running engine is reached.

use super::or;
use crate::document::Node;
use crate::fields::Fields;
use crate::problem::Problems;
use crate::schema::{Admin, Metrics};
use crate::value;

pub(super) fn read(node: &Node, problems: &mut Problems) -> Option<Admin> {
    let mut fields = Fields::of(node, "admin", problems)?;
    let default = Admin::default();
    let socket = fields.value("socket", value::socket_path, problems);
    let metrics = fields.value(
        "metrics",
        |text| value::or_word(text, "off", value::socket_address),
        problems,
    );
    fields.finish(problems);
    let metrics = metrics.map_or(default.metrics, |given| {
        given.value.map(|address| Metrics { address, required: true })
    });
    Some(Admin { socket: or(socket, default.socket), metrics })
}
