#!/usr/bin/env python3
"""Both ends of a download: a server that sends without end, and a client that counts for a while.

    bench/transfer.py serve 10.10.2.2 9000 --congestion cubic
    bench/transfer.py fetch 10.10.1.1 9000 12
"""

import argparse
import json
import socket
import struct
import sys
import threading
import time

CHUNK = 256 * 1024

# What the client's count is noted down for, besides the whole [s].
STEP_SECONDS = 0.5


def serve(address, port, congestion):
    listener = socket.create_server((address, port), reuse_port=True)
    if congestion:
        # What is accepted inherits it, so that the initial window is already under it.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())
    print("ready", file=sys.stderr, flush=True)
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=_send_for_ever, args=(sock,), daemon=True).start()


def _send_for_ever(sock):
    content = bytes(CHUNK)
    with sock:
        try:
            while True:
                sock.sendall(content)
        except OSError:
            pass  # The client has had enough.


def fetch(address, port, seconds):
    """Receives for `seconds` from the moment of connection; what came by when [octets]."""
    sock = socket.create_connection((address, port), timeout=seconds + 20)
    start = time.monotonic()
    room = bytearray(CHUNK)
    octets, steps = 0, []
    while True:
        left = start + seconds - time.monotonic()
        if left <= 0:
            break
        sock.settimeout(left)
        try:
            count = sock.recv_into(room)
        except TimeoutError:
            break
        if count == 0:
            raise SystemExit("the server has ended the connection")
        while time.monotonic() - start >= (len(steps) + 1) * STEP_SECONDS:
            steps.append(octets)
        octets += count
    # With a reset: neither end has anything left to say.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    print(json.dumps({"octets": octets, "seconds": seconds, "steps": steps}))


def main():
    parser = argparse.ArgumentParser(description="Both ends of a download.")
    actions = parser.add_subparsers(dest="action", required=True)
    server = actions.add_parser("serve")
    server.add_argument("--congestion", help="Linux's name of the algorithm")
    client = actions.add_parser("fetch")
    for each in (server, client):
        each.add_argument("address")
        each.add_argument("port", type=int)
    client.add_argument("seconds", type=float)
    options = parser.parse_args()
    if options.action == "serve":
        serve(options.address, options.port, options.congestion)
    else:
        fetch(options.address, options.port, options.seconds)


if __name__ == "__main__":
    main()
