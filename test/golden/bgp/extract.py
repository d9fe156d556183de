"""Prints the BGP messages of a capture, one a line, each once: sender, then the message in hex. No KEEPALIVEs.

    extract.py OUT/frr.pcap frr > frr.txt
"""
import struct
import sys

DIALLER = "10.77.0.1"


def packets(data):
    offset = 24
    while offset + 16 <= len(data):
        (length,) = struct.unpack("<I", data[offset + 8 : offset + 12])
        yield data[offset + 16 : offset + 16 + length]
        offset += 16 + length


def messages(data):
    streams = {}
    for packet in packets(data):
        if packet[12:14] != b"\x08\x00":
            continue
        ip = packet[14:]
        header = (ip[0] & 15) * 4
        source = ".".join(map(str, ip[12:16]))
        tcp = ip[header : struct.unpack(">H", ip[2:4])[0]]
        from_port, to_port, sequence = struct.unpack(">HHI", tcp[:8])
        payload = tcp[(tcp[12] >> 4) * 4 :]
        stream = streams.setdefault((source, from_port, to_port), {"octets": b"", "next": sequence})
        if not payload or sequence < stream["next"]:
            continue
        stream["next"] = sequence + len(payload)
        octets = stream["octets"] + payload
        while len(octets) >= 19:
            (length,) = struct.unpack(">H", octets[16:18])
            if len(octets) < length:
                break
            yield source, octets[:length]
            octets = octets[length:]
        stream["octets"] = octets


def main():
    seen = set()
    for source, message in messages(open(sys.argv[1], "rb").read()):
        if message[18] == 4 or message in seen:
            continue
        seen.add(message)
        print("bird" if source == DIALLER else sys.argv[2], message.hex())


main()
