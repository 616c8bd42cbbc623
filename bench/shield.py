"""What a packet costs in the XDP shield: the kernel runs the program a million times on each kind of
packet (`BPF_PROG_TEST_RUN`), beside a program that only drops. See ebpf/examples/shield_bench.rs.
"""

import json
import subprocess
from pathlib import Path

from text import aligned

PROGRAM = Path("target/release/examples/shield_bench")


def measure():
    """By kind of packet: time by itself, above a drop, and of the drop [ns]."""
    done = subprocess.run([PROGRAM, "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{PROGRAM}: exit {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def table(costs):
    """A row for each kind of packet; what changes its packet cannot run by itself."""
    rows = [["the shield, a packet [ns]", "alone", "above a drop", "a drop"]]
    for each in costs:
        alone = "-" if each["alone_ns"] is None else f"{each['alone_ns']:,}"
        rows.append([each["name"], alone, f"{each['net_ns']:,}", f"{each['drop_ns']:,}"])
    return aligned(rows)
