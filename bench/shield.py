"""What a packet costs in the XDP shield: the kernel runs the program a million times on each kind of
packet (`BPF_PROG_TEST_RUN`), beside a program that only drops. See ebpf/examples/shield_bench.rs.
"""

from examples import measured_by
from text import aligned


def measure():
    """By kind of packet: time by itself, above a drop, and of the drop [ns]."""
    return measured_by("shield_bench")


def table(costs):
    """A row for each kind of packet; what changes its packet cannot run by itself."""
    rows = [["the shield, a packet [ns]", "alone", "above a drop", "a drop"]]
    for each in costs:
        alone = "-" if each["alone_ns"] is None else f"{each['alone_ns']:,}"
        rows.append([each["name"], alone, f"{each['net_ns']:,}", f"{each['drop_ns']:,}"])
    return aligned(rows)
