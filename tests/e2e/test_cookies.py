"""SYN cookies: what a client offers survives them, and SYNs from nowhere take no memory."""

import random
import socket
import time

from harness.arrangement import everywhere
from harness.case import EdgeCase
from harness.content import digest_of_file
from harness.edge import service, service_v6
from harness.lab import CLIENT_V4, EDGE_V4, EDGE_V6
from harness.packets import SYN, Forge

PORT = 80
SIZE = 16 << 20
ALWAYS = {"syn_cookies": "always"}

# SYNs of a flood, and the sources that they claim to come from.
SYNS, SOURCES = 50_000, 10_000

# Pressure from the rate alone; what is half open here is soon reset by the client's Linux.
SENSITIVE = {"syn_cookies": "auto", "pressure": {"syn_per_second": 500, "half_open": 10_000}}
# How long there has to be calm (PRESSURE_HOLD), and as much again.
CALM = 20.0


class Cookies(EdgeCase):
    def setUp(self):
        super().setUp()
        self.needs("shield")

    @everywhere
    def test_files_arrive_unchanged(self):
        path, digest = self.random_file(SIZE)
        self.nginx(f"server {{ listen 80; root {path.parent}; }}")
        with self.edge(service(PORT), shield=ALWAYS) as edge:
            for host in (EDGE_V4, f"[{EDGE_V6}]"):
                self.curl("-o", f"{self.folder}/got", f"http://{host}/content")
                self.assertEqual(digest_of_file(f"{self.folder}/got"), digest)
            self.assertEqual(self.answered(edge), 2)

    def test_wrk_loads_nginx_without_one_failure(self):
        self.nginx('server { listen 80; location / { return 200 "x"; } }')
        with self.edge(service(PORT), shield=ALWAYS) as edge:
            command = ("wrk", "-t1", "-c32", "-d2s", "-H", "Connection: close")
            page = self.spawn("client", *command, f"http://{EDGE_V4}/").expect_success(20)
            self.assertNotIn("Socket errors", page)
            self.assertNotIn("Non-2xx", page)
            self.assertGreater(self.answered(edge), 100)

    def test_what_a_client_offers_is_in_use(self):
        """Window scaling and SACK, with timestamps and without, over both families."""
        listener = self.listen("origin", PORT)
        with self.edge(service(PORT), shield=ALWAYS):
            for timestamps in (1, 0):
                self.lab.run("client", "sysctl", "-qw", f"net.ipv4.tcp_timestamps={timestamps}")
                for family in (socket.AF_INET, socket.AF_INET6):
                    client = self.connect(PORT, family)
                    client.sendall(b"?")
                    server = self.accept(listener)
                    self.assertEqual(server.recv(1), b"?")
                    said = self.lab.run("client", "ss", "-tinoH", "state", "established")
                    words = said.split()
                    self.assertIn("sack", words)
                    self.assertTrue(any(word.startswith("wscale:") for word in words), said)
                    self.assertEqual("ts" in words, bool(timestamps), said)
                    client.close()
                    server.close()
                    self.settle(listener)

    def settle(self, listener):
        """No connection is left, so that the next is the only one that `ss` shows."""
        until = time.monotonic() + 5
        while self.lab.run("client", "ss", "-tinoH", "state", "established"):
            self.assertLess(time.monotonic(), until, "a connection stays")
            time.sleep(0.02)

    def test_flood_of_syns_takes_no_memory_and_stops_nobody(self):
        self.nginx('server { listen 80; location / { return 200 "x"; } }')
        with self.edge(service(PORT), shield=ALWAYS) as edge:
            before = edge.stats()
            nobody = [f"198.18.{source >> 8 & 255}.{source & 255}" for source in range(SOURCES)]
            self.flood(nobody, SYNS)
            for _ in range(20):
                self.assertEqual(self.curl(f"http://{EDGE_V4}/"), "x")
            after = edge.stats()
            # On a loaded machine a device may lose some before anybody sees them.
            self.assertGreater(self.answered(edge), SYNS * 9 // 10)
            (web,) = after["services"]
            self.assertEqual(web["connections"]["accepted"], 20)
            held = after["frames"]["held"] - before["frames"]["held"]
            self.assertLess(held, 200, "a flood is remembered")

    def test_a_flood_turns_them_on_and_calm_turns_them_off(self):
        self.needs("limits for all")
        self.nginx('server { listen 80; location / { return 200 "x"; } }')
        with self.edge(service(PORT), shield=SENSITIVE) as edge:
            for _ in range(5):
                self.assertEqual(self.curl(f"http://{EDGE_V4}/"), "x")
            self.assertEqual(self.answered(edge), 0, "cookies without need")
            self.expect_cookies(edge, on=False)
            self.flood([CLIENT_V4], SYNS // 10)
            self.assertGreater(self.answered(edge), SYNS // 20)
            self.expect_cookies(edge, on=True)
            before = self.answered(edge)
            for _ in range(10):
                self.assertEqual(self.curl(f"http://{EDGE_V4}/"), "x")
            self.assertEqual(self.answered(edge), before + 10)
            self.until_off(edge)
            self.expect_cookies(edge, on=False)

    def expect_cookies(self, edge, on):
        """What the engine says of itself."""
        cookies = edge.stats()["cookies"]
        self.assertEqual(cookies["mode"], "auto")
        self.assertLessEqual(cookies["key_age_s"], 40, "keys change every 32 seconds")
        (lane,) = cookies["lanes"]
        self.assertEqual(lane["on"], on)
        if on:
            self.assertLess(lane["for_s"], CALM)

    def until_off(self, edge):
        """A connection opens without the shield's answer; all of them until then by it."""
        until = time.monotonic() + CALM
        while True:
            before = self.answered(edge)
            self.assertEqual(self.curl(f"http://{EDGE_V4}/"), "x")
            if self.answered(edge) == before:
                return
            self.assertLess(time.monotonic(), until, "cookies stay on")
            time.sleep(0.2)

    def flood(self, sources, syns):
        """SYNs that say they come from `sources`, as fast as one process sends them."""
        chance = random.Random(4)
        with self.lab.inside("client"):
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.addCleanup(raw.close)
        raw.bind(("eth0", 0))
        macs = self.mac("client", "eth0"), self.mac("edge", "wan0")
        forges = [Forge(*macs, source, EDGE_V4, PORT) for source in sources]
        for _ in range(syns):
            forge = chance.choice(forges)
            raw.send(forge.packet(chance.randrange(1024, 65536), SYN, chance.getrandbits(32)))

    def test_fallback_goes_before_cookies(self):
        self.needs("limits for all")
        """What the engine does not take is Linux's from its first SYN on."""
        self.needs("fallback")
        listener = self.listen("edge", PORT)
        with self.edge(service(PORT, max_connections=1), shield=ALWAYS) as edge:
            origin = self.listen("origin", PORT)
            first = self.connect(PORT)
            first.sendall(b"?")
            served_by_origin = self.accept(origin)
            self.assertEqual(served_by_origin.recv(1), b"?")
            self.until_closed(edge)
            second = self.connect(PORT)
            second.sendall(b"!")
            self.assertEqual(self.accept(listener).recv(1), b"!")
            for sock in (first, served_by_origin, second):
                sock.close()

    def until_closed(self, edge):
        """The shield has heard that the service takes no more."""
        until = time.monotonic() + 5
        while edge.stats()["services"][0]["connections"]["active"] < 1:
            self.assertLess(time.monotonic(), until)
            time.sleep(0.01)

    def answered(self, edge):
        return edge.stats()["shield"]["answered"]

    def mac(self, host, interface):
        return self.lab.run(host, "cat", f"/sys/class/net/{interface}/address").strip()


    def test_origin_on_the_other_family(self):
        self.nginx('server { listen [::]:80; location / { return 200 "x"; } }')
        with self.edge(service_v6(PORT), shield=ALWAYS):
            self.assertEqual(self.curl(f"http://{EDGE_V4}/"), "x")
