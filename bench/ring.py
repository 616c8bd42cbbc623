"""What the ring costs that stages hand frames over by: nanoseconds for each item on one core and between two,
beside rtrb's and crossbeam's. See ring/examples/ring_bench.rs.
"""

from examples import measured_by
from text import aligned


def measure():
    """What was measured, with which bursts [items], of which ring, and the median [ns each]."""
    return measured_by("ring_bench")


def table(figures):
    """A row for each thing that is measured, a column for each ring."""
    rings = list(dict.fromkeys(each["ring"] for each in figures))
    nanos = {(each["what"], each["burst"], each["ring"]): each["ns"] for each in figures}
    rows = [["rings [ns an item]", *rings]]
    for what, burst in dict.fromkeys((each["what"], each["burst"]) for each in figures):
        title = f"{what}, bursts of {burst}" if burst > 1 else f"{what}, one by one"
        rows.append([title, *(f"{nanos[what, burst, ring]:.1f}" for ring in rings)])
    return aligned(rows)
