"""Events: what happens rarely is told once, and a flood of it by its number."""

import json
import os
import time
from unittest.mock import patch

from harness.arrangement import everywhere
from harness.case import EdgeCase
from harness.edge import RINGROAD, service
from harness.lab import CLIENT_V4, ORIGIN_V4
from harness.sockets import EchoServer, receive_exactly

PORT = 9000


class Events(EdgeCase):
    def setUp(self):
        super().setUp()
        self.needs("ledger")

    def events(self, edge, kind=None):
        command = [str(RINGROAD), "events", "--json", "--socket", str(edge.socket)]
        happened = json.loads(self.lab.run("edge", *command))
        return [each for each in happened if kind in (None, each["event"])]

    def expect(self, edge, kind, count=1, seconds=10.0):
        until = time.monotonic() + seconds
        while len(found := self.events(edge, kind)) < count:
            self.assertLess(time.monotonic(), until, self.events(edge))
            time.sleep(0.05)
        self.assertEqual(len(found), count, found)
        return found

    def fail_to_connect(self, times):
        for _ in range(times):
            try:
                sock = self.connect(PORT, timeout=5)
                self.assertEqual(sock.recv(1), b"")
                sock.close()
            except ConnectionResetError:
                pass

    @everywhere
    def test_an_origin_that_goes_and_comes_back_is_told_of_twice(self):
        with self.edge(service(PORT)) as edge:
            self.fail_to_connect(12)
            (down,) = self.expect(edge, "origin_down")
            self.assertEqual(down["origin"], f"{ORIGIN_V4}:{PORT}")
            self.assertEqual((down["service"], down["reason"]), ("web", "refused"))
            self.assertIn(down["message"], edge.errors())

            server = EchoServer(self.listen("origin", PORT), b"hello")
            self.addCleanup(server.close)
            # Every worker that has seen it down sees it up.
            for _ in range(20):
                sock = self.connect(PORT)
                self.assertEqual(receive_exactly(sock, 5), b"hello")
                sock.close()
            (up,) = self.expect(edge, "origin_up")
            self.assertEqual(up["origin"], f"{ORIGIN_V4}:{PORT}")
            self.assertIn(up["message"], edge.errors())

    def test_programs_read_the_log_as_json(self):
        with patch.dict(os.environ, RINGROAD_LOG_FORMAT="json"), self.edge(service(PORT)) as edge:
            self.fail_to_connect(5)
            self.expect(edge, "origin_down")
            lines = [json.loads(line) for line in edge.errors().splitlines() if line != "ready"]
            (down,) = [line for line in lines if line.get("event") == "origin_down"]
            self.assertEqual((down["level"], down["origin"]), ("WARN", f"{ORIGIN_V4}:{PORT}"))
            self.assertEqual((down["service"], down["count"]), ("web", 3))

    def test_a_flood_of_refused_connections_is_told_of_by_its_number(self):
        self.needs("limits for all")
        attempts = 200
        with self.edge(service(PORT, max_connections=1, fallback="reset")) as edge:
            server = EchoServer(self.listen("origin", PORT), b"hello")
            self.addCleanup(server.close)
            first = self.connect(PORT)
            self.assertEqual(receive_exactly(first, 5), b"hello")
            for _ in range(attempts):
                with self.assertRaises(ConnectionRefusedError):
                    self.connect(PORT)
            refused = self.expect_sum(edge, "connection_refused", attempts)
            first.close()
        self.assertLess(len(refused), 30)
        single = refused[0]
        self.assertTrue(single["client"].startswith(f"{CLIENT_V4}:"), single)
        self.assertEqual((single["service"], single["reason"]), ("web", "max_connections"))
        self.assertTrue(any("more of connection_refused" in each["message"] for each in refused))

    def expect_sum(self, edge, kind, total, seconds=15.0):
        until = time.monotonic() + seconds
        while count_of(found := self.events(edge, kind)) < total:
            self.assertLess(time.monotonic(), until, found)
            time.sleep(0.1)
        self.assertEqual(count_of(found), total)
        return found

    def test_what_is_left_to_linux_is_told_of_with_the_reason(self):
        self.needs("limits for all")
        with self.edge(service(PORT, max_connections=1)) as edge:
            server = EchoServer(self.listen("origin", PORT), b"hello")
            self.addCleanup(server.close)
            first = self.connect(PORT)
            self.assertEqual(receive_exactly(first, 5), b"hello")
            # The first is dropped, its repetition is Linux's, who has nobody there.
            with self.assertRaises((ConnectionRefusedError, TimeoutError)):
                self.connect(PORT, timeout=5)
            told = self.events(edge, "fell_back") or self.expect(edge, "fell_back")
            self.assertEqual(told[0]["service"], "web")
            # The worker's word, or the shield's, to which the worker has said that it is full.
            self.assertIn(told[0]["reason"], ("max_connections", "not_accepting"))
            first.close()


def count_of(events):
    return sum(each["count"] for each in events)
