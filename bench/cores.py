"""What more cores bring: ringroad on one core, as a pipeline on two, and as two lanes.

Once in the lab, where two cores are all there are, for the edge and for its peers: see docs/benchmarks.md.
And once in memory, without a kernel: see engine/examples/arrangement_bench.
"""

from contextlib import ExitStack
from pathlib import Path

from contenders import Proxy
from examples import measured_by
from ground import EDGE_CORE, Ground
from harness.edge import RINGROAD, Haproxy, Ringroad
from measures import keep_alive, new_connections, stream_down, stream_up
from text import aligned

# The program takes some ten seconds on cores that do nothing else [s].
LONGEST = 300

MEASURES = (keep_alive, new_connections, stream_up, stream_down)

# What the others are compared with.
BASE = "one core"

_BOTH = [0, EDGE_CORE]
ONE_CORE = Proxy(Ringroad, RINGROAD, BASE)
PIPELINE = Proxy(
    Ringroad, RINGROAD, "pipeline", engine={"arrangement": "pipeline", "cores": _BOTH}
)
LANES = Proxy(
    Ringroad, RINGROAD, "two lanes", engine={"arrangement": "run-to-completion", "cores": _BOTH}
)
HAPROXY = Proxy(Haproxy, Path("/usr/sbin/haproxy"))

# Each with the queues of a cable that it is measured on.
CONTENDERS = {ONE_CORE: 1, PIPELINE: 1, LANES: 2, HAPROXY: 1}


def measure(contenders, rounds, take):
    """Calls `take` with a ground, a measure and a contender, in turns: A B C A B C."""
    with ExitStack() as open_grounds:
        grounds = {
            queues: open_grounds.enter_context(Ground(queues=queues))
            for queues in sorted(set(CONTENDERS.values()))
        }
        for number in range(rounds):
            print(f"cores, round {number + 1} of {rounds}", flush=True)
            for each in MEASURES:
                for contender in contenders:
                    take(grounds[CONTENDERS[contender]], each, contender)


def measure_in_memory():
    """By arrangement: packets per second, and the share of the time that each core was busy."""
    return measured_by("arrangement_bench", within=LONGEST)


def table_in_memory(rows):
    """A row for each arrangement, beside the first."""
    base = rows[0]["packets_per_second"]
    shown = [["in memory", "Mpps", "by the first", "per core", "ns", "ns of a core", "busy"]]
    for each in rows:
        rate, cores = each["packets_per_second"], len(each["busy"])
        shown.append(
            [
                each["arrangement"],
                f"{rate / 1e6:.2f}",
                f"{rate / base:.2f}",
                f"{rate / cores / 1e6:.2f}",
                f"{1e9 / rate:.0f}",
                f"{cores * 1e9 / rate:.0f}",
                ", ".join(f"{share:.0%}" for share in each["busy"]),
            ]
        )
    return aligned(shown)
