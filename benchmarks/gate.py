"""Does the level gate change what is heard, and what does it save? A model with and without it, on the same sound.

    python benchmarks/gate.py DATA [--model NAME|FILE] [--json FILE] [RECORDING ...]

DATA: a folder with negatives/*, wake-phrases/*/*, speech-commands/validation/*/* and speech-commands/noise/*, as far as
they are there. Streams: each of the negatives; the clips of the folders that know a word of the model, in gaps as
`hark eval stream` has them, clean and in each noise at 10 and 5 dB; words with faint noise between them, as in a quiet
room; words in one steady noise, 20 to 0 dB below the loudest 0.2 s of each, which is where a gate loses most; each
RECORDING. A detection is the same when keyword and time are. All that differ are listed. Exit status 1 where one does.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from table import print_table

from tinyhark.app.audio.files import find_sound_files, read_blocks, read_sound
from tinyhark.app.detection import Detection
from tinyhark.app.evaluation.scenario import Scenario
from tinyhark.app.evaluation.streams import render
from tinyhark.app.model import Binding, Model
from tinyhark.app.progress import progress
from tinyhark.app.spotter import Spotter
from tinyhark.dsp import SAMPLE_RATE_HZ, to_int16

Sound = NDArray[np.int16]
Wave = NDArray[np.float64]
Streams = Iterator[tuple[str, Callable[[], Iterable[Sound]]]]  # the kind of each, and its blocks

POSITIVES = ("wake-phrases", "speech-commands/validation")
SNRS_DB = (None, 10.0, 5.0)
GAP_S = (1.5, 3.5)
WORDS = 100
FAINT = 10 ** (-65 / 20)
STEADY_SNRS_DB = (20, 10, 5, 0)
SLOPES = {"white": 0.0, "pink": -0.5, "brown": -1.0}  # of the amplitude over frequency
LOUDEST = 0.05  # RMS of the loudest 0.2 s of a word in steady noise


class Counted(Model):
    """A model that counts how often its networks are asked."""

    asked = 0

    def bind(self) -> Binding:
        binding = super().bind()
        run = binding.run

        def counted() -> NDArray[np.int8]:
            self.asked += 1
            return run()

        binding.run = counted
        return binding


class Listener:
    """A spotter with what it heard in a stream; how often its network was asked, and the CPU time, in all."""

    def __init__(self, model: str, *, gate: bool) -> None:
        self.model = Counted.load(model)
        self._spotter = Spotter(self.model, gate=gate)
        self.cpu_s = 0.0
        self.heard: list[Detection] = []

    def feed(self, block: Sound | None) -> None:
        start = time.process_time()
        self.heard += self._spotter.finish() if block is None else self._spotter.feed(block)
        self.cpu_s += time.process_time() - start


@dataclass
class Tally:
    """One kind of sound: what was heard without the gate, what differs with it, and what it saved."""

    streams: int = 0
    sound_s: float = 0.0
    detections: int = 0
    lost: list[tuple[int, Detection]] = field(default_factory=list)  # the number of the stream with each
    gained: list[tuple[int, Detection]] = field(default_factory=list)
    score_change: float = 0.0  # the largest, of those that are the same
    windows: int = 0
    gated_windows: int = 0
    cpu_s: float = 0.0
    gated_cpu_s: float = 0.0

    def compare(self, blocks: Iterable[Sound], plain: Listener, gated: Listener) -> None:
        """Hear one more stream."""
        self.streams += 1
        for listener in (plain, gated):
            listener.heard, listener.cpu_s, listener.model.asked = [], 0.0, 0
        turns = [plain, gated]
        for block in blocks:
            self.sound_s += len(block) / SAMPLE_RATE_HZ
            for listener in turns:
                listener.feed(block)
            turns.reverse()  # the first finds the caches cold
        for listener in (plain, gated):
            listener.feed(None)
        before, after = ({(d.keyword, d.end_sample): d for d in one.heard} for one in (plain, gated))
        self.detections += len(before)
        self.lost += [(self.streams, d) for key, d in before.items() if key not in after]
        self.gained += [(self.streams, d) for key, d in after.items() if key not in before]
        changes = [abs(after[key].score - d.score) for key, d in before.items() if key in after]
        self.score_change = max([self.score_change, *changes])
        self.windows += plain.model.asked
        self.gated_windows += gated.model.asked
        self.cpu_s += plain.cpu_s
        self.gated_cpu_s += gated.cpu_s

    def __add__(self, other: "Tally") -> "Tally":
        both = zip(asdict(self).items(), asdict(other).values(), strict=True)
        return Tally(**{name: max(a, b) if name == "score_change" else a + b for (name, a), b in both})

    def row(self, kind: str) -> list[str]:
        """As in HEADER."""
        return [
            kind,
            f"{self.sound_s:,.0f}",
            str(self.detections),
            str(len(self.lost)),
            str(len(self.gained)),
            f"{self.score_change:.4f}",
            f"{100 * (1 - self.gated_windows / self.windows):.1f} %",
            f"{1000 * self.cpu_s / self.sound_s:.2f}",
            f"{1000 * self.gated_cpu_s / self.sound_s:.2f}",
            f"{100 * (1 - self.gated_cpu_s / self.cpu_s):.0f} %",
        ]


HEADER = ["kind of sound", "s", "heard", "lost", "gained", "score", "skipped", "CPU ms/s", "gated", "saved"]


def streams(data: Path, recordings: Sequence[Path], words: Sequence[str]) -> Streams:
    negatives = data / "negatives"
    for file in [*(find_sound_files(negatives) if negatives.is_dir() else []), *recordings]:
        yield file.stem, lambda file=file: read_blocks(file)
    known = [data / name for name in POSITIVES if any((data / name / word).is_dir() for word in words)]
    noise = data / "speech-commands/noise"
    scenario = Scenario(tuple(known), noise=noise, snrs_db=SNRS_DB if noise.is_dir() else (None,))
    for stream in scenario.streams(words):
        kind = f"words, {stream.condition} {stream.kind}".strip()
        yield kind, lambda stream=stream: render(stream).blocks
    rng = np.random.default_rng(0)
    files = [
        path for folder in known for word in words if (folder / word).is_dir() for path in (folder / word).iterdir()
    ]
    chosen = [sorted(files)[index] for index in rng.permutation(len(files))[:WORDS]]
    yield "words, faint noise", lambda: in_faint_noise(chosen, rng)
    for name, slope in SLOPES.items():
        for snr_db in STEADY_SNRS_DB:
            yield (
                f"words, steady {name} noise, {snr_db} dB",
                lambda slope=slope, snr_db=snr_db: in_steady_noise(chosen, rng, slope, snr_db),
            )


def in_faint_noise(files: Iterable[Path], rng: np.random.Generator) -> Iterator[Sound]:
    """The recordings, each after some seconds, in the noise of a quiet room."""
    for file in files:
        gap = np.zeros(int(rng.uniform(*GAP_S) * SAMPLE_RATE_HZ))
        sound = np.concatenate([gap, read_sound(file) / 32768])
        yield to_int16(np.clip(sound + rng.standard_normal(len(sound)) * FAINT, -1, 1))


def in_steady_noise(files: Iterable[Path], rng: np.random.Generator, slope: float, snr_db: float) -> Iterator[Sound]:
    """Words of equal loudness in one unbroken noise, seconds apart."""
    parts = [np.zeros(20 * SAMPLE_RATE_HZ)]
    for file in files:
        clip = read_sound(file) / 32768
        loudest = np.sqrt(np.convolve(clip**2, np.full(3200, 1 / 3200), "same").max())
        parts += [np.zeros(int(rng.uniform(*GAP_S) * SAMPLE_RATE_HZ)), clip * LOUDEST / loudest]
    sound = np.concatenate(parts)
    noise = steady_noise(len(sound), rng, slope) * LOUDEST * 10 ** (-snr_db / 20)
    yield to_int16(np.clip(sound + noise, -1, 1))


def steady_noise(samples: int, rng: np.random.Generator, slope: float) -> Wave:
    """Noise of RMS 1 whose spectrum falls with `slope` above 30 Hz."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    spectrum *= np.maximum(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ), 30.0) ** slope
    noise: Wave = np.fft.irfft(spectrum, samples)
    return noise / noise.std()


def report(tallies: dict[str, Tally]) -> None:
    total = sum(tallies.values(), Tally())
    print_table(HEADER, [tally.row(kind) for kind, tally in tallies.items()] + [total.row("all")])
    for kind, tally in tallies.items():
        for what, detections in (("lost", tally.lost), ("gained", tally.gained)):
            for number, d in detections:
                print(f"{what}: {kind}, stream {number}, {d.time_s:.2f} s, {d.keyword} {d.score:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("recordings", nargs="*", type=Path)
    parser.add_argument("--model", default="commands")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    plain, gated = Listener(options.model, gate=False), Listener(options.model, gate=True)
    everything = list(streams(options.data, options.recordings, plain.model.keywords))
    tallies: dict[str, Tally] = {}
    with progress("streams", len(everything)) as advance:
        for kind, blocks in everything:
            tallies.setdefault(kind, Tally()).compare(blocks(), plain, gated)
            advance(1)
    report(tallies)
    if options.json:
        options.json.write_bytes(msgspec.json.encode(tallies))
    if any(tally.lost or tally.gained for tally in tallies.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
