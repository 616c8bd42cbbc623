"""What a proxy is for: bytes in at one end, the same bytes out at the other, for real programs."""

import selectors
import socket
import tempfile
import time
from dataclasses import replace

from harness import programs
from harness.arrangement import everywhere
from harness.case import EdgeCase
from harness.content import GIB, MIB, digest_of_file, random_file
from harness.edge import service, service_v6
from harness.lab import EDGE_V4, EDGE_V6
from harness.sockets import EchoServer, digest_of, in_background, receive_all, receive_exactly

HELLO = 'server { listen 80; listen [::]:80; location / { return 200 "hello\\n"; } }'


class Http(EdgeCase):
    @everywhere
    def test_curl_gets_what_nginx_serves(self):
        self.nginx(HELLO)
        with self.edge(service(80)):
            self.assertEqual(self.curl(f"http://{EDGE_V4}/"), "hello\n")

    @everywhere
    def test_wrk_loads_nginx_without_one_failure(self):
        self.nginx(HELLO)
        with self.edge(service(80)):
            figures = programs.wrk(self.lab, f"http://{EDGE_V4}/", seconds=2)
        self.assertGreater(figures["requests"], 1000)
        self.assertEqual((figures["failures"], figures["bad_replies"]), (0, 0), figures)

    def test_keep_alive_stays_on_one_connection(self):
        self.nginx('server { listen 80; location / { return 200 "$connection_requests\\n"; } }')
        with self.edge(service(80)):
            urls = [f"http://{EDGE_V4}/{number}" for number in range(5)]
            self.assertEqual(self.curl(*urls), "1\n2\n3\n4\n5\n")

    def test_ten_thousand_connections_one_after_another(self):
        self.nginx(HELLO)
        request = b"GET / HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n"
        with self.edge(service(80)), self.lab.inside("client"):
            for number in range(10_000):
                with socket.create_connection((EDGE_V4, 80), timeout=10) as sock:
                    sock.sendall(request)
                    reply = receive_all(sock)
                if not (reply.startswith(b"HTTP/1.1 200 ") and reply.endswith(b"hello\n")):
                    self.fail(f"connection {number}: {reply!r}")


    def test_restart_does_not_stumble_over_the_origins_time_wait(self):
        """The origin waits on every source port there is when the next engine uses them again."""
        self.nginx(HELLO)
        ports = 1000
        for round_number in range(2):
            with self.edge(service(80, source_ports="20000-20999")):
                began = time.monotonic()
                for _ in range(ports):
                    self.fetch_and_close()
                took = time.monotonic() - began
            print(f"    round {round_number + 1}: {ports} connections in {took:.2f} s")
        self.assertLess(took, 5.0)

    def fetch_and_close(self):
        sock = self.connect(80)
        sock.sendall(b"GET / HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n")
        self.assertTrue(receive_all(sock).endswith(b"hello\n"))
        sock.close()


class Families(EdgeCase):
    def test_ipv6_client_reaches_ipv4_origin(self):
        self.nginx('server { listen 80; location / { return 200 "$remote_addr\\n"; } }')
        with self.edge(service(80)):
            self.assertEqual(self.curl(f"http://[{EDGE_V6}]/"), "10.10.2.1\n")

    @everywhere
    def test_both_families_reach_ipv6_origin(self):
        self.nginx('server { listen [::]:80; location / { return 200 "$remote_addr\\n"; } }')
        with self.edge(service_v6(80)):
            self.assertEqual(self.curl(f"http://[{EDGE_V6}]/"), "fd00:2::1\n")
            self.assertEqual(self.curl(f"http://{EDGE_V4}/"), "fd00:2::1\n")

    def test_megabytes_between_families_arrive_unchanged(self):
        """The header grows or shrinks by 20 octets on the way, and the two MSS differ."""
        path, digest = self.random_file(64 * MIB)
        self.nginx(f"server {{ listen 80; root {path.parent}; }}")
        with self.edge(service(80)):
            self.curl("-o", f"{self.folder}/got", f"http://[{EDGE_V6}]/content")
            self.assertEqual(digest_of_file(f"{self.folder}/got"), digest)


