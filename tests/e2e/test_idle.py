"""An edge with nothing to do leaves its core alone, and is there at once when something comes."""

import statistics
import time
from pathlib import Path

from harness.case import EdgeCase
from harness.driver import Dpdk
from harness.edge import service
from harness.sockets import EchoServer, receive_exactly

PORT = 9000

# How long the edge is watched while nothing comes [seconds], and what it may take of a core. Of some
# times the least: what others do to the caches costs it time as well.
WATCHED = 3.0
WATCHED_TIMES = 3
IDLE_SHARE_MOST = 0.03

# Messages in a round, with pauses between them that let any lane fall asleep [seconds].
MESSAGES = 60
PAUSE = 0.01
# Rounds with both policies, in turn: what else the machine does comes and goes, and with it more of
# them.
ROUNDS = 3
ROUNDS_MOST = 8
# What sleeping may cost a message and its echo together [seconds]: twice what it does, as others
# use the machine, and less than naps in between would.
EXTRA_MOST = 200e-6
# Where nobody wakes it, the engine looks after an eighth of the pause at the latest, at the echo at
# once. Time to spare for the machine.
BLIND_ECHO_MOST = 4e-3

# The fewest that two ports of two queues each run with.
FRAMES_OF_FOUR_QUEUES = 20480


class IdleCase(EdgeCase):
    time_limit = 120

    def setUp(self):
        super().setUp()
        self.needs("configuration")
        server = EchoServer(self.listen("origin", PORT))
        self.addCleanup(server.close)

    def echoes(self):
        """Times that messages through the edge and back take, each after a pause [seconds]."""
        client = self.connect(PORT)
        times = []
        for _ in range(MESSAGES):
            time.sleep(PAUSE)
            times.append(self.echo(client))
        client.close()
        return times

    def echo(self, client):
        began = time.perf_counter()
        client.sendall(b"m")
        receive_exactly(client, 1)
        return time.perf_counter() - began

    def assert_idle(self, edge):
        """With a connection that nothing comes by."""
        client = self.connect(PORT)
        self.echo(client)
        share = 1.0
        for _ in range(WATCHED_TIMES):
            share = min(share, share_of_core(edge.pid))
            if share < IDLE_SHARE_MOST:
                break
        client.close()
        print(f"    idle: {share:.2%} of a core")
        self.assertLess(share, IDLE_SHARE_MOST)


class Asleep(IdleCase):
    def test_nothing_to_do_takes_next_to_nothing(self):
        with self.edge(service(PORT)) as edge:
            self.assert_idle(edge)

    def test_who_sleeps_is_nearly_as_fast_as_who_spins(self):
        """Its median against the other's fastest tenth: whoever spins on a core that others want is
        often kept from it. Of both the best round, as others only ever add."""
        self.needs("a core to spare")
        self.needs("a wake by each packet")
        spinning = sleeping = 1.0
        for round in range(1, ROUNDS_MOST + 1):
            with self.edge(service(PORT), idle="spin"):
                fastest_tenth, *_ = statistics.quantiles(self.echoes(), n=10)
            with self.edge(service(PORT)):
                median = statistics.median(self.echoes())
            spinning, sleeping = min(spinning, fastest_tenth), min(sleeping, median)
            if round >= ROUNDS and sleeping - spinning < EXTRA_MOST:
                break
        print(f"    echo: {spinning * 1e6:.0f} us spinning, {sleeping * 1e6:.0f} us sleeping")
        self.assertLess(sleeping - spinning, EXTRA_MOST)


class Blind(IdleCase):
    """Of several queues of a device of DPDK's, none wakes the engine."""

    drivers = ("dpdk",)

    @classmethod
    def make_driver(cls, queues):
        del queues
        return Dpdk(queues=2)

    def test_device_that_cannot_wake_the_engine_is_looked_at_now_and_then(self):
        with self.edge(service(PORT), frames=FRAMES_OF_FOUR_QUEUES) as edge:
            self.assert_idle(edge)
            median = statistics.median(self.echoes())
        print(f"    echo: {median * 1e6:.0f} us, nobody waking the engine")
        self.assertLess(median, BLIND_ECHO_MOST)


def share_of_core(pid):
    """What a process takes of one core, in user and system mode, while it is watched."""
    before = processor_time(pid)
    time.sleep(WATCHED)
    return (processor_time(pid) - before) / WATCHED


def processor_time(pid):
    """What the threads of a process have taken since they started [seconds]."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9
