"""ECN against Linux on both legs: agreed on, marked by the network, answered, on each leg by itself."""

import socket

from harness.case import EdgeCase
from harness.content import digest_of_file
from harness.edge import service
from harness.lab import EDGE_V4, EDGE_V6

PORT = 80
SIZE = 8 << 20
ALWAYS = {"syn_cookies": "always"}
NEVER = {"syn_cookies": "off"}

# A router that is congested: of what is capable it marks one packet in fifty.
CONGESTED = """
table inet congested {{
  chain marks {{
    type filter hook {hook} priority -300;
    ip ecn ect0 numgen inc mod 50 == 0 ip ecn set ce
    ip6 ecn ect0 numgen inc mod 50 == 0 ip6 ecn set ce
  }}
}}
"""


class Ecn(EdgeCase):
    def setUp(self):
        super().setUp()
        self.lab.run("client", "sysctl", "-qw", "net.ipv4.tcp_ecn=1")

    def said(self, host):
        """What Linux says of the only connection on a host."""
        return self.lab.run(host, "ss", "-tinoH", "state", "established").split()

    def talk(self, family):
        """A connection that has carried a word in both directions; both ends."""
        client = self.connect(PORT, family)
        client.sendall(b"?")
        server = self.accept(self.listener)
        self.assertEqual(server.recv(1), b"?")
        server.sendall(b"!")
        self.assertEqual(client.recv(1), b"!")
        return client, server

    def agreed(self, **settings):
        """For each family and leg: whether ECN is agreed on, and whether Linux has seen it used."""
        listener = self.listener = self.listen("origin", PORT)
        found = set()
        shield = settings.pop("shield")
        with self.edge(service(PORT, **settings), shield=shield):
            for family in (socket.AF_INET, socket.AF_INET6):
                ends = self.talk(family)
                legs = []
                for host in ("client", "origin"):
                    words = self.said(host)
                    self.assertEqual("ecn" in words, "ecnseen" in words, words)
                    legs.append("ecn" in words)
                found.add(tuple(legs))
                for sock in ends:
                    sock.close()
                self.lab.run("client", "ss", "-K", "dport", "=", f":{PORT}")
                self.lab.run("origin", "ss", "-K", "sport", "=", f":{PORT}")
        listener.close()
        (legs,) = found
        return legs

    def test_clients_that_ask_are_agreed_with(self):
        self.assertEqual(self.agreed(shield=NEVER), (True, False))

    def test_by_cookie_too(self):
        self.needs("shield")
        self.assertEqual(self.agreed(shield=ALWAYS), (True, False))

    def test_origins_are_asked_where_the_leg_says_so(self):
        asking = {"client_leg": {"ecn": "off"}, "origin_leg": {"ecn": "on"}}
        self.assertEqual(self.agreed(shield=NEVER, **asking), (False, True))
        self.needs("shield")
        self.assertEqual(self.agreed(shield=ALWAYS, **asking), (False, True))

    def test_marks_are_echoed_and_echoes_heeded(self):
        """On the client's leg; the origin's hears nothing of it."""
        path, digest = self.random_file(SIZE)
        self.nginx(f"server {{ listen 80; root {path.parent}; client_max_body_size 0; "
                   f"location /up {{ dav_methods PUT; root {self.folder}; }} }}")
        both = {"client_leg": {"ecn": "accept"}, "origin_leg": {"ecn": "on"}}
        with self.edge(service(PORT, **both), shield=NEVER) as edge:
            for hook, direction in (("prerouting", "down"), ("output", "up")):
                before = edge.stats().get("tcp", {})
                self.lab.run("client", "nft", "-f", "-", input=CONGESTED.format(hook=hook))
                for host in (EDGE_V4, f"[{EDGE_V6}]"):
                    if direction == "down":
                        self.curl("-o", f"{self.folder}/got", f"http://{host}/content")
                        self.assertEqual(digest_of_file(f"{self.folder}/got"), digest)
                    else:
                        self.curl("-T", str(path), f"http://{host}/up")
                        self.assertEqual(digest_of_file(f"{self.folder}/up"), digest)
                self.lab.run("client", "nft", "delete", "table", "inet", "congested")
                if not self.promised("ledger"):
                    continue
                after = edge.stats()["tcp"]
                new = {what: count - before[what] for what, count in after.items()}
                if direction == "down":
                    # The engine's payload was marked: it reduces its window, and says so.
                    self.assertGreater(new["ece_received"], 20, new)
                    self.assertGreater(new["cwr_sent"], 5, new)
                    self.assertEqual(new["ce_received"], 0, new)
                else:
                    self.assertGreater(new["ce_received"], 20, new)
                    self.assertEqual(new["cwr_sent"], 0, new)
        # What was marked towards the client was not marked towards the origin, and the reverse.
        self.assertEqual(self.counted("origin", "IpExt", "InCEPkts"), 0)
        self.assertGreater(self.counted("origin", "IpExt", "InECT0Pkts"), 100)

    def counted(self, host, group, name):
        """One of Linux's counters on a host."""
        lines = self.lab.run(host, "cat", "/proc/net/netstat").splitlines()
        names, counts = (line.split()[1:] for line in lines if line.startswith(f"{group}:"))
        return int(dict(zip(names, counts))[name])
