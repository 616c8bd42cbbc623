"""Who serves a connection, the engine or Linux: each has a server behind it that says so."""

import time

from .case import EdgeCase
from .sockets import EchoServer, receive_exactly


class GreetingCase(EdgeCase):
    """Two servers greet on the same port: the origin as `engine`, one in the edge's own kernel."""

    port = 80

    def setUp(self):
        super().setUp()
        self.needs("fallback")
        self.clients = []
        self.greet("origin", b"engine")

    def greet(self, host, greeting, **how):
        server = EchoServer(self.listen(host, self.port, **how), greeting)
        self.addCleanup(server.close)

    def served_by(self, timeout=5.0):
        """Who serves a new connection, which stays open: `engine` or `kernel`."""
        self.clients.append(self.connect(self.port, timeout=timeout))
        return receive_exactly(self.clients[-1], 6).decode()

    def close_clients(self):
        for sock in self.clients:
            sock.close()

    def time_until_served_by(self, who, seconds=5.0):
        """Opens connection after connection, none waiting for its SYN to be sent again."""
        began = time.monotonic()
        while True:
            try:
                if self.served_by(timeout=0.02) == who:
                    return time.monotonic() - began
            except (TimeoutError, ConnectionError):
                pass
            if time.monotonic() > began + seconds:
                self.fail(f"no connection was served by the {who} within {seconds} s")

    def assert_echoes(self, sock):
        sock.sendall(b"still here")
        self.assertEqual(receive_exactly(sock, 10), b"still here")
