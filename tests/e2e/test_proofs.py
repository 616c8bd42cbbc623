"""What proves to an edge with SYN cookies that a client is where it says, and what does not."""

import time
from contextlib import contextmanager
from pathlib import Path

from harness.case import EdgeCase
from harness.edge import service
from harness.lab import EDGE_V4
from harness.packets import ACK, RST, SYN
from harness.raw import RawClient

PORT, OTHER_PORT = 80, 81
ISN = 1_000_000


class Proofs(EdgeCase):
    def setUp(self):
        super().setUp()
        self.needs("shield")
        reply = 'location / { return 200 "x"; }'
        servers = (f"server {{ listen {port}; {reply} }}" for port in (PORT, OTHER_PORT))
        self.nginx(" ".join(servers), listeners=2)

    @contextmanager
    def proving_edge(self, secret="0123456789abcdef" * 2):
        """An edge with two services and this secret, and a raw client of the first of them."""
        path = Path(self.folder, "secret")
        path.write_text(secret)
        shield = {"syn_cookies": "always", "cookie_secret": str(path)}
        services = (
            service(PORT, "one", "20000-29999"),
            service(OTHER_PORT, "two", "30000-39999"),
        )
        self.own_connections = 0
        with self.edge(*services, shield=shield) as edge:
            client = RawClient(self.lab, PORT)
            try:
                yield edge, client
            finally:
                client.close()

    def cookie(self, client):
        """What a SYN of the client's is answered with."""
        client.send(SYN, ISN)
        answer = client.receive(SYN | ACK)
        self.assertEqual(answer.acknowledgement, ISN + 1)
        return answer.sequence

    def accepted(self, edge):
        """Connections of both services so far but our own, after all that has been sent."""
        # Ours comes by the same queue, behind it.
        self.assertEqual(self.curl(f"http://{EDGE_V4}:{PORT}/"), "x")
        count = sum(each["connections"]["accepted"] for each in edge.stats()["services"])
        self.own_connections += 1
        return count - self.own_connections

    def open_and_reset(self, edge, client, cookie):
        """The cookie opens a connection, which is gone again afterwards."""
        before = self.accepted(edge)
        client.send(ACK, ISN + 1, cookie + 1)
        self.assertEqual(self.accepted(edge), before + 1)
        client.send(RST, ISN + 1)
        until = time.monotonic() + 5
        while any(each["connections"]["active"] for each in edge.stats()["services"]):
            self.assertLess(time.monotonic(), until)
            time.sleep(0.01)

    def test_syns_and_syn_acks_by_turns_open_nothing(self):
        with self.proving_edge() as (edge, client):
            for _ in range(4):
                cookie = self.cookie(client)
                # What it would acknowledge the cookie with, were it a SYN of its own.
                client.send(SYN | ACK, ISN + 1, cookie + 1)
                client.send(SYN | ACK, ISN, cookie + 1)
            self.assertEqual(self.accepted(edge), 0)
            self.open_and_reset(edge, client, self.cookie(client))

    def test_a_cookie_is_good_once_and_for_what_it_was_given_for(self):
        with self.proving_edge() as (edge, client):
            cookie = self.cookie(client)
            client.send(ACK, ISN + 1, cookie + 1, port=OTHER_PORT)
            client.send(ACK, ISN + 1, cookie + 1, source_port=40_001)
            client.send(ACK, ISN + 2, cookie + 1)
            client.send(ACK, ISN + 1, cookie + 2)
            # The other key, and a larger MSS.
            client.send(ACK, ISN + 1, cookie + 1 ^ 1 << 31)
            client.send(ACK, ISN + 1, cookie + 1 ^ 1 << 28)
            self.assertEqual(self.accepted(edge), 0)
            self.open_and_reset(edge, client, cookie)
            opened = self.accepted(edge)
            for _ in range(3):
                client.send(ACK, ISN + 1, cookie + 1)
            self.assertEqual(self.accepted(edge), opened, "replayed")

    def test_cookies_are_good_with_the_secret_that_they_follow_from(self):
        with self.proving_edge() as (_, client):
            cookie = self.cookie(client)
        with self.proving_edge("fedcba9876543210" * 2) as (edge, client):
            client.send(ACK, ISN + 1, cookie + 1)
            self.assertEqual(self.accepted(edge), 0, "another secret")
        with self.proving_edge() as (edge, client):
            self.open_and_reset(edge, client, cookie)
