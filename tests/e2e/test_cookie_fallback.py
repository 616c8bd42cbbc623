"""SYN cookies where Linux stands in for the engine: a listener there accepts what the shield answered,
with all that the client offered, and without connection tracking."""

import signal
import socket
import time

from harness.edge import service
from harness.greeting import GreetingCase
from harness.handmade import HandmadeClient
from harness.sockets import receive_exactly
from harness.threads import polling_threads, threads

PORT = 80
ALWAYS = {"syn_cookies": "always"}


class CookieFallback(GreetingCase):
    def setUp(self):
        super().setUp()
        self.needs("shield")
        for family in (socket.AF_INET, socket.AF_INET6):
            self.greet("edge", b"kernel", family=family)

    def handmade(self):
        client = HandmadeClient(self.lab, PORT)
        self.addCleanup(client.close)
        return client

    def hang(self, edge):
        edge.signal(signal.SIGSTOP)
        self.time_until_served_by("kernel")

    def answered(self, edge):
        return edge.stats()["shield"]["answered"]

    def fell_back(self, edge):
        return edge.stats()["services"][0]["connections"]["fell_back"]

    def test_what_was_answered_before_the_engine_hung_is_accepted_and_stays(self):
        self.needs("ports without an engine")
        with self.edge(service(PORT), shield=ALWAYS, heartbeat_limit="100ms") as edge:
            client = self.handmade()
            client.open()
            self.hang(edge)
            client.acknowledge(b"?")
            self.assertEqual(client.receive(7), b"kernel?")
            edge.signal(signal.SIGCONT)
            self.time_until_served_by("engine")
            client.acknowledge(b"!")
            self.assertEqual(client.receive(1), b"!", "no longer in Linux")
            self.close_clients()

    def test_new_connections_keep_what_they_offer_while_the_engine_hangs(self):
        self.needs("ports without an engine")
        with self.edge(service(PORT), shield=ALWAYS, heartbeat_limit="100ms") as edge:
            self.hang(edge)
            self.close_clients()
            for timestamps in (1, 0):
                self.lab.run("client", "sysctl", "-qw", f"net.ipv4.tcp_timestamps={timestamps}")
                for family in (socket.AF_INET, socket.AF_INET6):
                    client = self.connect(PORT, family)
                    self.assertEqual(receive_exactly(client, 6), b"kernel")
                    self.assert_echoes(client)
                    said = self.socket_information(client)
                    self.assertIn("sack", said)
                    self.assertTrue(any(word.startswith("wscale:") for word in said), said)
                    self.assertEqual("ts" in said, bool(timestamps), said)
                    client.close()
            self.lab.run("client", "sysctl", "-qw", "net.ipv4.tcp_timestamps=1")
            edge.signal(signal.SIGCONT)
            self.time_until_served_by("engine")
            self.assertGreaterEqual(self.answered(edge), 4)
            self.assertGreaterEqual(self.fell_back(edge), 4)
            self.assertEqual(self.tracked_connections(), 0)
            self.close_clients()

    def socket_information(self, sock):
        """What the client's Linux says of a connection."""
        port = sock.getsockname()[1]
        command = ("ss", "-tinoHO", "state", "established", "sport", "=", f":{port}")
        return self.lab.run("client", *command).split()

    def tracked_connections(self):
        """By netfilter; it does so where something asks for it."""
        setting = "net.netfilter.nf_conntrack_count"
        return int(self.lab.run("edge", "sysctl", "-n", setting))

    def test_what_was_answered_before_the_service_was_full_is_accepted(self):
        self.needs("limits for all")
        with self.edge(service(PORT, max_connections=1), shield=ALWAYS) as edge:
            client = self.handmade()
            client.open()
            self.assertEqual(self.served_by(), "engine")
            self.time_until_served_by("kernel")
            client.acknowledge(b"?")
            self.assertEqual(client.receive(7), b"kernel?")
            self.assertGreaterEqual(self.fell_back(edge), 2)
            self.close_clients()

    def test_forged_acknowledgments_open_nothing_in_linux(self):
        self.needs("limits for all")
        with self.edge(service(PORT, max_connections=1), shield=ALWAYS):
            client = self.handmade()
            client.open()
            self.assertEqual(self.served_by(), "engine")
            self.time_until_served_by("kernel")
            client.acknowledge(b"?", off_by=1)
            self.assertRaises(ConnectionResetError, client.receive, 1)
            self.close_clients()

    def test_what_was_answered_before_the_end_is_accepted(self):
        self.needs("ports without an engine")
        with self.doomed_edge(service(PORT), shield=ALWAYS, drain_timeout="30s") as edge:
            self.assertEqual(self.served_by(), "engine")
            client = self.handmade()
            client.open()
            edge.signal(signal.SIGTERM)
            # The lane takes no more; a connection of its own keeps it from ending.
            self.time_until_served_by("kernel")
            client.acknowledge(b"?")
            self.assertEqual(client.receive(7), b"kernel?")
            last = self.handmade()
            last.open()
            self.close_clients()
            self.until_nobody_polls(edge)
            last.acknowledge(b"?")
            self.assertEqual(last.receive(7), b"kernel?")
            edge.end()
            client.acknowledge(b"!")
            self.assertEqual(client.receive(1), b"!", "no longer in Linux")

    def until_nobody_polls(self, edge):
        """The rest of the engine may live on."""
        until = time.monotonic() + 5
        while polling_threads(edge.pid):
            self.assertLess(time.monotonic(), until, "a lane lives on")
            time.sleep(0.005)
        self.assertTrue(threads(edge.pid), "nobody is left")

    def test_an_end_without_new_connections_takes_no_time(self):
        self.assertLess(min(self.time_to_end() for _ in range(3)), 0.8)

    def time_to_end(self):
        with self.doomed_edge(service(PORT), shield=ALWAYS) as edge:
            began = time.monotonic()
            edge.end()
            return time.monotonic() - began
