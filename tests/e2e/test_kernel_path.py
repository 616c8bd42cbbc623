"""Linux as neighbour and as fallback: what is not the edge's never notices it, and when the engine
is full, dead or hung, new connections reach whatever listens in the kernel."""

import signal
import socket
import statistics
import time
from contextlib import ExitStack

from harness.arrangement import everywhere
from harness.bystanders import GAP_MOST, Typist, ping_pauses
from harness.case import EdgeCase
from harness.driver import xdp_attached
from harness.edge import service
from harness.greeting import GreetingCase
from harness.lab import EDGE_V4
from harness.sockets import EchoServer, receive_exactly
from harness.threads import halted, polling_threads

PORT = 80
SSH_LIKE_PORT = 2222


class Fallback(GreetingCase):
    @everywhere
    def test_kernel_serves_what_exceeds_max_connections(self):
        self.needs("limits for all")
        self.greet("edge", b"kernel")
        with self.edge(service(PORT, max_connections=4)) as edge:
            self.assertEqual([self.served_by() for _ in range(6)], ["engine"] * 4 + ["kernel"] * 2)
            (web,) = edge.stats()["services"]
            self.assertEqual(web["connections"]["active"], 4)
            self.assertGreaterEqual(web["connections"]["fell_back"], 2)
            self.close_clients()

    def test_reset_refuses_what_exceeds_max_connections(self):
        self.needs("limits for all")
        self.greet("edge", b"kernel")
        with self.edge(service(PORT, max_connections=2, fallback="reset")) as edge:
            self.assertEqual([self.served_by() for _ in range(2)], ["engine"] * 2)
            for _ in range(3):
                self.assertRaises(ConnectionRefusedError, self.connect, PORT)
            self.assertEqual(self.counted(edge), {"refused": 3, "fell_back": 0})
            self.close_clients()

    def test_drop_leaves_what_exceeds_max_connections_unanswered(self):
        self.needs("limits for all")
        self.greet("edge", b"kernel")
        with self.edge(service(PORT, max_connections=2, fallback="drop")) as edge:
            self.assertEqual([self.served_by() for _ in range(2)], ["engine"] * 2)
            # Time for the SYN to be sent again: the repetition is not the kernel's either.
            self.assertRaises(TimeoutError, self.connect, PORT, timeout=1.5)
            self.assertEqual(self.counted(edge), {"refused": 2, "fell_back": 0})
            self.close_clients()

    def test_reset_refuses_while_draining(self):
        self.greet("edge", b"kernel")
        with self.doomed_edge(service(PORT, fallback="reset"), drain_timeout="30s") as edge:
            self.assertEqual(self.served_by(), "engine")
            edge.signal(signal.SIGTERM)
            until = time.monotonic() + 5
            while time.monotonic() < until:
                try:
                    self.assertEqual(self.served_by(), "engine")
                except ConnectionRefusedError:
                    break
            else:
                self.fail("new connections are still taken 5 s after SIGTERM")
            self.assertRaises(ConnectionRefusedError, self.connect, PORT)
            self.close_clients()

    def counted(self, edge):
        (web,) = edge.stats()["services"]
        return {name: web["connections"][name] for name in ("refused", "fell_back")}

    def test_kernel_serves_within_200_ms_of_a_killed_engine(self):
        self.needs("ports without an engine")
        self.greet("edge", b"kernel")
        with self.doomed_edge(service(PORT)) as edge:
            self.assertEqual(self.served_by(), "engine")
            edge.signal(signal.SIGKILL)
            took = self.time_until_served_by("kernel")
            print(f"    served {took * 1000:.0f} ms after SIGKILL")
            self.assertLess(took, 0.2)
            for interface in ("wan0", "lan0"):
                self.assertIsNone(xdp_attached(self.lab, interface))

    def test_engine_starts_again_after_it_was_killed(self):
        with self.doomed_edge(service(PORT)) as edge:
            self.assertEqual(self.served_by(), "engine")
            edge.kill()
        with self.edge(service(PORT)):
            self.assertEqual(self.served_by(), "engine")
            self.close_clients()

    @everywhere
    def test_kernel_serves_while_the_engine_hangs(self):
        self.needs("ports without an engine")
        self.greet("edge", b"kernel")
        with self.doomed_edge(service(PORT), heartbeat_limit="100ms") as edge:
            self.assertEqual(self.served_by(), "engine")
            edge.signal(signal.SIGSTOP)
            took = self.time_until_served_by("kernel")
            print(f"    served {took * 1000:.0f} ms after SIGSTOP")
            self.assertLess(took, 0.1 + 0.2)
            edge.signal(signal.SIGCONT)
            self.time_until_served_by("engine")

    @everywhere
    def test_kernel_keeps_what_a_hung_engine_had_been_asked_for_first(self):
        """The first SYN comes to lie with the engine just after it hung, the next reaches Linux."""
        self.needs("ports without an engine")
        self.greet("edge", b"kernel")
        with self.edge(service(PORT), heartbeat_limit="300ms") as edge:
            self.assertEqual(self.served_by(), "engine")
            with ExitStack() as halts:
                for tid in polling_threads(edge.pid).values():
                    halts.enter_context(halted(tid))
                began = time.monotonic()
                self.assertEqual(self.served_by(), "kernel")
                # RFC 6298 §2.1: a SYN is sent again after a second.
                self.assertGreater(time.monotonic() - began, 0.9, "it was Linux's at once")
            old = self.clients[-1]
            self.time_until_served_by("engine")
            self.assertGreater(edge.stats()["ledger"]["dropped"].get("worker_behind", 0), 0)
            self.assert_echoes(old)
            self.close_clients()

    @everywhere
    def test_connections_of_the_kernel_go_on_through_start_run_and_stop(self):
        self.needs("ports without an engine")
        before = {}
        for family in (socket.AF_INET, socket.AF_INET6):
            server = EchoServer(self.listen("edge", PORT, family), b"kernel")
            self.addCleanup(server.close)
            before[family] = self.connect(PORT, family)
            self.assertEqual(receive_exactly(before[family], 6), b"kernel")
        with self.edge(service(PORT)) as edge:
            for family, sock in before.items():
                self.assert_echoes(sock)
                self.clients.append(self.connect(PORT, family))
                self.assertEqual(receive_exactly(self.clients[-1], 6), b"engine")
                self.assert_echoes(sock)
            (web,) = edge.stats()["services"]
            self.assertEqual(web["connections"]["fell_back"], 0)
            self.close_clients()
        for sock in before.values():
            self.assert_echoes(sock)
            sock.close()

    def test_kernel_serves_after_a_clean_stop(self):
        self.needs("ports without an engine")
        self.greet("edge", b"kernel")
        with self.edge(service(PORT)):
            self.assertEqual(self.served_by(), "engine")
            self.close_clients()
        self.assertEqual(self.served_by(timeout=0.5), "kernel")


