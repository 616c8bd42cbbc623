"""A TCP client made by hand: it says nothing before the test does, and lies on demand."""

import itertools
import socket
import struct
import time

from .lab import EDGE_V4
from .packets import ACK, ETHERNET, IPV4, PSH, RST, SYN, TCP, Forge

# Maximum segment size 1460, SACK, timestamps, window scale 7.
OFFER = bytes.fromhex("020405b4 0402 080a 0000004d 00000000 01 030307")


class HandmadeClient:
    """One connection from an address that the client's Linux does not have, over IPv4."""

    # Linux may remember the last one's.
    _source_ports = itertools.count(4000)

    def __init__(self, lab, port, address="10.10.1.77"):
        macs = _mac(lab, "client", "eth0"), _mac(lab, "edge", "wan0")
        self._forge = Forge(*macs, address, EDGE_V4, port)
        self._ends = (port, next(self._source_ports))
        self._address = socket.inet_aton(address)
        # Nobody answers ARP for it, nor resets what arrives.
        lab.ip("edge", f"neigh replace {address} lladdr {macs[0]} dev wan0")
        with lab.inside("client"):
            self._wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        self._wire.bind(("eth0", 0))
        self._sequence, self._acknowledgement = 1000, 0
        self._echo = 0

    def open(self):
        """Sends a SYN, and returns when it is answered. It does not acknowledge the answer."""
        self._send(SYN, options=OFFER)
        self._sequence += 1
        answer = self._receive(lambda segment: segment.flags == SYN | ACK)
        self._acknowledgement = answer.sequence + 1 & 0xFFFFFFFF
        # Behind the maximum segment size and SACK.
        (self._echo,) = struct.unpack("!I", answer.options[8:12])

    def acknowledge(self, payload=b"", off_by=0):
        """Acknowledges what has arrived, wrongly if told so, with data of its own."""
        self._acknowledgement = self._acknowledgement + off_by & 0xFFFFFFFF
        options = b"\1\1\x08\x0a" + struct.pack("!II", 78, self._echo)
        self._send(ACK | PSH, options=options, payload=payload)
        self._sequence += len(payload)

    def receive(self, count):
        """The next `count` octets from the other side."""
        data = b""
        while len(data) < count:
            segment = self._receive(
                lambda s: s.flags & RST or s.payload and s.sequence == self._acknowledgement
            )
            if segment.flags & RST:
                raise ConnectionResetError
            data += segment.payload
            self._acknowledgement += len(segment.payload)
            self.acknowledge()
        return data

    def close(self):
        """No more is heard of it."""
        self._wire.close()

    def _send(self, flags, **more):
        port = self._ends[1]
        self._wire.send(
            self._forge.packet(port, flags, self._sequence, self._acknowledgement, **more)
        )

    def _receive(self, wanted, seconds=5.0):
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._wire.settimeout(left)
            segment = self._parse(self._wire.recv(2048))
            if segment and wanted(segment):
                return segment
        raise TimeoutError("not what was waited for")

    def _parse(self, frame):
        ip = frame[ETHERNET:]
        if ip[9] != socket.IPPROTO_TCP or ip[16:20] != self._address:
            return None
        segment = Segment(ip[IPV4 : struct.unpack("!H", ip[2:4])[0]])
        return segment if segment.ports == self._ends else None


class Segment:
    """A TCP segment, taken apart."""

    def __init__(self, octets):
        self.ports = struct.unpack("!HH", octets[:4])
        self.sequence, self.acknowledgement = struct.unpack("!II", octets[4:12])
        header = octets[12] >> 4 << 2
        self.flags = octets[13]
        self.options, self.payload = octets[TCP:header], octets[header:]


def _mac(lab, host, interface):
    return lab.run(host, "cat", f"/sys/class/net/{interface}/address").strip()
