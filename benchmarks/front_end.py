"""Microseconds a frame of the MFCC front end, streaming in calls of 1 to 1000 frames, beside others in the same run.

    pip install pymicro-features
    python benchmarks/front_end.py [--profile] [--json] [--rounds N] [--calls 1,4,8,50,1000] [SOUND]

SOUND: a file to stream; without it, noise of speech-like level. One thread. Every front end takes the same call in
turn, round after round, so that what else the machine does meets all of them; the table shows medians of CPU time
(elapsed time on Windows, which counts CPU time in steps of 15 ms). pymicro-features is the compiled front end of
microWakeWord (16-bit FFT, 40 mel bands, noise reduction and gain, no DCT); it gives one frame a call whatever it gets,
so a call of n frames is n of its own.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"  # before numpy is imported

import numpy as np
from table import print_table

from tinyhark.dsp import BANDS, FRAME_SAMPLES, HOP_SAMPLES, SAMPLE_RATE_HZ, FrontEnd, reference
from tinyhark.dsp.front_end import IMPLEMENTATION

PEER = "pymicro-features"
clock = time.perf_counter if sys.platform == "win32" else time.thread_time
TAIL_SAMPLES = FRAME_SAMPLES - HOP_SAMPLES  # a stream keeps so many samples for its next frame
Feed = Callable[[np.ndarray], object]  # the next [n * 160] int16 of a stream


def tinyhark(name: str) -> FrontEnd:
    """The implementation "c" or "numpy"; raises ImportError where it was not built."""
    os.environ[IMPLEMENTATION] = name
    try:
        front_end = FrontEnd()
    except ValueError as error:
        raise ImportError(str(error)) from error
    front_end.feed(np.zeros(TAIL_SAMPLES, np.int16))
    return front_end


class NumpyFloat32:
    """The same chain as one would write it plainly: rfft, mel filters, log, DCT, all in float32."""

    def __init__(self) -> None:
        self.window = reference.window().astype(np.float32)
        self.mel = reference.mel_weights().T.astype(np.float32)
        self.dct = reference.dct().T.astype(np.float32)
        self.tail = np.zeros(TAIL_SAMPLES, np.float32)

    def feed(self, chunk: np.ndarray) -> np.ndarray:
        audio = np.concatenate((self.tail, chunk.astype(np.float32) / np.float32(32768)))
        self.tail = audio[-TAIL_SAMPLES:]
        frames = np.lib.stride_tricks.sliding_window_view(audio, FRAME_SAMPLES)[::HOP_SAMPLES]
        spectrum = np.fft.rfft(frames * self.window)
        power = spectrum.real**2 + spectrum.imag**2
        return np.log(power @ self.mel + np.float32(1e-9)) @ self.dct


def torchaudio_mfcc() -> Feed:
    import torch
    import torchaudio

    torch.set_num_threads(1)
    settings = {"n_fft": FRAME_SAMPLES, "hop_length": HOP_SAMPLES, "n_mels": BANDS, "center": False, "f_min": 60.0}
    mfcc = torchaudio.transforms.MFCC(SAMPLE_RATE_HZ, BANDS, log_mels=True, melkwargs=settings | {"f_max": 7600.0})
    tail = torch.zeros(TAIL_SAMPLES)

    def feed(chunk: np.ndarray) -> object:
        nonlocal tail
        audio = torch.cat((tail, torch.from_numpy(chunk).to(torch.float32) / 32768))
        tail = audio[-TAIL_SAMPLES:]
        with torch.inference_mode():
            return mfcc(audio)

    return feed


def pymicro_features() -> Feed:
    from pymicro_features import MicroFrontend

    front_end = MicroFrontend()

    def feed(chunk: np.ndarray) -> object:
        sound, size = chunk.tobytes(), 2 * HOP_SAMPLES
        return [front_end.process_samples(sound[i : i + size]) for i in range(0, len(sound), size)]

    return feed


MAKERS: dict[str, Callable[[], Feed]] = {
    "tinyhark, C": lambda: tinyhark("c").feed,
    "tinyhark, numpy": lambda: tinyhark("numpy").feed,
    "numpy float32": lambda: NumpyFloat32().feed,
    "torchaudio": torchaudio_mfcc,
    PEER: pymicro_features,
}


def importable() -> dict[str, Feed]:
    """The front ends that can be had here; the others are named on the terminal."""
    feeds = {}
    for name, make in MAKERS.items():
        try:
            feeds[name] = make()
        except (ImportError, OSError) as error:  # OSError: torchaudio built for another torch
            print(f"{name}: not importable here ({str(error).splitlines()[0]})", file=sys.stderr)
    return feeds


def measure(feeds: dict[str, Feed], audio: np.ndarray, frames: int, rounds: int) -> dict[str, float]:
    """Median microseconds a frame in calls of `frames` frames, by front end."""
    samples = frames * HOP_SAMPLES
    spent: dict[str, list[float]] = {name: [] for name in feeds}
    for turn in range(rounds + 2):
        first = turn * samples % (len(audio) - samples + 1)
        chunk = audio[first : first + samples]
        for name, feed in feeds.items():
            start = clock()
            feed(chunk)
            spent[name].append(clock() - start)
    return {name: float(np.median(times[2:])) / frames * 1e6 for name, times in spent.items()}  # the first two warm up


def profile(audio: np.ndarray, frames: int, rounds: int) -> dict[str, float]:
    """Median microseconds a frame of each step inside the front end in numpy; looks behind its public names."""
    front_end = tinyhark("numpy")
    chunk = audio[: FRAME_SAMPLES + (frames - 1) * HOP_SAMPLES]
    log_mel = front_end.log_mel(chunk)
    block = front_end._numpy._blocks[frames]
    lengths = block._bit_lengths(chunk)
    block._window(chunk, lengths)
    steps: dict[str, Callable[[], object]] = {
        "block exponent": lambda: block._bit_lengths(chunk),
        "gather, window": lambda: block._window(chunk, lengths),
        "16-point DFT": block._dft_rows,
        "twiddle": block._twiddle,
        "32-point DFT": block._dft_columns,
        "power": block._to_power,
        "mel": block._mel,
        "log2": lambda: block._log(lengths, log_mel),
        "DCT": lambda: front_end.cepstrum(log_mel),
        "all": lambda: front_end.mfcc(chunk),
    }
    spent: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            start = clock()
            step()
            spent[name].append(clock() - start)
    return {name: float(np.median(times)) / frames * 1e6 for name, times in spent.items()}


def sound(file: str | None) -> np.ndarray:
    """[n] int16 of at least 20 seconds."""
    if file is None:
        return np.random.default_rng(0).normal(0, 3000, 20 * SAMPLE_RATE_HZ).astype(np.int16)
    from tinyhark.app.audio.files import read_sound

    audio = read_sound(file)
    return np.tile(audio, -(-20 * SAMPLE_RATE_HZ // len(audio)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sound", nargs="?")
    parser.add_argument("--calls", default="1,4,8,50,1000", help="frames a call (%(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=2000, help="calls of one frame; longer ones get fewer, at least 40"
    )
    parser.add_argument("--profile", action="store_true", help="also where numpy's time goes, in calls of 8 and 64")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    audio = sound(options.sound)
    feeds = importable()
    calls = [int(frames) for frames in options.calls.split(",")]
    times = {n: measure(feeds, audio, n, max(40, options.rounds // n)) for n in calls}
    steps = {n: profile(audio, n, max(40, options.rounds // n)) for n in (8, 64)} if options.profile else {}
    if options.json:
        print(json.dumps({"microseconds_a_frame": times, "profile": steps}))
        return
    header = ["microseconds a frame in calls of", *map(str, calls)]
    rows = [[name, *(f"{times[n][name]:.1f}" for n in calls)] for name in feeds]
    if PEER in feeds:
        rows += [[f"{name} / {PEER}", *(f"{times[n][name] / times[n][PEER]:.2f}" for n in calls)] for name in feeds]
    print_table(header, rows)
    if steps:
        print_table(
            ["tinyhark, numpy, step by step, in calls of", *map(str, steps)],
            [[name, *(f"{steps[n][name]:.2f}" for n in steps)] for name in steps[8]],
        )


if __name__ == "__main__":
    main()
