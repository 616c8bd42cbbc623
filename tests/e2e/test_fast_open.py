"""TCP Fast Open with Linux's client: the request comes with the SYN, and its answer before the ACK."""

import socket

from harness.case import EdgeCase
from harness.edge import service
from harness.lab import EDGE_V4, EDGE_V6

PORT = 80
NEVER = {"syn_cookies": "off"}
ALWAYS = {"syn_cookies": "always"}
FAST = {"client_leg": {"fast_open": "on"}}
MSG_FASTOPEN = 0x20000000

# Of the client's segments to the service none leaves but SYNs.
MUTE = """
table inet mute {
  chain leaving {
    type filter hook output priority 0;
    tcp dport 80 tcp flags & syn == 0 drop
  }
}
"""


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

    def test_the_answer_comes_before_the_ack_of_the_handshake(self):
        """Nothing but SYNs leaves the client, and yet it is answered."""
        listener = self.listen("origin", PORT)
        with self.edge(service(PORT, **FAST), shield=NEVER):
            self.begin(fast=True).close()  # For the cookie.
            self.accept(listener).close()
            self.lab.run("client", "nft", "-f", "-", input=MUTE)
            waiting = self.begin(fast=False)
            early = self.begin(fast=True)
            server = self.accept(listener)
            self.assertEqual(server.recv(1), b"!")
            server.sendall(b"answer")
            self.assertEqual(early.recv(6), b"answer")
            self.lab.run("client", "nft", "delete", "table", "inet", "mute")
            late = self.accept(listener)
            self.assertEqual(late.recv(1), b"?")
            for sock in (waiting, early, server, late):
                sock.close()

    def begin(self, fast):
        """A connection of the client's that has begun to ask."""
        with self.lab.inside("client"):
            client = socket.socket(socket.AF_INET)
        self.addCleanup(client.close)
        if fast:
            client.sendto(b"!", MSG_FASTOPEN, (EDGE_V4, PORT))
        else:
            client.connect((EDGE_V4, PORT))
            client.sendall(b"?")
        client.settimeout(10)
        return client

    def test_while_syns_are_answered_by_cookies_clients_do_without(self):
        self.needs("shield")
        self.nginx('server { listen 80; location / { return 200 "x"; } }')
        with self.edge(service(PORT, **FAST), shield=NEVER):
            self.assertEqual(self.get(EDGE_V4), "x")
        with self.edge(service(PORT, **FAST), shield=ALWAYS) as edge:
            for _ in range(3):
                self.assertEqual(self.get(EDGE_V4), "x")
            self.assertEqual(edge.stats()["tcp"]["fast_opens"], 0)
