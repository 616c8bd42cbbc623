"""Several cores: one that stands still takes nobody else with it, what comes to the wrong one is
handed on, and none asks Linux for anything but packets."""

import select
import shutil
import time

from harness.bystanders import GAP_MOST, Typist
from harness.case import EdgeCase
from harness.edge import RINGROAD, service
from harness.greeting import GreetingCase
from harness.lab import EDGE_V4
from harness.sockets import EchoServer, receive_exactly
from harness.threads import CallCount, halted, polling_threads, threads

PORT = 80
SSH_LIKE_PORT = 2222
HELLO = 'server { listen 80; location / { return 200 "hello\\n"; } }'

# A thread that stands still is told of within this time [seconds].
TOLD_WITHIN = 1.0
# How long it stands still [seconds].
STANDSTILL = 1.5
# Who asks for figures meanwhile waits no longer than this [seconds]; the engine's own limit is 2.
ANSWER_WITHIN = 5.0

# So many connections never happen to be one lane's alone.
CONNECTIONS = 32


class StandstillCase(GreetingCase):
    """One thread stands still, the others go on."""

    def still(self, edge, name):
        """Has a thread stand still within a block, of which standard error tells."""
        return halted(threads(edge.pid)[name])

    def expect_said(self, edge, *words, seconds=TOLD_WITHIN):
        """Waits until standard error has a line with all these words."""
        until = time.monotonic() + seconds
        while not any(all(w in line for w in words) for line in edge.errors().splitlines()):
            if time.monotonic() > until:
                self.fail(f"{words} not said within {seconds} s, but\n{edge.errors()}")
            time.sleep(0.01)


class Worker(StandstillCase):
    arrangements = ("pipeline",)

    def test_linux_serves_while_a_worker_stands_still(self):
        """It takes no new connections, the core with the devices sees to that; its old ones wait."""
        self.greet("edge", b"kernel")
        ssh = EchoServer(self.listen("edge", SSH_LIKE_PORT))
        self.addCleanup(ssh.close)
        with self.edge(service(PORT)) as edge:
            self.assertEqual(self.served_by(), "engine")
            old, typist = self.clients[0], Typist(self.connect(SSH_LIKE_PORT))
            with self.still(edge, "worker-0"):
                began = time.monotonic()
                self.expect_said(edge, "worker-0", "has not turned")
                self.time_until_served_by("kernel", seconds=TOLD_WITHIN)
                time.sleep(max(0, began + STANDSTILL - time.monotonic()))
                self.assertEqual(self.served_by(), "kernel")
                self.assert_echoes(self.clients[-1])
            gaps = typist.finish()
            self.assertLess(max(gaps), GAP_MOST)
            self.expect_said(edge, "worker-0", "turns again")
            self.time_until_served_by("engine")
            self.assert_echoes(old)
            self.close_clients()

    def test_who_asks_for_figures_is_told_who_stands_still(self):
        with self.edge(service(PORT)) as edge:
            with self.still(edge, "worker-0"):
                command = (str(RINGROAD), "stats", "--socket", str(edge.socket))
                asking = self.spawn("edge", *command)
                self.assertEqual(asking.wait(ANSWER_WITHIN), 1, asking.output())
                (complaint,) = asking.errors().splitlines()
                self.assertIn("worker-0 has not answered", complaint)
            self.assertEqual(edge.stats()["services"][0]["name"], "web")


class Lanes(StandstillCase):
    arrangements = ("lanes",)

    def test_connections_of_a_lane_go_on_while_another_stands_still(self):
        with self.edge(service(PORT)) as edge:
            for _ in range(CONNECTIONS):
                self.assertEqual(self.served_by(), "engine")
            waiting = set(self.clients)
            with self.still(edge, "lane-1"):
                self.expect_said(edge, "lane-1", "has not turned")
                for sock in self.clients:
                    sock.sendall(b"m")
                until = time.monotonic() + STANDSTILL
                while (seconds := until - time.monotonic()) > 0:
                    for sock in select.select(list(waiting), (), (), seconds)[0]:
                        self.assertEqual(receive_exactly(sock, 1), b"m")
                        waiting.remove(sock)
                self.assertTrue(0 < len(waiting) < CONNECTIONS, f"{len(waiting)} wait")
            for sock in waiting:
                self.assertEqual(receive_exactly(sock, 1), b"m")
            self.expect_said(edge, "lane-1", "turns again")
            for sock in self.clients:
                self.assert_echoes(sock)
            self.close_clients()

    def test_what_comes_to_the_wrong_lane_is_handed_over(self):
        """The lab's Linux does not know whose a connection is, and spreads them over the queues."""
        with self.edge(service(PORT)) as edge:
            for _ in range(CONNECTIONS):
                self.assertEqual(self.served_by(), "engine")
                self.assert_echoes(self.clients[-1])
            self.assertGreater(edge.stats()["ledger"]["handed_over"], 0)
            self.close_clients()


class Calls(EdgeCase):
    """Who polls without a pause has no time to ask Linux for anything but packets."""

    arrangements = ("run-to-completion", "pipeline")

    # What a thread with devices calls for each burst: AF_XDP's sockets are kicked. TAPs are read and
    # written, DPDK's and ours to Linux; of packets DPDK's tell by a signal.
    of_devices = {
        "af_xdp": {"sendto", "recvfrom"},
        "dpdk": {"read", "readv", "write", "writev", "rt_sigreturn"},
    }
    # What else is called while it is watched: the control plane is asked for a neighbour, say.
    others_most = 100

    def test_none_but_for_packets(self):
        if not shutil.which("strace"):
            self.skipTest("strace is not installed")
        self.nginx(HELLO)
        with self.edge(service(PORT), idle="spin") as edge:
            load = self.spawn("client", "wrk", "-t1", "-c16", "-d4s", f"http://{EDGE_V4}/")
            polling = polling_threads(edge.pid).items()
            counts = {name: CallCount(self.spawn, tid, self.folder) for name, tid in polling}
            time.sleep(1.0)
            calls = {name: count.finish() for name, count in counts.items()}
            self.assertIn("Requests/sec", load.expect_success(20))
        print(f"    {calls}")
        for name, made in calls.items():
            allowed = set() if name.startswith("worker-") else self.of_devices[self.driver_name]
            others = {call: count for call, count in made.items() if call not in allowed}
            self.assertLess(sum(others.values()), self.others_most, f"{name}: {others}")
