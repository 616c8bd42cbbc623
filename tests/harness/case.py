"""How an end-to-end test reads: a lab for its file, an edge for its story, both ends in hand."""

import resource
import signal
import socket
import tempfile
import unittest
from contextlib import contextmanager

from . import programs, xdp
from .arrangement import ARRANGEMENTS, RUN_TO_COMPLETION
from .driver import DRIVERS
from .edge import EDGES
from .content import random_file
from .lab import CLIENT_V4, CLIENT_V6, EDGE_V4, EDGE_V6, ORIGIN_V4, ORIGIN_V6, Lab

ADDRESSES = {
    ("client", socket.AF_INET): CLIENT_V4,
    ("client", socket.AF_INET6): CLIENT_V6,
    ("edge", socket.AF_INET): EDGE_V4,
    ("edge", socket.AF_INET6): EDGE_V6,
    ("origin", socket.AF_INET): ORIGIN_V4,
    ("origin", socket.AF_INET6): ORIGIN_V6,
}


class EdgeCase(unittest.TestCase):
    """A test with a lab.

    The runner sets `EdgeCase.edge_name`, ringroad or a peer, `EdgeCase.driver_name`, what ringroad
    drives its ports with, and `EdgeCase.arrangement`, how it lies on its cores.
    """

    edge_name = "ringroad"
    driver_name = "af_xdp"
    arrangement = RUN_TO_COMPLETION
    # The drivers and arrangements that these tests are about.
    drivers = tuple(DRIVERS)
    arrangements = tuple(ARRANGEMENTS)
    # Longest that one test may take [seconds]; beyond, it is hung.
    time_limit = 60
    wire = False
    mtu = 1500

    @classmethod
    def setUpClass(cls):
        # A thousand connections have two ends each in this process.
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        cls.lab = Lab(wire=cls.wire, mtu=cls.mtu, driver=cls.make_driver(cls.arrangement.queues))
        cls.addClassCleanup(cls.lab.down)
        cls.lab.up()

    @classmethod
    def make_driver(cls, queues):
        """A driver for ports of so many queues each."""
        return DRIVERS[cls.driver_name](queues)

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ringroad-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        signal.signal(signal.SIGALRM, self._out_of_time)
        signal.alarm(self.time_limit)
        self.addCleanup(signal.alarm, 0)

    def promised(self, trait):
        """Whether this edge promises `trait`."""
        return trait in EDGES[self.edge_name].traits and trait not in self.lacks()

    def needs(self, trait):
        """Skips this test for an edge that does not promise `trait`."""
        if not self.promised(trait):
            self.skipTest(self.lacks().get(trait, f"about ringroad's {trait}"))

    def lacks(self):
        """What ringroad cannot promise as it is run here, and why."""
        return self.lab.driver.lacks | self.arrangement.lacks

    @contextmanager
    def edge(self, *services, shield=None, telemetry=None, pin=(), **engine):
        """An edge that serves `services`, with settings of its shield, of what it records and of its
        engine, started by the command `pin` if there is one.

        At the end of the block it must come to rest with its books balanced and stop cleanly.
        """
        settings = {"shield": shield, "telemetry": telemetry, "pin": pin}
        with self.doomed_edge(*services, **settings, **engine) as edge:
            yield edge
            edge.stop()

    @contextmanager
    def doomed_edge(self, *services, shield=None, telemetry=None, pin=(), **engine):
        """An edge that the test treats so badly that nothing is asked of its end."""
        engine = {**self.arrangement.engine, **engine}
        make = EDGES[self.edge_name]
        edge = make(self.lab, self.folder, services, engine, shield, telemetry, pin)
        try:
            edge.start()
            yield edge
        except Exception as error:
            error.add_note(f"{edge.name} said:\n{edge.errors()[-4000:]}")
            raise
        finally:
            edge.kill()

    def nginx(self, http, host="origin", listeners=1):
        """nginx on a host for the rest of the test."""
        process = programs.nginx(self.lab, host, self.folder, http, listeners=listeners)
        self.addCleanup(process.kill)
        return process

    def spawn(self, host, *command, **options):
        """A program on a host that ends with the test."""
        process = self.lab.spawn(host, *command, **options)
        self.addCleanup(process.kill)
        return process

    def attach_foreign_xdp(self, interface, host="edge"):
        """Somebody else's XDP program, which passes all, on an interface for the rest of the test."""
        self.addCleanup(xdp.attach(self.lab, host, interface, xdp.PASS_ALL))

    def listen(self, host, port, family=socket.AF_INET, receive_buffer=None):
        """A listening socket of ours on a host."""
        with self.lab.inside(host):
            listener = socket.socket(family)
        self.addCleanup(listener.close)
        listener.settimeout(10)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if receive_buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        listener.bind((ADDRESSES[host, family], port))
        listener.listen(4096)
        return listener

    def connect(self, port, family=socket.AF_INET, timeout=10, host="edge", source=None):
        """A connection from the client to the edge, from an address of its own choice or `source`."""
        with self.lab.inside("client"):
            sock = socket.socket(family)
        self.addCleanup(sock.close)
        sock.settimeout(timeout)
        if source:
            sock.bind((source, 0))
        try:
            sock.connect((ADDRESSES[host, family], port))
        except OSError:
            sock.close()  # Or Linux would go on trying.
            raise
        return sock

    def accept(self, listener, timeout=10):
        """The next connection on a listening socket."""
        sock, _ = listener.accept()
        self.addCleanup(sock.close)
        sock.settimeout(timeout)
        return sock

    def curl(self, *arguments, seconds=60):
        """curl on the client; its standard output."""
        return self.spawn("client", "curl", "-sS", "--fail", *arguments).expect_success(seconds)

    def random_file(self, size):
        """See `random_file`; in the test's own folder."""
        return random_file(self.folder, size)

    def _out_of_time(self, *_):
        raise TimeoutError(f"the test took longer than {self.time_limit} s")
