"""Spotters beside tinyhark, each behind one function: the next sound of a stream in, scores of its words out.

    pip install pymicro-wakeword==2.5.0 pyopen-wakeword==1.1.0
    pip install --no-deps pvporcupine==1.9.5     # the last that runs without a key; its enum34 is for Python 2

A library is imported when its spotter is made, so that a process which runs one holds nothing of the others.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# The next int16 of a stream -> the new rows of scores, 0 to 1: one a word; where it decides for itself, 0 or 1 for
# each word at the first setting, then at the next one.
Feed = Callable[[bytes], Sequence[Sequence[float]]]

PHRASES = ("alexa", "computer", "jarvis", "snowboy")
SENSITIVITIES = (0.1, 0.3, 0.5, 0.7, 0.9)  # each costs as much as the default alone
_FRAME_BYTES = 1024


@dataclass(frozen=True)
class Peer:
    """words: what it listens for; step_samples: of the scores; default: its threshold, or setting.

    settings: at which a spotter can run that decides for itself; () for one that gives scores.
    """

    name: str
    version: str
    words: tuple[str, ...]
    step_samples: int
    default: float
    settings: tuple[float, ...] = ()

    def feed(self, settings: Sequence[float] = ()) -> Feed:
        """Begin a stream, at these settings (its default) where it has any; ImportError without its library."""
        return _FEEDS[self.name](self, settings or (self.default,))


def _pymicro_wakeword(_: Peer, __: Sequence[float]) -> Feed:
    from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model

    features, spotter = MicroWakeWordFeatures(), MicroWakeWord.from_builtin(Model.ALEXA)

    def feed(chunk: bytes) -> list[list[float]]:
        scores = [spotter.process_streaming_prob(f) for f in features.process_streaming(chunk)]
        return [[score] for score in scores if score]  # 0 where it only gathers features

    return feed


def _pyopen_wakeword(_: Peer, __: Sequence[float]) -> Feed:
    from pyopen_wakeword import Model, OpenWakeWord, OpenWakeWordFeatures

    features, spotter = OpenWakeWordFeatures.from_builtin(), OpenWakeWord.from_builtin(Model.ALEXA)

    def feed(chunk: bytes) -> list[list[float]]:
        return [[score] for f in features.process_streaming(chunk) for score in spotter.process_streaming(f)]

    return feed


def _pvporcupine(peer: Peer, settings: Sequence[float]) -> Feed:
    import pvporcupine

    many = len(peer.words)
    spotters = [pvporcupine.create(keywords=list(peer.words), sensitivities=[s] * many) for s in settings]
    rest = b""

    def feed(chunk: bytes) -> list[list[float]]:
        nonlocal rest
        rest += chunk
        rows = []
        while len(rest) >= _FRAME_BYTES:
            frame, rest = struct.unpack("<512h", rest[:_FRAME_BYTES]), rest[_FRAME_BYTES:]
            row = [0.0] * (many * len(spotters))
            for place, spotter in enumerate(spotters):
                if (fired := spotter.process(frame)) >= 0:
                    row[place * many + fired] = 1.0
            rows.append(row)
        return rows

    return feed


_FEEDS = {
    "pymicro-wakeword": _pymicro_wakeword,
    "pyopen-wakeword": _pyopen_wakeword,
    "pvporcupine": _pvporcupine,
}
PEERS = (
    Peer("pymicro-wakeword", "2.5.0", ("alexa",), 480, 0.9),
    Peer("pyopen-wakeword", "1.1.0", ("alexa",), 1280, 0.5),
    Peer("pvporcupine", "1.9.5", PHRASES, 512, 0.5, SENSITIVITIES),
)
