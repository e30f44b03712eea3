"""Listens to one network interface and writes a line for every packet: who, to whom, how many bytes.

Run as a program in a network namespace. It keeps no content, for TLS leaves none to read.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

_ALL = 0x0003
_IPV4 = 0x0800
_ARP = 0x0806


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet. `payload` is the bytes that TCP carried, `size` the whole frame."""

    kind: str
    source: str
    target: str
    payload: int
    size: int


def describe(frame: bytes) -> Packet:
    """What an Ethernet frame is."""
    (kind,) = struct.unpack_from("!H", frame, 12)
    if kind != _IPV4:
        return Packet("arp" if kind == _ARP else f"ethertype-{kind:04x}", "", "", 0, len(frame))
    head = (frame[14] & 15) * 4
    (total,) = struct.unpack_from("!H", frame, 16)
    source, target = socket.inet_ntoa(frame[26:30]), socket.inet_ntoa(frame[30:34])
    protocol, begin = frame[23], 14 + head
    if protocol not in (socket.IPPROTO_TCP, socket.IPPROTO_UDP):
        return Packet(f"ip-{protocol}", source, target, 0, len(frame))
    from_port, to_port = struct.unpack_from("!HH", frame, begin)
    inner = (frame[begin + 12] >> 4) * 4 if protocol == socket.IPPROTO_TCP else 8
    name = "tcp" if protocol == socket.IPPROTO_TCP else "udp"
    payload = total - head - inner
    return Packet(name, f"{source}:{from_port}", f"{target}:{to_port}", payload, len(frame))


def read(path: Path) -> list[Packet]:
    """The packets written so far."""
    whole = path.read_text().rpartition("\n")[0]
    return [Packet(**json.loads(line)) for line in whole.splitlines()]


def listen(interface: str, path: Path) -> None:
    """Write until killed."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL)) as ear:
        ear.bind((interface, 0))
        with path.open("w", buffering=1) as out:
            while True:
                packet = describe(ear.recv(65536))
                row = {name: getattr(packet, name) for name in Packet.__slots__}
                out.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    listen(sys.argv[1], Path(sys.argv[2]))
