//! SYN cookies where Linux stands in: whether it accepts what the shield answered.

use ringroad_config::schema::{Config, Fallback, SynCookies};

use super::finding::Finding;
use super::host::{Host, version};

/// `None` where the engine alone opens cookies.
pub(super) fn judge(config: &Config, host: &Host) -> Option<Finding> {
    let stands_in = config.services.iter().any(|service| service.fallback == Fallback::Kernel);
    if config.shield.syn_cookies == SynCookies::Off || !stands_in {
        return None;
    }
    let (major, minor) = KERNEL_MIN;
    let release = &host.kernel.release;
    if version(release).is_some_and(|version| version < KERNEL_MIN) {
        let message = format!(
            "Linux {release} cannot accept what the shield answered: where it stands in for the \
             engine, clients that were just answered are reset"
        );
        return Some(
            Finding::note(CHECK, message).fix(format!("boot Linux {major}.{minor} or later")),
        );
    }
    let Some(off) = host.kernel.tcp_off.first() else {
        return Some(Finding::ok(CHECK, "Linux accepts them where it stands in for the engine"));
    };
    let message = format!(
        "net.ipv4.{off} is 0: where Linux stands in for the engine, clients that the shield has \
         answered are reset"
    );
    Some(Finding::warning(CHECK, message).fix(format!("sysctl -w net.ipv4.{off}=1")))
}

const CHECK: &str = "syn-cookies";

/// The oldest that takes half-open connections from a BPF program.
const KERNEL_MIN: (u32, u32) = (6, 9);
