"""How connections end: half, whole, by force, or because the other side is gone."""

import signal
import socket
import time
from pathlib import Path

from harness.arrangement import everywhere
from harness.case import EdgeCase
from harness.content import MIB
from harness.edge import service
from harness.lab import EDGE_V4
from harness.sockets import abort, in_background, receive_all, receive_exactly

PORT = 9000


class Endings(EdgeCase):
    def pair(self, listener):
        """A connection through the edge: its client end and its origin end."""
        client = self.connect(PORT)
        client.sendall(b"?")
        server = self.accept(listener)
        self.assertEqual(receive_exactly(server, 1), b"?")
        return client, server

    @everywhere
    def test_client_half_closes_and_still_receives(self):
        listener = self.listen("origin", PORT)
        reply = bytes(range(256)) * (MIB // 256)
        with self.edge(service(PORT)):
            client, server = self.pair(listener)
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(receive_all(server), b"")
            received = in_background(receive_all, client)
            server.sendall(reply)
            server.close()
            self.assertEqual(received(), reply)
            client.close()

    def test_origin_half_closes_and_still_receives(self):
        listener = self.listen("origin", PORT)
        request = bytes(range(256)) * (MIB // 256)
        with self.edge(service(PORT)):
            client, server = self.pair(listener)
            server.sendall(b"go on")
            server.shutdown(socket.SHUT_WR)
            self.assertEqual(receive_all(client), b"go on")
            received = in_background(receive_all, server)
            client.sendall(request)
            client.close()
            self.assertEqual(received(), request)
            server.close()

    def test_netcat_ends_on_both_sides(self):
        """Two ordinary programs that rely on the FIN to know where the data ends."""
        sent, got = Path(self.folder, "sent"), Path(self.folder, "got")
        sent.write_bytes(bytes(range(256)) * (MIB // 256))
        with self.edge(service(PORT)), open(sent, "rb") as source, open(got, "w+b") as sink:
            server = self.spawn("origin", "nc", "-l", "-N", str(PORT), stdout=sink)
            server.wait_for(lambda: self.is_listening(), "listening")
            client = self.spawn("client", "nc", "-N", EDGE_V4, str(PORT), stdin=source)
            client.expect_success(10)
            server.expect_success(10)
        self.assertEqual(got.read_bytes(), sent.read_bytes())

    def is_listening(self):
        return f":{PORT}" in self.lab.run("origin", "ss", "-Hltn")

    @everywhere
    def test_client_reset_reaches_the_origin(self):
        self.needs("passing on of resets")
        listener = self.listen("origin", PORT)
        with self.edge(service(PORT)):
            client, server = self.pair(listener)
            abort(client)
            self.assert_reset(server, within=1.0)
            server.close()

    def test_origin_reset_reaches_the_client(self):
        self.needs("passing on of resets")
        listener = self.listen("origin", PORT)
        with self.edge(service(PORT)):
            client, server = self.pair(listener)
            abort(server)
            self.assert_reset(client, within=1.0)
            client.close()

    def test_hangup_is_warned_of_and_changes_nothing(self):
        self.needs("configuration")
        listener = self.listen("origin", PORT)
        with self.edge(service(PORT)) as edge:
            client, server = self.pair(listener)
            edge.signal(signal.SIGHUP)
            until = time.monotonic() + 5
            while "SIGHUP: this version cannot reload" not in edge.errors():
                self.assertLess(time.monotonic(), until, edge.errors())
                time.sleep(0.01)
            server.sendall(b"go on")
            self.assertEqual(receive_exactly(client, 5), b"go on")
            for each in (client, server, *self.pair(listener)):
                each.close()

    def test_abrupt_ends_under_load_leave_nothing_behind(self):
        """Resets while data is in flight both ways; what each connection held must come back."""
        listener = self.listen("origin", PORT)
        with self.edge(service(PORT)):
            for number in range(50):
                client, server = self.pair(listener)
                for end in (client, server):
                    end.setblocking(False)
                    fill(end, MIB)
                abort(server if number % 2 else client)
                survivor = client if number % 2 else server
                survivor.settimeout(5)
                self.assert_ended(survivor, within=5.0)
                survivor.close()

    def test_refusing_origin_ends_the_client_at_once(self):
        with self.edge(service(PORT)):
            began = time.monotonic()
            try:
                client = self.connect(PORT)
                self.assert_ended(client, within=1.0)
                client.close()
            # The client's Linux may have heard of the end before `connect` returns.
            except (ConnectionRefusedError, ConnectionResetError):
                pass
            self.assertLess(time.monotonic() - began, 1.0)

    def test_unreachable_origin_ends_the_client_after_the_connect_timeout(self):
        self.lab.take_away("origin")
        self.addCleanup(self.lab.bring_back, "origin")
        with self.edge(service(PORT, connect_timeout="3s")):
            try:
                self.assert_ended(self.connect(PORT), within=6.0)
            except (ConnectionRefusedError, TimeoutError):
                pass

    def test_origin_that_vanishes_mid_stream_ends_the_client(self):
        listener = self.listen("origin", PORT)
        with self.edge(service(PORT, idle_timeout="10s")):
            client, server = self.pair(listener)
            self.lab.take_away("origin")
            self.addCleanup(self.lab.bring_back, "origin")
            client.setblocking(False)
            fill(client, MIB)
            client.settimeout(25)
            self.assert_ended(client, within=20.0)
            client.close()

    def assert_reset(self, sock, within):
        sock.settimeout(within)
        with self.assertRaises(ConnectionResetError):
            receive_all(sock)

    def assert_ended(self, sock, within):
        """The stream ends, in whichever way, within so many seconds."""
        until = time.monotonic() + within
        sock.settimeout(within)
        try:
            while sock.recv(MIB):
                self.assertLess(time.monotonic(), until, "data goes on and on")
        except (ConnectionResetError, BrokenPipeError):
            pass


def fill(sock, most):
    """Writes until the socket takes no more, or `most` octets."""
    written = 0
    try:
        while written < most:
            written += sock.send(bytes(65536))
    except BlockingIOError:
        pass
    return written
