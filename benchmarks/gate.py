"""Does the level gate change what is heard, and what does it save? A model with and without it, on the same sound.

    python benchmarks/gate.py DATA [--model NAME|FILE] [--json FILE] [RECORDING ...]

DATA: a folder with negatives/*, wake-phrases/*/* and speech-commands/validation/<word>/*, as far as they are there.
Streams: each of the negatives; the wake phrases with seconds of silence and of faint noise between them; the model's
words with seconds of steady noise between them, 20 to 0 dB below the loudest 0.2 s of each word; each RECORDING. A
detection is the same when keyword and time are. Exit status 1 where one differs.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from table import print_table

from tinyhark.app.audio.files import read_blocks, read_sound, sound_files
from tinyhark.app.detection import Detection
from tinyhark.app.model import Binding, Model
from tinyhark.app.spotter import Spotter
from tinyhark.dsp import SAMPLE_RATE_HZ, to_int16

Sound = NDArray[np.int16]
Wave = NDArray[np.float64]

GAP_S = (1.5, 3.5)
WORDS_EACH = 10
SNRS_DB = (20, 10, 5, 0)
SLOPES = {"white": 0.0, "pink": -0.5, "brown": -1.0}  # of the amplitude over frequency
LOUDEST = 0.05  # RMS of the loudest 0.2 s of a word among noise


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
    """A spotter with what it heard, how often its network was asked, and the CPU time it took."""

    def __init__(self, model: str, *, gate: bool) -> None:
        self._model = Counted.load(model)
        self._spotter = Spotter(self._model, gate=gate)
        self.begin()

    def begin(self) -> None:
        self._spotter.reset()
        self._model.asked = 0
        self.cpu_s = 0.0
        self.heard: list[Detection] = []

    @property
    def windows(self) -> int:
        return self._model.asked

    def feed(self, block: Sound | None) -> None:
        start = time.process_time()
        self.heard += self._spotter.finish() if block is None else self._spotter.feed(block)
        self.cpu_s += time.process_time() - start


@dataclass(frozen=True)
class Result:
    """One stream: what was heard without the gate, what differs with it, and what it saved."""

    stream: str
    sound_s: float
    detections: int
    lost: list[Detection]
    gained: list[Detection]
    score_change: float  # the largest, of those that are the same
    skipped: float  # share of the windows
    cpu_ms_per_s: float
    cpu_gated_ms_per_s: float


def compare(stream: str, blocks: Iterable[Sound], plain: Listener, gated: Listener) -> Result:
    samples = 0
    for listener in (plain, gated):
        listener.begin()
    for block in blocks:
        samples += len(block)
        for listener in (plain, gated):
            listener.feed(block)
    for listener in (plain, gated):
        listener.feed(None)
    before, after = ({(d.keyword, d.end_sample): d for d in one.heard} for one in (plain, gated))
    sound_s = samples / SAMPLE_RATE_HZ
    return Result(
        stream,
        sound_s,
        len(before),
        [d for key, d in before.items() if key not in after],
        [d for key, d in after.items() if key not in before],
        max((abs(after[key].score - d.score) for key, d in before.items() if key in after), default=0.0),
        1 - gated.windows / plain.windows,
        1000 * plain.cpu_s / sound_s,
        1000 * gated.cpu_s / sound_s,
    )


def in_gaps(files: Iterable[Path], rng: np.random.Generator, noise: Callable[[int], Wave]) -> Iterator[Sound]:
    """The recordings, each after some seconds of nothing but noise."""
    for file in files:
        clip = read_sound(file) / 32768
        gap = np.zeros(int(rng.uniform(*GAP_S) * SAMPLE_RATE_HZ))
        sound = np.concatenate([gap, clip])
        yield to_int16(np.clip(sound + noise(len(sound)), -1, 1))


def words_in_noise(files: list[Path], rng: np.random.Generator, slope: float, snr_db: float) -> Iterator[Sound]:
    """Words of equal loudness in one unbroken noise, seconds apart."""
    parts = []
    for file in files:
        clip = read_sound(file) / 32768
        loudest = np.sqrt(np.convolve(clip**2, np.full(3200, 1 / 3200), "same").max())
        parts += [np.zeros(int(rng.uniform(*GAP_S) * SAMPLE_RATE_HZ)), clip * LOUDEST / loudest]
    sound = np.concatenate([np.zeros(20 * SAMPLE_RATE_HZ), *parts])
    noise = steady_noise(len(sound), rng, slope) * LOUDEST * 10 ** (-snr_db / 20)
    mixed = to_int16(np.clip(sound + noise, -1, 1))
    for first in range(0, len(mixed), SAMPLE_RATE_HZ):
        yield mixed[first : first + SAMPLE_RATE_HZ]


def steady_noise(samples: int, rng: np.random.Generator, slope: float) -> Wave:
    """Noise of RMS 1 whose spectrum falls with `slope` above 30 Hz."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    spectrum *= np.maximum(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ), 30.0) ** slope
    noise: Wave = np.fft.irfft(spectrum, samples)
    return noise / noise.std()


