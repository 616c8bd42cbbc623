"""What TCP costs by itself, in memory: nanoseconds for each segment and acknowledgment of one leg with few
flows and with many, and what an idle connection takes. See engine/examples/tcp_cost.
"""

from examples import measured_by
from text import aligned


def measure():
    """`costs`: by what is done, time for each number of flows [ns]; `idle`: of connections that do nothing
    [octets, ns]."""
    return measured_by("tcp_cost")


def table(measured):
    """A row for each thing that is done; then what an idle connection takes."""
    costs, idle = measured["costs"], measured["idle"]
    flows = list(costs[0]["ns"])
    rows = [["TCP, one leg [ns]", *(f"{int(number):,} flows" for number in flows)]]
    for each in costs:
        rows.append([each["name"], *(f"{each['ns'][number]:,.0f}" for number in flows)])
    asleep = [
        ["an idle connection, both legs", ""],
        ["octets, by the tables' sizes", f"{idle['octets_max']:,}"],
        [f"octets, resident, of {idle['connections']:,}", f"{idle['octets']:,}"],
        ["to let it sleep [ns]", f"{idle['sleep_ns']:,.0f}"],
        ["a small segment through the lane, awake [ns]", f"{idle['awake_ns']:,.0f}"],
        ["the same, waking it [ns]", f"{idle['woken_ns']:,.0f}"],
    ]
    return aligned(rows) + "\n\n" + aligned(asleep)
