"""Microseconds a frame of the exported front end in C, beside the same in numpy and pymicro-features, in one run.

    pip install pymicro-features
    python benchmarks/c_front_end.py [--json] [--rounds N] [--frames N] [--compiler CC] [SOUND]

The C is what `hark export c` writes, compiled here with -O3 for any machine of this kind (no -march, so without AVX2,
which tinyhark's own module uses; front_end.py measures that), and checked to be equal to numpy while it is timed. All
take the same sound in turn, round after round, N frames a call, so that what else the machine does meets all of them;
the table shows medians of CPU time and their ratios. pymicro-features takes 10 ms a call whatever it gets.
"""

import argparse
import ctypes
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"  # before numpy is imported
os.environ["TINYHARK_FRONT_END"] = "numpy"

import numpy as np
from table import print_table

from tinyhark.app.audio.files import read_sound
from tinyhark.app.model import Model
from tinyhark.dsp import BANDS, FRAME_SAMPLES, HOP_SAMPLES, FrontEnd
from tinyhark.export.c_export import export_c
from tinyhark.export.c_host import CProject

OURS, NUMPY, PEER = "tinyhark, C", "tinyhark, numpy", "pymicro-features"
clock = time.perf_counter if sys.platform == "win32" else time.thread_time


def in_c(compiler: str, folder: Path, frames: int) -> Callable[[np.ndarray], object]:
    """Log-mel of a call's sound; the arrays' addresses are taken once, as an extension module would."""
    model = Model.load("commands")
    export_c(model, folder)
    project = CProject(folder, model.metadata, compiler)
    out = np.empty((frames, BANDS), np.int32)
    address = ctypes.c_void_p(out.ctypes.data)
    count, hop = ctypes.c_size_t(frames), ctypes.c_size_t(HOP_SAMPLES)

    def call(sound: np.ndarray) -> np.ndarray:
        project.library.host_log_mel(ctypes.c_void_p(sound.ctypes.data), count, hop, address)
        return out

    return call


def peer() -> Callable[[np.ndarray], object] | None:
    try:
        from pymicro_features import MicroFrontend
    except ImportError:
        return None
    front_end = MicroFrontend()

    def call(sound: np.ndarray) -> None:
        new = sound[FRAME_SAMPLES - HOP_SAMPLES :].tobytes()
        for first in range(0, len(new), 2 * HOP_SAMPLES):
            front_end.process_samples(new[first : first + 2 * HOP_SAMPLES])

    return call


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sound", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--compiler", default="cc")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    samples = FRAME_SAMPLES + (options.frames - 1) * HOP_SAMPLES
    noise = np.random.default_rng(1).normal(0, 800, 10 * 16_000)
    audio = read_sound(options.sound) if options.sound else np.rint(noise).astype(np.int16)
    if len(audio) <= samples:
        sys.exit(f"{options.sound}: is shorter than a call of {options.frames} frames")
    with tempfile.TemporaryDirectory() as folder:
        feeds = {OURS: in_c(options.compiler, Path(folder), options.frames), NUMPY: FrontEnd().log_mel}
        if found := peer():
            feeds[PEER] = found
        times: dict[str, list[float]] = {name: [] for name in feeds}
        for number in range(options.rounds):
            first = number * options.frames * HOP_SAMPLES % (len(audio) - samples)
            sound = np.ascontiguousarray(audio[first : first + samples])
            if number % 100 == 0 and not np.array_equal(feeds[OURS](sound), feeds[NUMPY](sound)):
                sys.exit("C and numpy differ")
            for name, feed in feeds.items():
                start = clock()
                feed(sound)
                times[name].append((clock() - start) * 1e6 / options.frames)
    medians = {name: statistics.median(values) for name, values in times.items()}
    if options.json:
        print(json.dumps({"microseconds_a_frame": medians, "frames_a_call": options.frames}))
        return
    header = ["", "us a frame", *(f"{name} / this" for name in medians if name != OURS)]
    rows = [
        [name, f"{own:.2f}", *(f"{value / own:.1f}" for other, value in medians.items() if other != OURS)]
        for name, own in medians.items()
    ]
    print_table(header, rows)


if __name__ == "__main__":
    main()
