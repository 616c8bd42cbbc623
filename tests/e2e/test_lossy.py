"""The same promises over a client network that loses, reorders and doubles 1 % of its packets."""

import hashlib
import random

from harness.arrangement import everywhere
from harness.case import EdgeCase
from harness.content import MIB, digest_of_file
from harness.edge import service
from harness.lab import EDGE_V4, EDGE_V6
from harness.sockets import abort, digest_of, in_background, receive_exactly
from harness.wire import BehindWire

PARTS_PER_MILLION = "10000"
SIZE = 64 * MIB


class Lossy(BehindWire, EdgeCase):
    carrier = (
        *("wire", "--a", "c0", "--b", "e0", "--seed", "1"),
        *("--loss", PARTS_PER_MILLION, "--reorder", PARTS_PER_MILLION),
        *("--duplicate", PARTS_PER_MILLION),
    )
    time_limit = 120

    @everywhere
    def test_download_arrives_unchanged(self):
        self.download(EDGE_V4)

    def test_download_over_ipv6_arrives_unchanged(self):
        self.download(f"[{EDGE_V6}]")

    def download(self, host):
        digest = self.serve_content()
        with self.edge(service(80)) as edge:
            self.curl("-o", f"{self.folder}/got", f"http://{host}/content", seconds=100)
            if self.promised("ledger"):
                self.assertGreater(edge.stats()["ledger"]["retransmitted"], 0)
        self.assertEqual(digest_of_file(f"{self.folder}/got"), digest)

    def test_upload_arrives_unchanged(self):
        listener = self.listen("origin", 9000)
        content = random.Random(6).randbytes(SIZE)
        with self.edge(service(9000)):
            client = self.connect(9000, timeout=100)
            server = self.accept(listener, timeout=100)
            received = in_background(digest_of, server)
            client.sendall(content)
            client.close()
            self.assertEqual(received(100), (SIZE, hashlib.sha256(content).hexdigest()))
            server.close()

    def test_short_connections_all_succeed(self):
        """Lost SYNs, FINs and last segments, some two hundred times."""
        self.nginx('server { listen 80; location / { return 200 "hello\\n"; } }')
        with self.edge(service(80)):
            urls = [f"http://{EDGE_V4}/{number}" for number in range(200)]
            replies = self.curl("-H", "Connection: close", "--parallel", *urls, seconds=100)
        self.assertEqual(replies, "hello\n" * 200)

    def test_transfers_cut_off_in_the_middle_leave_no_frame(self):
        """What was sent and not acknowledged, and what arrived with gaps, all comes back."""
        self.serve_content()
        with self.edge(service(80)):
            for _ in range(20):
                abort(self.begin_download())

    def test_stop_in_the_middle_of_a_transfer_is_clean(self):
        self.needs("ledger")
        self.serve_content()
        with self.doomed_edge(service(80), drain_timeout="200ms") as edge:
            client = self.begin_download()
            edge.end()
            client.close()

    def serve_content(self):
        path, digest = self.random_file(SIZE)
        self.nginx(f"server {{ listen 80; root {path.parent}; }}")
        return digest

    def begin_download(self):
        client = self.connect(80, timeout=30)
        client.sendall(b"GET /content HTTP/1.0\r\n\r\n")
        receive_exactly(client, MIB)
        return client
