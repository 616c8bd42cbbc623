"""How the engine's stages lie on its cores, and what of the network it takes to have them so.

The first is what most users have, and what all tests run in. Of the others a run of everything
tries what `everywhere` marks: the code is the same but for the way that packets and commands take
between cores, so what is marked is what takes each of these ways.
"""

from dataclasses import dataclass, field

from .driver import DRIVERS


@dataclass(frozen=True)
class Arrangement:
    """One way to lay the engine out."""

    name: str
    # Settings of the configuration's `engine`. What a test says itself comes first.
    engine: dict = field(default_factory=dict)
    # Of each port, and of the cables.
    queues: int = 1
    drivers: tuple = tuple(DRIVERS)
    # Those over which a run of everything tries what `everywhere` marks.
    tried_over: tuple = tuple(DRIVERS)
    # What an engine that lies so cannot promise, and why.
    lacks: dict = field(default_factory=dict)


RUN_TO_COMPLETION = Arrangement("run-to-completion")

# Cores that all machines have which tests are run on. Some have no others.
_TWO = {"cores": [0, 1]}
_NONE_TO_SPARE = {"a core to spare": "where all cores spin, who waits for an echo waits for a core"}

ARRANGEMENTS = {
    each.name: each
    for each in (
        RUN_TO_COMPLETION,
        # One core has the devices, the other the connections.
        Arrangement("pipeline", {"arrangement": "pipeline", **_TWO}, lacks=_NONE_TO_SPARE),
        # Two cores that have a queue of each port, and connections of their own.
        Arrangement(
            "lanes",
            {"arrangement": "run-to-completion", **_TWO},
            queues=2,
            tried_over=("af_xdp",),  # What differs over DPDK has tests of its own.
            lacks={
                "limits for all": "each lane has its share of a limit, and of what comes",
                **_NONE_TO_SPARE,
            },
        ),
        # One core for all of it, several queues.
        Arrangement("queues", queues=2),
    )
}


def everywhere(test):
    """Has a test, or all of a class, run in every arrangement also when none is asked for."""
    test.everywhere = True
    return test


def is_about(test, driver, arrangement, whole):
    """Whether a test runs over this driver in this arrangement; `whole`: not a choice of them."""
    # What stands for a file that cannot be read has no drivers: it fails with any.
    drivers = getattr(test, "drivers", DRIVERS)
    arrangements = getattr(test, "arrangements", ARRANGEMENTS)
    if driver not in drivers or arrangement.name not in arrangements:
        return False
    method = getattr(test, test._testMethodName)
    chosen = getattr(test, "everywhere", False) or getattr(method, "everywhere", False)
    chosen = chosen and driver in arrangement.tried_over
    only_here = RUN_TO_COMPLETION.name not in arrangements
    return whole or chosen or only_here or arrangement is RUN_TO_COMPLETION
