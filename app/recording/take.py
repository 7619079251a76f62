"""A take: some seconds in which somebody was asked to say a word. Is it a good recording, and where is the word?"""

from dataclasses import dataclass

import numpy as np

from tinyhark.dsp.front_end import FrontEnd, Samples
from tinyhark.dsp.tables import FRAME_SAMPLES, HOP_SAMPLES, LOG_BITS, SAMPLE_RATE_HZ

from ..audio.health import CLIPPED_SHARE, FAINT_RANGE, Second

QUIET_DBFS = -50.0  # the word's RMS
RANGE_DB = 30.0  # what is within it of the loudest frame belongs to the word, as in `word_bounds`,
ABOVE_ROOM_DB = 10.0  # if it is also that much louder than the room
LEAST_ABOVE_ROOM_DB = 15.0  # the loudest frame
SHORTEST_S = 0.1
_ROOM = 20  # percent of the frames that are at most as loud as the room
_EDGE_S = 0.06  # a word that comes so near to an end is cut off
_MARGIN_S = 0.3  # of room that is kept on both sides


@dataclass(frozen=True, slots=True)
class Take:
    """A judged take: the word with some room around it, its RMS, and what is wrong with it, None if nothing is."""

    sound: Samples
    level_dbfs: float
    complaint: str | None


def judge(sound: Samples) -> Take:
    """[n] int16, a second or more, of one word."""
    whole = Second.of(sound)
    if whole.high - whole.low <= FAINT_RANGE:
        return Take(sound, whole.dbfs, "there is no signal: is the microphone muted? hark doctor helps")
    first, end, above_room_db = _bounds(sound)
    word = Second.of(sound[first:end])
    kept = sound[max(0, first - _samples(_MARGIN_S)) : end + _samples(_MARGIN_S)]
    return Take(kept, word.dbfs, _complaint(word, first, end, len(sound), above_room_db))


def _complaint(word: Second, first: int, end: int, samples: int, above_room_db: float) -> str | None:
    if above_room_db < LEAST_ABOVE_ROOM_DB or end - first < _samples(SHORTEST_S):
        return "no word was found: speak up, nearer to the microphone, or where it is quieter"
    if first < _samples(_EDGE_S):
        return "the beginning is cut off: wait for the sign"
    if end > samples - _samples(_EDGE_S):
        return "the end is cut off: speak right after the sign"
    if word.clipped > CLIPPED_SHARE * (end - first):
        return "it is clipped: speak more softly, or lower the capture volume"
    if word.dbfs < QUIET_DBFS:
        return f"it is too quiet, {word.dbfs:.0f} dBFS: speak up, or raise the capture volume"
    return None


def _bounds(sound: Samples) -> tuple[int, int, float]:
    """First sample of the word, one past its last, and how many dB its loudest frame is above the room."""
    sums = np.exp2(FrontEnd().log_mel(sound) * 2.0**-LOG_BITS).sum(axis=1)
    levels_db = 10 * np.log10(sums)
    room_db, peak_db = float(np.percentile(levels_db, _ROOM)), float(levels_db.max())
    loud = np.flatnonzero(levels_db >= max(peak_db - RANGE_DB, min(room_db + ABOVE_ROOM_DB, peak_db)))
    first, last = int(loud[0]), int(loud[-1])
    return first * HOP_SAMPLES, last * HOP_SAMPLES + FRAME_SAMPLES, peak_db - room_db


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ)
