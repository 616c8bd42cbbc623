//! Compiles the programs in `bpf/` and generates their skeletons.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use libbpf_cargo::SkeletonBuilder;

/// What Debian and Ubuntu need for this crate and the libbpf under it.
const INSTALL: &str = "apt-get install clang libelf-dev zlib1g-dev linux-libc-dev pkg-config";

const PROGRAMS: [&str; 5] = ["shield", "acceptor", "wire", "bench", "flood"];

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=bpf");
    println!("cargo::rerun-if-env-changed=CLANG");
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("cargo::error={}", message.replace('\n', " | "));
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    Command::new(&clang).arg("--version").output().map_err(|error| {
        format!("cannot run {clang}, which compiles the BPF programs: {error}; try: {INSTALL}")
    })?;
    let out_dir = env::var("OUT_DIR").map_err(|error| format!("OUT_DIR: {error}"))?;
    PROGRAMS.iter().try_for_each(|program| compile(program, &clang, Path::new(&out_dir)))
}

/// `bpf/NAME.bpf.c` to `NAME.bpf.o` and the skeleton `NAME.skel.rs` in `out_dir`.
fn compile(program: &str, clang: &str, out_dir: &Path) -> Result<(), String> {
    let mut arguments: Vec<String> =
        ["-mcpu=v3", "-Wall", "-Wextra", "-Wno-sign-compare", "-Werror"].map(String::from).into();
    if let Some(headers) = kernel_headers() {
        arguments.extend(["-idirafter".to_owned(), headers.display().to_string()]);
    }
    SkeletonBuilder::new()
        .source(format!("bpf/{program}.bpf.c"))
        .obj(out_dir.join(format!("{program}.bpf.o")))
        .clang(clang)
        .clang_args(arguments)
        .build_and_generate(out_dir.join(format!("{program}.skel.rs")))
        .map_err(|error| {
            format!(
                "cannot build bpf/{program}.bpf.c: {error:#}; if headers are missing: {INSTALL}"
            )
        })
}

/// Debian keeps `asm/types.h` apart for each architecture, where clang for BPF does not look.
fn kernel_headers() -> Option<PathBuf> {
    let architecture = env::var("CARGO_CFG_TARGET_ARCH").ok()?;
    let path = PathBuf::from(format!("/usr/include/{architecture}-linux-gnu"));
    path.is_dir().then_some(path)
}
