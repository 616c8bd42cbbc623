"""Sides of unequal speed: memory stays bounded, the slow side sets the pace, nothing is lost."""

import hashlib
import random
import select
import time

from harness.case import EdgeCase
from harness.content import MIB
from harness.edge import service
from harness.sockets import digest_of, in_background, receive_exactly

PORT = 9000

# What two kernels may buffer at their ends, plus all the frames of an engine of the default size.
ABSORBED_MOST = 128 * MIB


class Pressure(EdgeCase):
    def opened(self, listener):
        client = self.connect(PORT)
        client.sendall(b"?")
        server = self.accept(listener)
        self.assertEqual(receive_exactly(server, 1), b"?")
        return client, server

    def test_stalled_origin_stops_the_client_and_no_one_else(self):
        self.stalled(lambda client, server: (client, server))

    def test_stalled_client_stops_the_origin_and_no_one_else(self):
        self.stalled(lambda client, server: (server, client))

    def stalled(self, roles):
        """One side writes until nothing more goes; then the other reads all of it."""
        listener = self.listen("origin", PORT)
        with self.edge(service(PORT)) as edge:
            writer, reader = roles(*self.opened(listener))
            block = random.Random(1).randbytes(MIB)
            written = write_until_stuck(writer, block)
            self.assertLess(written, ABSORBED_MOST)
            if self.promised("ledger"):
                frames = edge.stats()["frames"]
                self.assertGreater(frames["free"], 0, "the devices starve")
            other_client, other_server = self.opened(listener)
            other_server.sendall(b"still here")
            self.assertEqual(receive_exactly(other_client, 10), b"still here")
            for sock in (other_client, other_server):
                sock.close()

            received = in_background(digest_of, reader)
            writer.close()
            self.assertEqual(received(), (written, digest_of_repeated(block, written)))
            reader.close()

    def test_slow_origin_sets_the_pace(self):
        self.paced(lambda client, server: (client, server))

    def test_slow_client_sets_the_pace(self):
        self.paced(lambda client, server: (server, client))

    def paced(self, roles):
        """A reader of 16 MiB/s, with a small buffer, takes 48 MiB: some three seconds."""
        rate, size = 16 * MIB, 48 * MIB
        listener = self.listen("origin", PORT, receive_buffer=256 * 1024)
        with self.edge(service(PORT)):
            writer, reader = roles(*self.opened(listener))
            content = random.Random(2).randbytes(size)
            began = time.monotonic()
            taken = 0

            def dawdle(chunk):
                nonlocal taken
                taken += len(chunk)
                time.sleep(max(0.0, began + taken / rate - time.monotonic()))

            received = in_background(digest_of, reader, dawdle)
            writer.settimeout(30)
            writer.sendall(content)
            writer.close()
            self.assertEqual(received(), (size, hashlib.sha256(content).hexdigest()))
            took = time.monotonic() - began
            reader.close()
        self.assertGreater(took, 0.9 * size / rate)
        self.assertLess(took, 1.5 * size / rate, "slower than the slow side")


def write_until_stuck(sock, block):
    """Writes `block` again and again until the socket takes nothing for half a second."""
    sock.setblocking(False)
    written = 0
    while written < ABSORBED_MOST and select.select([], [sock], [], 0.5)[1]:
        written += sock.send(memoryview(block)[written % len(block) :])
    return written


def digest_of_repeated(block, length):
    digest = hashlib.sha256()
    for _ in range(length // len(block)):
        digest.update(block)
    digest.update(block[: length % len(block)])
    return digest.hexdigest()
