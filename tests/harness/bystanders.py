"""Who has no business with the edge, and must not notice it: somebody typing over SSH, and ping."""

import re
import socket
import threading
import time

from .sockets import receive_exactly

# Longest pause that somebody typing over SSH would put up with without noticing [seconds].
GAP_MOST = 0.3


class Typist:
    """Types over one long-lived connection, waiting for each key's echo; notes how long it took."""

    def __init__(self, sock):
        self._sock = sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._gaps = []
        self._done = threading.Event()
        self._error = None
        self._thread = threading.Thread(target=self._type, daemon=True)
        self._thread.start()

    def finish(self):
        """Stops typing; the time each echo took [seconds]. Raises what went wrong."""
        self._done.set()
        self._thread.join()
        if self._error:
            raise self._error
        return self._gaps

    def _type(self):
        try:
            while not self._done.wait(0.005):
                began = time.monotonic()
                self._sock.sendall(b"k")
                receive_exactly(self._sock, 1)
                self._gaps.append(time.monotonic() - began)
        except (OSError, AssertionError) as error:
            self._error = error


def ping_pauses(output):
    """Times between one reply and the next [seconds]."""
    stamps = [float(found) for found in re.findall(r"^\[([\d.]+)\].* time=", output, re.MULTILINE)]
    return [later - earlier for earlier, later in zip(stamps, stamps[1:])]