def streams(data: Path, recordings: list[Path], words: list[str]) -> Iterator[tuple[str, Iterable[Sound]]]:
    for file in sound_files(data / "negatives"):
        yield file.stem, read_blocks(file)
    for file in recordings:
        yield "/".join(file.parts[-2:]), read_blocks(file)
    rng = np.random.default_rng(0)
    phrases = sorted((data / "wake-phrases").glob("*/*.opus"))
    yield "wake phrases, silence between", in_gaps(phrases, rng, np.zeros)
    faint = 10 ** (-65 / 20)
    yield "wake phrases, faint noise", in_gaps(phrases, rng, lambda n: rng.standard_normal(n) * faint)
    folders = [sorted((data / "speech-commands/validation" / word).glob("*.flac")) for word in words]
    chosen = [files[i] for files in folders for i in rng.permutation(len(files))[:WORDS_EACH]]
    rng.shuffle(chosen)
    for name, slope in SLOPES.items():
        for snr_db in SNRS_DB:
            yield f"words in {name} noise, {snr_db} dB", words_in_noise(chosen, rng, slope, snr_db)


def report(results: list[Result]) -> None:
    header = ["stream", "s", "heard", "lost", "gained", "score", "skipped", "ms/s", "gated"]
    rows = [
        [
            r.stream,
            f"{r.sound_s:.0f}",
            str(r.detections),
            str(len(r.lost)),
            str(len(r.gained)),
            f"{r.score_change:.4f}",
            f"{100 * r.skipped:.0f} %",
            f"{r.cpu_ms_per_s:.2f}",
            f"{r.cpu_gated_ms_per_s:.2f}",
        ]
        for r in results
    ]
    print_table(header, rows)
    for r in results:
        for what, detections in (("lost", r.lost), ("gained", r.gained)):
            for d in detections:
                print(f"{what}: {r.stream} at {d.time_s:.2f} s, {d.keyword} {d.score:.3f}")
    total_s = sum(r.sound_s for r in results)
    before = sum(r.cpu_ms_per_s * r.sound_s for r in results) / total_s
    after = sum(r.cpu_gated_ms_per_s * r.sound_s for r in results) / total_s
    skipped = sum(r.skipped * r.sound_s for r in results) / total_s
    differing = sum(len(r.lost) + len(r.gained) for r in results)
    print(
        f"{total_s / 3600:.2f} h, {sum(r.detections for r in results)} detections, {differing} differ; "
        f"{100 * skipped:.1f} % of the windows skipped, CPU {before:.2f} -> {after:.2f} ms per second of sound"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("recordings", nargs="*", type=Path)
    parser.add_argument("--model", default="commands")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    plain, gated = Listener(options.model, gate=False), Listener(options.model, gate=True)
    words = Model.load(options.model).keywords
    results = [compare(name, blocks, plain, gated) for name, blocks in streams(options.data, options.recordings, words)]
    report(results)
    if options.json:
        options.json.write_text(json.dumps([asdict(r) for r in results], default=Detection.to_json))
    if any(r.lost or r.gained for r in results):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
