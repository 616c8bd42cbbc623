//! The shield against a real kernel: its verdicts through `BPF_PROG_TEST_RUN`, its life on
//! interfaces of network namespaces that exist only for one test.
//!
//! All of it needs root; without, each test says so and passes.

mod acceptor;
mod cookies;
mod drops;
mod foreign_loader;
mod kernel_path;
mod known_flows;
mod lifecycle;
mod limits;
mod packets;
mod rig;
mod samples;
mod steering;
mod verdicts;
