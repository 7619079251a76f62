"""Opus files that are equal byte for byte when their sound is: libsndfile draws a serial number by chance."""

import io
import struct
from functools import cache
from pathlib import Path

from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from .takes import Samples

_COMPRESSION = 0.85  # libsndfile's scale: about 42 kbit/s
_POLYNOMIAL = 0x04C11DB7  # RFC 3533: not reflected, starts from 0
_SERIAL, _CHECKSUM, _SEGMENTS = 14, 22, 26  # offsets in a page


def write_opus(path: Path, sound: Samples, serial: int) -> None:
    """[n] int16 at 16 kHz -> an Opus file, written beside `path` and renamed; `serial` is the number of its stream."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, sound, SAMPLE_RATE_HZ, format="OGG", subtype="OPUS", compression_level=_COMPRESSION)
    part = path.with_name(path.name + ".part")
    part.write_bytes(renumber(buffer.getvalue(), serial))
    part.replace(path)


def renumber(ogg: bytes, serial: int) -> bytes:
    """An Ogg file with another serial number in every page; raises ValueError where it does not consist of pages."""
    out = bytearray(ogg)
    start = 0
    while start < len(out):
        if out[start : start + 4] != b"OggS":
            raise ValueError(f"no Ogg page at byte {start}")
        segments = out[start + _SEGMENTS]
        body = start + _SEGMENTS + 1 + segments
        end = body + sum(out[start + _SEGMENTS + 1 : body])
        struct.pack_into("<I", out, start + _SERIAL, serial)
        struct.pack_into("<I", out, start + _CHECKSUM, 0)
        struct.pack_into("<I", out, start + _CHECKSUM, checksum(out[start:end]))
        start = end
    return bytes(out)


def checksum(page: bytes | bytearray) -> int:
    """CRC-32 of an Ogg page whose checksum field is zero."""
    table = _table()
    crc = 0
    for byte in page:
        crc = (crc << 8 & 0xFFFFFFFF) ^ table[crc >> 24 ^ byte]
    return crc


@cache
def _table() -> tuple[int, ...]:
    out = []
    for byte in range(256):
        crc = byte << 24
        for _ in range(8):
            crc = crc << 1 ^ (_POLYNOMIAL if crc & 0x80000000 else 0)
        out.append(crc & 0xFFFFFFFF)
    return tuple(out)
