"""What the shield drops ahead of the engine: denied sources, whatever is too much, nonsense."""

import hashlib
import itertools
import json
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from harness.case import EdgeCase
from harness.edge import service
from harness.lab import CLIENT_V4, CLIENT_V6, EDGE_V4
from harness.packets import ACK, FIN, PSH, RST, SYN, URG, Forge
from harness.sockets import EchoServer, digest_of, in_background, receive_exactly

PORT = 80
SSH_LIKE_PORT = 2222

# The client's first and second addresses.
OTHER_V4, OTHER_V6 = "10.10.1.3", "fd00:1::3"
FIRSTS = {socket.AF_INET: CLIENT_V4, socket.AF_INET6: CLIENT_V6}
OTHERS = {socket.AF_INET: OTHER_V4, socket.AF_INET6: OTHER_V6}

ETHERNET_IPV4 = 0x0800

# Segments of connections that nobody has.
FORGED = 50_000

# Shorter than the second after which a SYN is sent again (RFC 6298 §2).
AT_ONCE = 0.5


class Shield(EdgeCase):
    def setUp(self):
        super().setUp()
        self.needs("shield")
        self.greet("origin", PORT)

    def greet(self, host, port, family=socket.AF_INET):
        server = EchoServer(self.listen(host, port, family), b"hello")
        self.addCleanup(server.close)

    def give_the_client_more_addresses(self):
        """Its interface may come and go with the engine, and its addresses with it."""
        self.lab.ip(
            "client",
            f"addr replace {OTHER_V4}/24 dev eth0",
            f"addr replace {OTHER_V6}/64 dev eth0 nodad",
        )

    def assert_served(self, port, family=socket.AF_INET, **how):
        sock = self.connect(port, family, **how)
        self.assertEqual(receive_exactly(sock, 5), b"hello")
        sock.close()

    def expect_dropped(self, edge, expected, seconds=5.0):
        """Waits until so many packets are dropped for each reason, in the shield's own words too."""
        until = time.monotonic() + seconds
        while True:
            stats = edge.stats()
            dropped = {reason: stats["ledger"]["dropped"].get(reason, 0) for reason in expected}
            if dropped == expected:
                break
            if time.monotonic() > until:
                self.fail(f"{dropped} dropped, not {expected}")
            time.sleep(0.02)
        self.assertEqual({reason: stats["shield"][reason] for reason in expected}, expected)

    def test_a_denied_source_gets_nothing_while_others_go_on(self):
        families = (socket.AF_INET, socket.AF_INET6)
        for family in families:
            self.greet("edge", SSH_LIKE_PORT, family)
        lists = {"deny": [OTHER_V4, "fd00:1::/64"], "allow": [CLIENT_V6]}
        with self.edge(service(PORT), shield=lists) as edge:
            self.give_the_client_more_addresses()
            for family in families:
                self.assert_served(PORT, family, source=FIRSTS[family])
                with self.assertRaises(TimeoutError):
                    self.connect(PORT, family, timeout=AT_ONCE, source=OTHERS[family])
                self.assert_served(PORT, family, source=FIRSTS[family])
                # What is not the engine's is none of the shield's business.
                self.assert_served(SSH_LIKE_PORT, family, source=OTHERS[family])
            self.expect_dropped(edge, {"denied": 2})

    def test_what_was_refused_can_be_looked_at(self):
        with self.edge(service(PORT), shield={"deny": [OTHER_V4]}) as edge:
            self.give_the_client_more_addresses()
            with self.assertRaises(TimeoutError):
                self.connect(PORT, timeout=AT_ONCE, source=OTHER_V4)
            self.assert_served(PORT)
            self.expect_dropped(edge, {"denied": 1})
            stats = edge.stats()
            (web,) = stats["services"]
            self.assertEqual(web["shield"]["denied"], 1)
            self.assertGreaterEqual(web["shield"]["to_engine"], 1)
            worst = {"source": f"{OTHER_V4}/32", "verdict": "denied", "share": 1.0}
            self.assertEqual(stats["refused"], {"samples": 1, "lost": 0, "worst": [worst]})
            capture = Path(self.folder) / "refused.pcapng"
            edge.refused(capture)
            octets = capture.read_bytes()
            self.assertEqual(octets.count(b"denied, service web"), 1)
            self.assertIn(socket.inet_aton(OTHER_V4) + socket.inet_aton(EDGE_V4), octets)

    def test_a_source_beyond_its_rate_waits_and_no_one_else(self):
        limits = {"per_source": {"syn_per_second": 1, "burst": 3}}
        with self.edge(service(PORT), shield=limits) as edge:
            self.give_the_client_more_addresses()
            served = self.served_until_refused()
            self.assertGreaterEqual(served, 3, "the burst")
            self.assert_served(PORT, timeout=AT_ONCE, source=OTHER_V4)
            # Its SYNs are sent again, and by and by one is within the rate.
            self.assert_served(PORT, timeout=20)
            stats = edge.stats()
            limited = stats["ledger"]["dropped"]["rate_limited"]
            self.assertGreaterEqual(limited, 1)
            self.assertEqual(stats["shield"]["rate_limited"], limited)

    def test_a_flood_from_a_clients_own_network_does_not_touch_it(self):
        """Nobody gets a client into trouble by forging its neighbours' addresses."""
        limits = {"per_source": {}, "per_prefix": {"syn_per_second": 10, "burst": 10}}
        with self.edge(service(PORT), shield={"syn_cookies": "always", **limits}) as edge:
            self.give_the_client_more_addresses()
            self.assert_served(PORT)
            with self.flood(f"10.10.1.{host}" for host in range(10, 250)):
                self.until(lambda: self.dropped(edge, "prefix_limited") > 1000)
                self.assert_served_without_delay()
                # A neighbour that has not connected before is one of the crowd.
                with self.assertRaises(TimeoutError):
                    self.connect(PORT, timeout=AT_ONCE, source=OTHER_V4)
            self.assertEqual(self.dropped(edge, "rate_limited"), 0)
            self.assert_served(PORT, source=OTHER_V4)

    def test_a_flood_from_everywhere_has_a_cap(self):
        limits = {"per_prefix": {}, "unproven_syn_per_second": 100}
        with self.edge(service(PORT), shield={"syn_cookies": "always", **limits}) as edge:
            self.assert_served(PORT)
            with self.flood(f"198.18.{host >> 8}.{host & 255}" for host in range(1, 60_000)):
                self.until(lambda: self.dropped(edge, "cap_limited") > 1000)
                self.assert_served_without_delay()
            self.assertEqual(self.dropped(edge, "prefix_limited"), 0)

    def test_a_client_beyond_its_octets_is_slowed_down_and_loses_nothing(self):
        size, rate = 3_000_000, 1_000_000
        data = bytes(range(250)) * (size // 250)
        listener = self.listen("origin", PORT + 1)
        with self.edge(
            service(PORT + 1), shield={"per_source": {"bytes_per_second": rate}}
        ) as edge:
            client = self.connect(PORT + 1, timeout=50)
            begin = time.monotonic()
            server = self.accept(listener, timeout=50)
            received = in_background(digest_of, server)
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(received(50), (size, hashlib.sha256(data).hexdigest()))
            took = time.monotonic() - begin
            client.close()
            server.close()
            # A second's worth may come at once.
            self.assertGreater(took, size / rate - 1)
            self.assertGreater(self.dropped(edge, "bytes_limited"), 0)

    def assert_served_without_delay(self, times=30):
        """In less time than it takes to send half of the SYNs again (RFC 6298 §2)."""
        begin = time.monotonic()
        for _ in range(times):
            self.assert_served(PORT)
        self.assertLess(time.monotonic() - begin, times / 2)

    @contextmanager
    def flood(self, sources):
        """SYNs from these addresses in turn, as fast as one process sends them, meanwhile."""
        raw, macs = self.raw_socket()
        syns = [Forge(*macs, source, EDGE_V4, PORT).packet(2000, SYN) for source in sources]
        over = threading.Event()

        def send():
            for syn in itertools.cycle(syns):
                if over.is_set():
                    return
                raw.send(syn)

        finished = in_background(send)
        try:
            yield
        finally:
            over.set()
            finished()

    def until(self, condition, seconds=10.0):
        until = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), until)
            time.sleep(0.02)

    def dropped(self, edge, reason):
        return edge.stats()["ledger"]["dropped"].get(reason, 0)

    def test_an_allowed_source_has_no_limit(self):
        limits = {"per_source": {"syn_per_second": 1, "burst": 1}, "allow": [f"{CLIENT_V4}/32"]}
        with self.edge(service(PORT), shield=limits) as edge:
            for _ in range(20):
                self.assert_served(PORT, timeout=AT_ONCE)
            self.expect_dropped(edge, {"rate_limited": 0})

    def served_until_refused(self, most=50):
        """How many connections are served before one is not, at once."""
        for served in range(most):
            try:
                self.assert_served(PORT, timeout=AT_ONCE)
            except TimeoutError:
                return served
        self.fail(f"{most} connections at once, and none too many")

    def raw_socket(self, protocol=0):
        """For frames that the client makes octet by octet; and the addresses that they bear. Hears
        those of `protocol`, if that is not zero."""
        with self.lab.inside("client"):
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.addCleanup(raw.close)
        raw.bind(("eth0", protocol))
        return raw, (self.mac("client", "eth0"), self.mac("edge", "wan0"))

    def test_a_flood_of_segments_without_a_connection_never_reaches_the_engine(self):
        for policy in ({}, {"unknown_acks": "drop"}, {"syn_cookies": "always"}):
            with self.subTest(**policy), self.edge(service(PORT), shield=policy) as edge:
                sock = self.connect(PORT)
                self.assertEqual(receive_exactly(sock, 5), b"hello")
                raw, macs = self.raw_socket()
                before = edge.stats()
                for number in range(FORGED):
                    source = f"198.18.{number >> 8 & 255}.{number & 255}"
                    forge = Forge(*macs, source, EDGE_V4, PORT)
                    raw.send(forge.packet(1024 + number, (ACK, ACK | FIN, RST)[number % 3]))
                    if number % (FORGED // 50) == 0:
                        sock.sendall(b"x" * 1000)
                        self.assertEqual(receive_exactly(sock, 1000), b"x" * 1000)
                after = edge.stats()
                sock.close()
                shield = {
                    verdict: after["shield"][verdict] - before["shield"][verdict]
                    for verdict in ("to_engine", "unknown", "unknown_dropped")
                }
                # On a loaded machine a device may lose some before anybody sees them.
                unknown = shield["unknown"] + shield["unknown_dropped"]
                self.assertGreater(unknown, FORGED * 9 // 10)
                self.assertLessEqual(unknown, FORGED)
                self.assertLess(shield["to_engine"], 1000, "what the connection itself takes")
                self.assertEqual(after["ledger"]["dropped"].get("no_connection", 0), 0)
                self.assertEqual(after["ledger"]["dropped"].get("bad_cookie", 0), 0)
                if "unknown_acks" in policy:
                    self.assertEqual(shield["unknown"], 0)
                else:
                    self.assertGreater(shield["unknown"], 0, "Linux answers some")

    def test_linux_says_what_it_knows_nothing_of(self):
        """A client whose connection is gone learns it by a reset, as before the engine was there."""
        with self.edge(service(PORT)):
            raw, macs = self.raw_socket(ETHERNET_IPV4)
            raw.settimeout(5)
            raw.send(Forge(*macs, CLIENT_V4, EDGE_V4, PORT).packet(2000, ACK, 7, 4711))
            while True:
                frame = raw.recv(2048)
                if frame[23] == socket.IPPROTO_TCP and frame[34:36] == PORT.to_bytes(2, "big"):
                    break
            flags, sequence = frame[47], int.from_bytes(frame[38:42], "big")
            self.assertEqual((flags & RST, sequence), (RST, 4711))

    def test_nonsense_is_dropped_by_name(self):
        with self.edge(service(PORT), shield={"fragments": "drop"}) as edge:
            raw, macs = self.raw_socket()

            def send(source, source_port, flags, **wrong):
                forge = Forge(*macs, source, EDGE_V4, PORT)
                raw.send(forge.packet(source_port, flags, **wrong))

            for flags in (0, FIN, PSH | URG, SYN | FIN, SYN | RST, FIN | RST | ACK):
                send(CLIENT_V4, 2000, flags)
            for source in ("0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"):
                send(source, 2000, SYN)
            send(EDGE_V4, PORT, SYN)
            send(CLIENT_V4, 2000, ACK, fragment=0x2000, payload=bytes(8))
            expected = {"bad_flags": 6, "bad_source": 4, "land": 1, "fragment_dropped": 1}
            self.expect_dropped(edge, expected)
            self.assert_served(PORT)

    def mac(self, host, interface):
        (link,) = json.loads(self.lab.run(host, "ip", "-j", "link", "show", "dev", interface))
        return link["address"]
