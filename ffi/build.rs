//! Finds libdpdk, compiles the shim and generates bindings to what the crate uses.

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode};

const MISSING: &str =
    "install libdpdk-dev (Debian: apt-get install libdpdk-dev), or build without the feature dpdk";

/// The oldest release whose API the crate is written for.
const RELEASE_MIN: &str = "22.11";

const FUNCTIONS: [&str; 8] = [
    "rr_.*",
    "rte_eal_(init|cleanup|hotplug_add|get_runtime_dir)",
    "rte_dev_remove",
    "rte_eth_dev_(info_get|get_port_by_name|socket_id|adjust_nb_rx_tx_desc|configure|get_mtu|\
     set_mtu|start|stop|close|rx_intr_ctl_q_get_fd)",
    "rte_eth_(rx_queue_setup|tx_queue_setup|promiscuous_disable|allmulticast_enable|\
     macaddr_get|stats_get|tx_done_cleanup)",
    "rte_eth_dev_(rss_hash_conf_get|rss_reta_query)",
    "rte_mempool_(avail_count|free)",
    "rte_thread_(register|unregister)",
];

const TYPES: [&str; 2] = ["rr_.*", "rte_eth_(conf|dev_info|rxconf|txconf|stats)"];

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=shim");
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("cargo::error={}", message.replace('\n', " | "));
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    pkg_config::Config::new().atleast_version(RELEASE_MIN).probe("libdpdk").map_err(|error| {
        format!("libdpdk {RELEASE_MIN} or later was not found: {MISSING} ({})", first_line(&error))
    })?;
    let flags = compiler_flags()?;
    compile_shim(&flags);
    generate_bindings(&flags)
}

fn first_line(error: &pkg_config::Error) -> String {
    error.to_string().lines().find(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

/// DPDK's headers need all of them: the crate `pkg-config` leaves out `-include` and `-march`.
fn compiler_flags() -> Result<Vec<String>, String> {
    let program = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".to_owned());
    let output = Command::new(&program)
        .args(["--cflags", "libdpdk"])
        .output()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect())
}

fn compile_shim(flags: &[String]) {
    let mut shim = cc::Build::new();
    shim.file("shim/shim.c").extra_warnings(true);
    for flag in flags {
        // DPDK's own headers are not to be warned about.
        match flag.strip_prefix("-I") {
            Some(path) => shim.flag("-isystem").flag(path),
            None => shim.flag(flag),
        };
    }
    shim.compile("ringroad_dpdk_shim");
}

fn generate_bindings(flags: &[String]) -> Result<(), String> {
    let out_dir = env::var("OUT_DIR").map_err(|error| format!("OUT_DIR: {error}"))?;
    let mut builder = bindgen::Builder::default()
        .header("shim/shim.h")
        .clang_args(flags)
        .allowlist_recursively(true)
        .opaque_type("rte_(mempool|mbuf|device|memzone)")
        .allowlist_var("(RR|rr)_.*|RTE_ETH_FLOW_NONFRAG_IPV[46]_TCP")
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .wrap_unsafe_ops(true)
        .derive_default(true)
        .layout_tests(false)
        .generate_comments(false)
        .formatter(bindgen::Formatter::None);
    for function in FUNCTIONS {
        builder = builder.allowlist_function(function);
    }
    for name in TYPES {
        builder = builder.allowlist_type(name);
    }
    builder
        .generate()
        .map_err(|error| format!("cannot generate bindings to DPDK: {error}"))?
        .write_to_file(Path::new(&out_dir).join("bindings.rs"))
        .map_err(|error| format!("cannot write the bindings to {out_dir}: {error}"))
}
