"""Whether a sound file is shorter than it says, where libsndfile reads what is there and says nothing."""

import re
import struct
from pathlib import Path

_UNKNOWN_BYTES = 0x7FFF0000  # programs that write to a pipe put a size at or above this into the header
_OGG_PAGE_BYTES = 27 + 255 + 255 * 255
_OGG_PAGE, _MP3_TAGS, _MP3_HAS_BYTES = b"OggS", (b"Xing", b"Info"), 2


def shortfall(path: Path, log: str) -> str | None:
    """What is missing from the end of a sound file, or None; log: libsndfile's own, where it corrects the header."""
    return _corrected(log) or _open_page(path) or _mp3(path)


def _corrected(log: str) -> str | None:
    """WAV, AIFF, AU, W64: libsndfile notes the size in the header beside the size that the file allows."""
    for match in re.finditer(r"(\d+) \(should be (\d+)\)", log):
        stated, found = int(match[1]), int(match[2])
        if found < stated < _UNKNOWN_BYTES:
            return f"its header says {stated} bytes, there are {found}"
    return None


def _open_page(path: Path) -> str | None:
    """Ogg: the last page ends where the file ends. (Live recordings lack an end mark; that alone is no fault.)"""
    with path.open("rb") as file:
        if file.read(4) != _OGG_PAGE:
            return None
        size = file.seek(0, 2)
        start = file.seek(max(0, size - _OGG_PAGE_BYTES))
        tail = file.read()
    page = tail.rfind(_OGG_PAGE)
    if page < 0:
        return None
    head = tail[page : page + 27]
    segments = tail[page + 27 : page + 27 + head[26]] if len(head) == 27 else b""
    if len(head) < 27 or len(segments) < head[26]:
        return "its last page is cut inside its header"
    missing = start + page + 27 + len(segments) + sum(segments) - size
    return f"its last page lacks {missing} bytes" if missing > 0 else None


def _mp3(path: Path) -> str | None:
    """MP3: encoders that know the length note the number of bytes in the first frame."""
    with path.open("rb") as file:
        head = file.read(10)
        start = 0
        if head[:3] == b"ID3" and len(head) == 10:  # a tag of up to 2**28 bytes stands before the sound: 4 x 7 bits
            start = 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
        file.seek(start)
        frame = file.read(64)
        size = file.seek(0, 2) - start
    if len(frame) < 64 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0:
        return None
    tags = [at for at in (frame.find(tag) for tag in _MP3_TAGS) if at >= 0]
    if not tags or not frame[tags[0] + 7] & _MP3_HAS_BYTES:
        return None
    at = tags[0] + 8 + (4 if frame[tags[0] + 7] & 1 else 0)
    (stated,) = struct.unpack(">I", frame[at : at + 4])
    # The note counts no tags that stand at the end (ID3v1, APE); a file may be longer than it, never shorter.
    return f"its header says {stated} bytes, there are {size}" if size < stated else None
