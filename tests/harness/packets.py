"""Packets as no stack would send them, made octet by octet."""

import socket
import struct

ETHERNET, IPV4, TCP = 14, 20, 20
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32


class Forge:
    """Makes TCP packets from one host to another, valid unless told otherwise."""

    def __init__(self, source_mac, target_mac, source, target, target_port):
        self._ethernet = _mac(target_mac) + _mac(source_mac) + struct.pack("!H", 0x0800)
        self._source = socket.inet_aton(source)
        self._target = socket.inet_aton(target)
        self._target_port = target_port

    def packet(self, source_port, flags=ACK, sequence=1, acknowledgement=1, payload=b"", **wrong):
        """One frame. `wrong` overrides a field: `tcp_offset` and `ip_length_words` [32-bit words],
        `total_length` [octets], `version`, `fragment`, `options`, `tcp_checksum`, `ip_checksum`."""
        options = wrong.get("options", b"")
        offset = wrong.get("tcp_offset", (TCP + len(options)) // 4)
        segment = bytearray(
            struct.pack(
                "!HHIIBBHHH",
                source_port,
                self._target_port,
                sequence,
                acknowledgement,
                offset << 4,
                flags,
                65535,
                0,
                0,
            )
        )
        segment += options + payload
        pseudo = self._source + self._target
        pseudo += struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(segment))
        checksum = wrong.get("tcp_checksum", internet_checksum(pseudo + segment))
        segment[16:18] = struct.pack("!H", checksum)
        header = bytearray(
            struct.pack(
                "!BBHHHBBH",
                wrong.get("version", 4) << 4 | wrong.get("ip_length_words", IPV4 // 4),
                0,
                wrong.get("total_length", IPV4 + len(segment)),
                0,
                wrong.get("fragment", 0),
                64,
                socket.IPPROTO_TCP,
                0,
            )
        )
        header += self._source + self._target
        header[10:12] = struct.pack("!H", wrong.get("ip_checksum", internet_checksum(header)))
        return self._ethernet + bytes(header) + bytes(segment)


def internet_checksum(octets):
    """RFC 1071: the complement of the one's complement sum of all 16-bit words."""
    octets = bytes(octets) + b"\0" * (len(octets) % 2)
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _mac(text):
    return bytes.fromhex(text.replace(":", ""))
