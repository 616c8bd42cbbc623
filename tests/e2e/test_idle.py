"""An edge with nothing to do leaves its core alone, and is there at once when something comes."""

import os
import statistics
import time
from pathlib import Path

from harness.case import EdgeCase
from harness.driver import Dpdk
from harness.edge import service
from harness.sockets import EchoServer, receive_exactly

PORT = 9000

# How long the edge is watched while nothing comes [seconds], and what it may take of a core.
WATCHED = 3.0
IDLE_SHARE_MOST = 0.03

# Messages in a round, with pauses between them that let any lane fall asleep [seconds].
MESSAGES = 60
PAUSE = 0.01
# Rounds with each of both policies, in turn: what else the machine does comes and goes.
ROUNDS = 3
# What sleeping may cost one message and its echo on a quiet machine: four packets that each wake the
# engine within 100 us at most, most of which overlaps. A shared machine has as much again.
EXTRA_MOST = 2 * 100e-6
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

    def round_trip(self, messages):
        """Median time that a message through the edge and back takes after a pause [seconds]."""
        client = self.connect(PORT)
        times = []
        for _ in range(messages):
            time.sleep(PAUSE)
            times.append(self.echo(client))
        client.close()
        return statistics.median(times)

    def echo(self, client):
        began = time.perf_counter()
        client.sendall(b"m")
        receive_exactly(client, 1)
        return time.perf_counter() - began

    def assert_idle(self, edge):
        """With a connection that nothing comes by."""
        client = self.connect(PORT)
        self.echo(client)
        share = share_of_core(edge.pid)
        client.close()
        print(f"    idle: {share:.2%} of a core")
        self.assertLess(share, IDLE_SHARE_MOST)


class Asleep(IdleCase):
    def test_nothing_to_do_takes_next_to_nothing(self):
        with self.edge(service(PORT)) as edge:
            self.assert_idle(edge)

    def test_who_sleeps_is_nearly_as_fast_as_who_spins(self):
        """The best of some rounds each, as other work on the machine only ever adds."""
        medians = {"spin": [], "adaptive": []}
        for _ in range(ROUNDS):
            for idle, times in medians.items():
                with self.edge(service(PORT), idle=idle):
                    times.append(self.round_trip(MESSAGES))
        spin, adaptive = min(medians["spin"]), min(medians["adaptive"])
        print(f"    echo: {spin * 1e6:.0f} us spinning, {adaptive * 1e6:.0f} us sleeping")
        self.assertLess(adaptive - spin, EXTRA_MOST)


class SeveralQueues(Dpdk):
    """Of several queues of a device, none wakes the engine."""

    def ports(self, *devices, **named):
        return [{**port, "queues": 2} for port in super().ports(*devices, **named)]


class Blind(IdleCase):
    drivers = ("dpdk",)

    @classmethod
    def make_driver(cls):
        return SeveralQueues()

    def test_device_that_cannot_wake_the_engine_is_looked_at_now_and_then(self):
        with self.edge(service(PORT), frames=FRAMES_OF_FOUR_QUEUES) as edge:
            self.assert_idle(edge)
            median = self.round_trip(MESSAGES)
        print(f"    echo: {median * 1e6:.0f} us, nobody waking the engine")
        self.assertLess(median, BLIND_ECHO_MOST)


def share_of_core(pid):
    """What a process takes of one core, in user and system mode, while it is watched."""
    before = processor_time(pid)
    time.sleep(WATCHED)
    return (processor_time(pid) - before) / WATCHED


def processor_time(pid):
    """What a process has taken since its start [seconds]."""
    # proc(5): behind the name, which may hold anything, utime is field 14 and stime field 15.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
