"""A client without a TCP: it sends what a test says, and shows what comes back."""

import socket
import struct
import time
from dataclasses import dataclass

from .lab import EDGE_V4
from .packets import ACK, ETHERNET, IPV4, Forge

# Of the client's network, and of no host's.
ADDRESS = "10.10.1.99"

_ETHERTYPE_IPV4 = 0x0800


@dataclass(frozen=True)
class Segment:
    """What matters of a segment that came back."""

    flags: int
    sequence: int
    acknowledgement: int


class RawClient:
    """Sends segments to one port of the edge, from the client's interface while that is there."""

    def __init__(self, lab, target_port, source_port=40_000):
        client_mac, edge_mac = (
            lab.run(host, "cat", f"/sys/class/net/{interface}/address").strip()
            for host, interface in (("client", "eth0"), ("edge", "wan0"))
        )
        # Nobody would answer for this address.
        lab.ip("edge", f"neigh replace {ADDRESS} lladdr {client_mac} dev wan0 nud permanent")
        self._macs = client_mac, edge_mac
        self._target_port, self._source_port = target_port, source_port
        with lab.inside("client"):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, _ETHERTYPE_IPV4)
        self._socket.bind(("eth0", _ETHERTYPE_IPV4))

    def close(self):
        self._socket.close()

    def send(self, flags, sequence, acknowledgement=0, port=None, source_port=None):
        """Sends one segment; `port` and `source_port` in place of its own."""
        forge = Forge(*self._macs, ADDRESS, EDGE_V4, port or self._target_port)
        source_port = source_port or self._source_port
        self._socket.send(forge.packet(source_port, flags, sequence, acknowledgement))

    def receive(self, flags=ACK, within=5.0):
        """The next segment to it that has all of these flags."""
        until = time.monotonic() + within
        while (left := until - time.monotonic()) > 0:
            self._socket.settimeout(left)
            segment = self._segment(self._socket.recv(2048))
            if segment and segment.flags & flags == flags:
                return segment
        raise TimeoutError(f"nothing for {ADDRESS}:{self._source_port}")

    def _segment(self, frame):
        packet = frame[ETHERNET:]
        ports = struct.pack("!HH", self._target_port, self._source_port)
        to_us = packet[16:IPV4] == socket.inet_aton(ADDRESS) and packet[IPV4 : IPV4 + 4] == ports
        if not to_us:
            return None
        sequence, acknowledgement, _, flags = struct.unpack_from("!IIBB", packet, IPV4 + 4)
        return Segment(flags, sequence, acknowledgement)
