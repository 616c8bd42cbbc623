//! libbpf's own messages: into `tracing`, and into the error when a program does not load.

use std::cell::RefCell;
use std::sync::Once;

use libbpf_rs::PrintLevel;

use crate::limits::LOAD_LOG_OCTETS_MAX;

thread_local! {
    /// What libbpf said on this thread since [`captured`] began.
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `work` and returns with it the end of what libbpf had to complain about meanwhile.
pub(crate) fn captured<T>(work: impl FnOnce() -> T) -> (T, String) {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        libbpf_rs::set_print(Some((PrintLevel::Debug, said)));
    });
    SAID.set(Some(String::new()));
    let result = work();
    (result, SAID.take().unwrap_or_default())
}

fn said(level: PrintLevel, message: String) {
    tracing::debug!(target: "ringroad_ebpf::libbpf", "{}", message.trim_end());
    if level != PrintLevel::Warn {
        return;
    }
    SAID.with_borrow_mut(|said| {
        let Some(said) = said else { return };
        said.push_str(&message);
        let mut excess = said.len().saturating_sub(LOAD_LOG_OCTETS_MAX);
        while !said.is_char_boundary(excess) {
            excess += 1;
        }
        said.drain(..excess);
    });
}
