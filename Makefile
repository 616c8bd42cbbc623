# One door for people and CI. Run as yourself or as root: what needs privileges asks sudo for them,
# and what is built stays yours.

SHELL := /bin/bash
export PATH := $(HOME)/.cargo/bin:$(PATH)

# How long each fuzz target runs in `make fuzz` [seconds].
FUZZ_SECONDS ?= 60
# How long `make soak` runs [seconds].
SOAK_SECONDS ?= 600
# For example BENCH="--quick", TESTS="--e2e test_relay" or TESTS="--e2e --arrangement pipeline".
BENCH ?=
TESTS ?=

SCRIPTS := .ci/run fuzz/run scripts/deps scripts/demo scripts/members scripts/prometheus

.PHONY: help deps build demo test lint bench goodput fuzz soak clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## install what is missing from Debian's packages
	@scripts/deps

build: deps ## release build
	cargo build --release $$(scripts/members) --bins --examples

demo: build ## from a fresh machine to traffic, in a lab of its own
	@scripts/demo

test: deps ## every test
	@tests/run $(TESTS)

lint: deps ## formatting, clippy, documentation and shell scripts, warnings denied
	cargo fmt --all --check
	cargo clippy $$(scripts/members) --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc $$(scripts/members) --no-deps
	shellcheck $(SCRIPTS)

bench: deps ## every measurement against its peers, side by side in one run
	@bench/run $(BENCH)

goodput: deps ## what TCP makes of paths in simulation, written to what is kept of it
	cargo run --release -p ringroad-simulation --bin goodput -- --write

fuzz: deps ## each fuzz target for a while (cargo-fuzz and a nightly toolchain)
	@command -v cargo-fuzz >/dev/null || \
		{ echo "make fuzz: cargo-fuzz is missing; install it with: cargo install cargo-fuzz" >&2; exit 1; }
	@fuzz/run $(FUZZ_SECONDS)

soak: deps ## the engine on threads of its own for ten minutes (SOAK_SECONDS=n)
	RINGROAD_SOAK_SECONDS=$(SOAK_SECONDS) \
		cargo test --release -p ringroad-engine --test soak -- --nocapture

clean: ## remove all that was built
	cargo clean
