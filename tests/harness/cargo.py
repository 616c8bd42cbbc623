"""Builds the workspace and runs its own tests, counting them one by one.

The test binaries are started directly, not by `cargo test`: cargo builds as the user, while tests
that touch namespaces or XDP need root. A test that lacks something prints `SKIP reason` and
returns; for libtest that is a pass, here it is not.
"""

import json
import os
import re
import subprocess
from pathlib import Path

from .privileges import as_caller

_RESULT = re.compile(r"test result: \w+\. (\d+) passed; (\d+) failed")
_IGNORED = re.compile(r"^test (.+) \.\.\. ignored(?:, (.*))?$", re.MULTILINE)
_SKIP = re.compile(r"\bSKIP (.+)$", re.MULTILINE)


class BuildError(Exception):
    """The build failed; cargo has said why."""


def build_release():
    """Builds the commands and programs that end-to-end tests run."""
    _cargo("build", "--release", *_members(), "--bins", "--examples")


def run_tests(tally):
    """Runs all unit, integration and documentation tests."""
    binaries = [
        *_test_binaries(*_members()),
        *_test_binaries(*_PLANTED),
        *_test_binaries(*_LOOM, **_LOOM_BUILD),
    ]
    for name, executable, folder in binaries:
        environment = os.environ | {"CARGO_MANIFEST_DIR": str(folder), "RUST_BACKTRACE": "1"}
        command = [executable, "--nocapture"]
        _count(tally, name, subprocess.run(command, cwd=folder, env=environment, **_CAPTURE))
    documentation = ["cargo", "test", *_members(), "--doc"]
    _count(tally, "documentation", subprocess.run(documentation, **_CAPTURE, **as_caller()))


def has_dpdk():
    """Whether what is built here can drive ports through DPDK."""
    return "dpdk" in _members()


def _members():
    """The arguments for cargo that choose what can be built here."""
    done = subprocess.run("scripts/members", capture_output=True, text=True, check=True)
    return done.stdout.split()


# What looks for faults that are planted in the engine is built with them, apart from all else.
_PLANTED = ["-p", "ringroad-simulation", "--features", "planted-faults", "--test", "planted"]

# Threads whose every interleaving is tried. Its flag is one for all that is built: a folder of its own
# keeps the rest from being built again.
_LOOM = ["-p", "ringroad-ring", "--lib", "--target-dir", "target/loom"]
# Building takes longer than running: as little of it as can be.
_LOOM_BUILD = {
    "RUSTFLAGS": "--cfg loom",
    "CARGO_PROFILE_DEV_OPT_LEVEL": "0",
    "CARGO_PROFILE_DEV_DEBUG": "0",
}


def _test_binaries(*which, **environment):
    """Builds the test binaries that cargo's arguments choose; yields name, path, package folder."""
    arguments = ["test", *which, "--no-run", "--message-format=json"]
    messages = _cargo(*arguments, capture=True, **environment)
    for message in map(json.loads, messages.splitlines()):
        if message.get("executable") and message["profile"]["test"]:
            folder = Path(message["manifest_path"]).parent
            target = message["target"]
            name = f"{folder.name} {target['kind'][0]} {target['name']}"
            yield name, message["executable"], folder


def _count(tally, name, done):
    results = [tuple(map(int, found)) for found in _RESULT.findall(done.stdout)]
    passed, failed = sum(each[0] for each in results), sum(each[1] for each in results)
    skips = _SKIP.findall(done.stdout)
    passed -= len(skips)
    tally.add_passed(passed)
    for reason in skips:
        tally.add_skipped(name, reason.strip())
    for test, reason in _IGNORED.findall(done.stdout):
        tally.add_skipped(f"{name}: {test}", reason or "ignored")
    if done.returncode != 0:
        print(done.stdout, flush=True)
        # A binary that crashed has not named the test; its crash is a failure of its own.
        for test in _failed_tests(done.stdout) or [f"exit {done.returncode}"]:
            tally.add_failed(f"{name}: {test}")
    if passed or failed or skips:
        print(f"  {name}: {passed} passed, {failed} failed, {len(skips)} skipped", flush=True)


def _failed_tests(output):
    """The names in libtest's closing list; other output may be mixed into its running one."""
    _, _, closing = output.rpartition("\nfailures:\n")
    return re.findall(r"^    (\S.*)$", closing, re.MULTILINE)


def _cargo(*arguments, capture=False, **environment):
    stdout = subprocess.PIPE if capture else None
    env = os.environ | environment
    done = subprocess.run(["cargo", *arguments], stdout=stdout, text=True, env=env, **as_caller())
    if done.returncode != 0:
        raise BuildError(f"cargo {' '.join(arguments)}: exit {done.returncode}")
    return done.stdout


_CAPTURE = {
    "stdout": subprocess.PIPE,
    "stderr": subprocess.STDOUT,
    "stdin": subprocess.DEVNULL,
    "text": True,
    "errors": "replace",
}