class Files(EdgeCase):
    time_limit = 120

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory(prefix="ringroad-test-")
        cls.addClassCleanup(folder.cleanup)
        cls.content, cls.digest = random_file(folder.name, GIB)

    def test_a_gibibyte_down(self):
        self.nginx(f"server {{ listen 80; root {self.content.parent}; }}")
        with self.edge(service(80)):
            began = time.monotonic()
            fetched = self.spawn(
                "client", "sh", "-c", f"curl -sS --fail http://{EDGE_V4}/content | sha256sum"
            )
            self.assertEqual(fetched.expect_success(100).split()[0], self.digest)
            print(f"    down: {GIB * 8 / (time.monotonic() - began) / 1e9:.2f} Gbit/s")

    def test_a_gibibyte_up(self):
        listener = self.listen("origin", 9000)
        with self.edge(service(9000)):
            began = time.monotonic()
            # Sent by the kernel straight from the file, like a server's.
            sender = self.spawn(
                "client", "socat", "-u", "-b262144", f"FILE:{self.content}", f"TCP:{EDGE_V4}:9000"
            )
            server = self.accept(listener)
            length, digest = digest_of(server)
            server.close()
            sender.expect_success(10)
            print(f"    up: {GIB * 8 / (time.monotonic() - began) / 1e9:.2f} Gbit/s")
        self.assertEqual((length, digest), (GIB, self.digest))


class Many(EdgeCase):
    @everywhere
    def test_a_thousand_connections_at_once(self):
        """All open before the first octet; then each gets its own octets back, and no other's."""
        count, size = 1000, 16 * 1024
        server = EchoServer(self.listen("origin", 9000))
        self.addCleanup(server.close)
        with self.edge(service(9000)):
            clients = [self.connect(9000) for _ in range(count)]
            wanted = {
                sock: number.to_bytes(4, "big") * (size // 4) for number, sock in enumerate(clients)
            }
            got = exchange(wanted)
            self.assertEqual(server.open_connections(), count)
            wrong = [number for number, sock in enumerate(clients) if got[sock] != wanted[sock]]
            self.assertEqual(wrong, [])
            for sock in clients:
                sock.close()

    def test_two_services_reach_one_origin_from_the_same_ports(self):
        """No connection of one service may meet a connection of the other's at the origin."""
        server = EchoServer(self.listen("origin", 9000))
        self.addCleanup(server.close)
        one = service(9000, "one", "20000-20999")
        two = replace(service(9001, "two", "20000-20999"), origins=one.origins)
        with self.edge(one, two):
            clients = [self.connect(port) for port in (9000, 9001) * 200]
            wanted = {sock: number.to_bytes(4, "big") for number, sock in enumerate(clients)}
            self.assertEqual({sock: bytes(got) for sock, got in exchange(wanted).items()}, wanted)
            for sock in clients:
                sock.close()


def exchange(outgoing):
    """Sends each socket its octets and reads as many back, all sockets at the same time."""
    selector = selectors.DefaultSelector()
    left = dict(outgoing)
    got = {sock: bytearray() for sock in outgoing}
    for sock in outgoing:
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
    unfinished = len(outgoing)
    while unfinished:
        for key, events in selector.select():
            sock = key.fileobj
            if events & selectors.EVENT_WRITE:
                left[sock] = left[sock][sock.send(left[sock]) :]
                if not left[sock]:
                    selector.modify(sock, selectors.EVENT_READ)
            if events & selectors.EVENT_READ:
                data = sock.recv(65536)
                got[sock] += data
                if not data or len(got[sock]) >= len(outgoing[sock]):
                    selector.unregister(sock)
                    unfinished -= 1
    return got


class Streams(EdgeCase):
    def test_iperf3_both_directions(self):
        server = self.spawn("origin", "iperf3", "-s", "-p", "5201")
        with self.edge(service(5201)):
            for reverse in (False, True):
                got = programs.iperf3(self.lab, server, EDGE_V4, 2, reverse)
                direction = "down" if reverse else "up"
                print(f"    {direction}: {got['bits_per_second'] / 1e9:.2f} Gbit/s")
                self.assertGreater(got["bits_per_second"], 50e6)

    def test_small_writes_arrive_in_order(self):
        """An octet at a time, without Nagle: the worst payload for a proxy that holds frames."""
        listener = self.listen("origin", 9000)
        with self.edge(service(9000)):
            client = self.connect(9000)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server = self.accept(listener)
            octets = bytes(number % 251 for number in range(20_000))
            received = in_background(receive_exactly, server, len(octets))
            for position in range(len(octets)):
                client.send(octets[position : position + 1])
            self.assertEqual(received(), octets)
            client.close()
            self.assertEqual(receive_all(server), b"")
            server.close()