class Bystanders(EdgeCase):
    def test_ssh_and_ping_never_notice_start_stop_or_death(self):
        self.needs("ports without an engine")
        server = EchoServer(self.listen("edge", SSH_LIKE_PORT))
        self.addCleanup(server.close)
        typist = Typist(self.connect(SSH_LIKE_PORT))
        # iputils: `-D` stamps each reply with its time; `-i` below 2 ms is root's.
        ping = self.spawn("client", "ping", "-D", "-n", "-i", "0.02", EDGE_V4)
        with self.edge(service(PORT)):
            time.sleep(0.5)
        with self.doomed_edge(service(PORT)) as edge:
            time.sleep(0.5)
            edge.kill()
            time.sleep(0.5)
        ping.signal(signal.SIGINT)
        ping.wait(5)
        gaps = typist.finish()
        pauses = ping_pauses(ping.output())
        longest = max(gaps) * 1000, max(pauses) * 1000
        print("    longest pause: echo {:.0f} ms, ping {:.0f} ms".format(*longest))
        self.assertGreater(len(gaps), 100)
        self.assertGreater(len(pauses), 50)
        self.assertLess(max(gaps), GAP_MOST)
        self.assertLess(max(pauses), GAP_MOST)
        self.assertLess(statistics.median(gaps), 0.01)
