"""Small helpers over plain sockets, on whichever host they were made."""

import hashlib
import selectors
import socket
import struct
import threading

CHUNK = 256 * 1024


def receive_exactly(sock, count):
    """The next `count` octets; raises if the stream ends before."""
    parts = bytearray()
    while len(parts) < count:
        part = sock.recv(min(CHUNK, count - len(parts)))
        if not part:
            raise AssertionError(f"stream ended after {len(parts)} of {count} octets")
        parts += part
    return bytes(parts)


def receive_all(sock):
    """Everything up to the end of the stream."""
    parts = bytearray()
    while part := sock.recv(CHUNK):
        parts += part
    return bytes(parts)


def digest_of(sock, on_chunk=lambda chunk: None):
    """Reads to the end of the stream; its length and SHA-256. `on_chunk` may dawdle."""
    digest, length = hashlib.sha256(), 0
    while chunk := sock.recv(CHUNK):
        digest.update(chunk)
        length += len(chunk)
        on_chunk(chunk)
    return length, digest.hexdigest()


def abort(sock):
    """Closes with a reset instead of a FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def in_background(function, *arguments):
    """Runs a function beside the test; returns a callable that waits for its result."""
    outcome = {}

    def body():
        try:
            outcome["result"] = function(*arguments)
        except BaseException as error:  # Handed to the test, which raises it.
            outcome["error"] = error

    thread = threading.Thread(target=body, daemon=True)
    thread.start()

    def result(seconds=30):
        thread.join(seconds)
        if thread.is_alive():
            raise AssertionError(f"{function.__name__} still running after {seconds} s")
        if "error" in outcome:
            raise outcome["error"]
        return outcome["result"]

    return result


class EchoServer:
    """Greets each connection on a listening socket, then sends back what it receives."""

    def __init__(self, listener, greeting=b""):
        self._greeting = greeting
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._pending = {}
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def open_connections(self):
        return len(self._pending)

    def close(self):
        self._wake.send(b"x")
        self._thread.join()
        for sock in (*self._pending, self._listener, self._wake, self._woken):
            sock.close()

    def _serve(self):
        while True:
            for key, events in self._selector.select():
                if key.fileobj is self._woken:
                    return
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._echo(key.fileobj, events)

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except BlockingIOError:
                return
            sock.setblocking(False)
            self._pending[sock] = self._greeting
            # Writable at once; then it is known what to wait for.
            self._selector.register(sock, selectors.EVENT_WRITE)

    def _echo(self, sock, events):
        try:
            if events & selectors.EVENT_READ:
                data = sock.recv(CHUNK)
                if not data:
                    self._forget(sock)
                    return
                self._pending[sock] += data
            sent = sock.send(self._pending[sock])
            self._pending[sock] = self._pending[sock][sent:]
        except BlockingIOError:
            pass
        except OSError:
            self._forget(sock)
            return
        # With data left over, write before reading on: an echo must not buffer without bound.
        wanted = selectors.EVENT_WRITE if self._pending[sock] else selectors.EVENT_READ
        self._selector.modify(sock, wanted)

    def _forget(self, sock):
        self._selector.unregister(sock)
        del self._pending[sock]
        sock.close()
