"""TCP Fast Open with Linux's client: the request comes with the SYN, and its answer before the ACK."""

import socket
import time

from harness.case import EdgeCase
from harness.edge import service
from harness.lab import EDGE_V4, EDGE_V6

PORT = 80
NEVER = {"syn_cookies": "off"}
ALWAYS = {"syn_cookies": "always"}
FAST = {"client_leg": {"fast_open": "on"}}
MSG_FASTOPEN = 0x20000000

# One way between client and edge [seconds].
DELAY = 0.05


class FastOpen(EdgeCase):
    def setUp(self):
        super().setUp()
        # Clients may, servers may not: what Linux does at first.
        self.lab.run("client", "sysctl", "-qw", "net.ipv4.tcp_fastopen=1")
        self.lab.run("client", "ip", "tcp_metrics", "flush")

    def early(self):
        """Connections that were opened with payload, as Linux's client counts them."""
        return self.counted("TCPFastOpenActive")

    def counted(self, name):
        lines = self.lab.run("client", "cat", "/proc/net/netstat").splitlines()
        names, counts = (line.split()[1:] for line in lines if line.startswith("TcpExt:"))
        return int(dict(zip(names, counts))[name])

    def get(self, host):
        """What nginx answers."""
        return self.curl("--tcp-fastopen", f"http://{host}/")

    def test_curl_gets_in_early_when_it_comes_back(self):
        self.nginx('server { listen 80; location / { return 200 "x"; } }')
        with self.edge(service(PORT, **FAST), shield=NEVER) as edge:
            for host in (EDGE_V4, f"[{EDGE_V6}]"):
                before = self.early()
                for _ in range(4):
                    self.assertEqual(self.get(host), "x")
                self.assertEqual(self.early(), before + 3, "all but the first")
            self.assertEqual(self.counted("TCPFastOpenActiveFail"), 0)
            self.assertEqual(edge.stats()["tcp"]["fast_opens"], 6)

    def test_who_does_not_want_it_has_none(self):
        self.nginx('server { listen 80; location / { return 200 "x"; } }')
        for settings in ({}, {"client_leg": {"fast_open": "off"}}):
            with self.edge(service(PORT, **settings), shield=NEVER) as edge:
                before = self.early()
                for _ in range(3):
                    self.assertEqual(self.get(EDGE_V4), "x")
                self.assertEqual(self.early(), before)
                self.assertEqual(edge.stats()["tcp"]["fast_opens"], 0)

    def test_the_answer_comes_a_round_trip_earlier(self):
        listener = self.listen("origin", PORT)
        delay = f"root netem delay {DELAY * 1000:.0f}ms"
        self.lab.run("client", "tc", "qdisc", "add", "dev", "eth0", *delay.split())
        self.addCleanup(self.lab.run, "client", "tc", "qdisc", "del", "dev", "eth0", "root")
        with self.edge(service(PORT, **FAST), shield=NEVER):
            self.exchange(listener)  # For the neighbours and the cookie.
            late = self.exchange(listener, fast=False)
            early = self.exchange(listener)
            self.assertGreater(late, 2 * DELAY)
            self.assertLess(early, 2 * DELAY)

    def exchange(self, listener, fast=True):
        """How long a request takes to be answered, from its first packet on [seconds]."""
        with self.lab.inside("client"):
            client = socket.socket(socket.AF_INET)
        self.addCleanup(client.close)
        client.settimeout(10)
        start = time.monotonic()
        if fast:
            client.sendto(b"?", MSG_FASTOPEN, (EDGE_V4, PORT))
        else:
            client.connect((EDGE_V4, PORT))
            client.sendall(b"?")
        server = self.accept(listener)
        self.assertEqual(server.recv(1), b"?")
        server.sendall(b"!")
        self.assertEqual(client.recv(1), b"!")
        took = time.monotonic() - start
        client.close()
        server.close()
        return took

    def test_while_syns_are_answered_by_cookies_clients_do_without(self):
        self.needs("shield")
        self.nginx('server { listen 80; location / { return 200 "x"; } }')
        with self.edge(service(PORT, **FAST), shield=NEVER):
            self.assertEqual(self.get(EDGE_V4), "x")
        with self.edge(service(PORT, **FAST), shield=ALWAYS) as edge:
            for _ in range(3):
                self.assertEqual(self.get(EDGE_V4), "x")
            self.assertEqual(edge.stats()["tcp"]["fast_opens"], 0)
