"""How many times faster than real time `hark eval stream` hears, on one core, from sound and from its cache.

    pip install 'tinyhark[eval]' pymicro-features
    python benchmarks/evaluation.py DATA [--model NAME|FILE] [--rounds N] [--json FILE]

DATA: a folder with negatives/*, wake-phrases/*/* and speech-commands/noise/*. Heard are the shortest of the negatives,
five minutes or more, as they are and as FLAC and WAV; and a hundred phrases in gaps, clean and in noise of 10 dB. The
table shows CPU time of one process, medians over the rounds: how many times real time, milliseconds a second of sound,
and where they go. `reading`: decoding and converting; `laying`: finding the words and mixing. `from cache`: five hours
of the same streams, their scores kept, judged at all thresholds, with all figures. pymicro-features: microWakeWord's
compiled front end (C++) on the same sound from memory, without any network, for comparison on a busy machine.
"""

import argparse
import cProfile
import json
import os
import pstats
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"  # before numpy is imported

import soundfile
from table import print_table

from tinyhark.app.audio.files import duration_s, read_sound, sound_files
from tinyhark.app.evaluation.cache import Cache
from tinyhark.app.evaluation.farm import here
from tinyhark.app.evaluation.figures import figures
from tinyhark.app.evaluation.measurement import Measurement
from tinyhark.app.evaluation.scenario import NEGATIVE, Scenario
from tinyhark.app.evaluation.scores import hear, score
from tinyhark.app.evaluation.streams import Clip, Stream
from tinyhark.app.model import Model
from tinyhark.dsp import SAMPLE_RATE_HZ

LEAST_S = 300.0
KEPT_S = 5 * 3600.0
STREAMS = 2  # of fifty clips
PARTS = {"reading": "read_blocks", "laying": "_composed", "front end": "feed", "network": "codes"}
Row = dict[str, float]  # "all" and its parts: CPU milliseconds a second of sound


def streams_of(data: Path, model: Model, folder: Path) -> dict[str, list[Stream]]:
    """What is heard, by the name of its row; other formats are written into `folder`."""
    chosen = list(long_enough(sorted(sound_files(data / "negatives"), key=duration_s)))
    rows = {f"as they are ({chosen[0].suffix})": chosen}
    for suffix in (".flac", ".wav"):
        rows[suffix[1:].upper()] = [folder / path.with_suffix(suffix).name for path in chosen]
        for path, other in zip(chosen, rows[suffix[1:].upper()], strict=True):
            soundfile.write(other, read_sound(path), SAMPLE_RATE_HZ)
    streams = {name: [Stream.recording(Clip(path), NEGATIVE, name) for path in paths] for name, paths in rows.items()}
    for name, snr_db in (("phrases, clean", None), ("phrases, 10 dB", 10.0)):
        scenario = Scenario(positives=(data / "wake-phrases",), noise=data / "speech-commands/noise", snrs_db=(snr_db,))
        streams[name] = scenario.streams(model.keywords)[:STREAMS]
    return streams


def long_enough(files: Sequence[Path]) -> Iterator[Path]:
    missing_s = LEAST_S
    for file in files:
        if missing_s > 0:
            yield file
            missing_s -= duration_s(file)


def profiled(work: Callable[[], float]) -> Row:
    """work: returns seconds of sound. Few functions are called so often that the profiler itself would show."""
    profile = cProfile.Profile(time.process_time)
    start = time.process_time()
    sound_s = profile.runcall(work)
    row = {"all": 1000 * (time.process_time() - start) / sound_s}
    spent = dict.fromkeys(PARTS.values(), 0.0)
    for (_, _, name), (*_, cumulative, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        if name in spent:
            spent[name] += 1000 * cumulative / sound_s
    if spent["_composed"]:  # it reads, too
        spent["_composed"] -= spent["read_blocks"]
    row |= {part: spent[name] for part, name in PARTS.items()}
    row["other"] = row["all"] - sum(spent.values())
    return row


def from_cache(model: Model, streams: list[Stream], cache: Cache) -> float:
    """Hear, where it is not kept, and judge; -> seconds of sound."""
    heard, problems = hear(model, streams, cache, here, lambda _: None)
    if problems:
        raise SystemExit("\n".join(problems))
    parameters = [model.metadata.keywords[word].parameters() for word in model.keywords]
    figures(Measurement.of(heard, model.keywords, parameters, model.metadata.exclusion_ms), model.name)
    return sum(one.scores.samples for one in heard) / SAMPLE_RATE_HZ


def peer(paths: Sequence[Path]) -> Row:
    from pymicro_features import MicroFrontend

    cpu_s = sound_s = 0.0
    for path in paths:
        sound = read_sound(path).tobytes()
        start = time.process_time()
        front_end = MicroFrontend()
        for first in range(0, len(sound) - 319, 320):
            front_end.process_samples(sound[first : first + 320])
        cpu_s += time.process_time() - start
        sound_s += len(sound) / 2 / SAMPLE_RATE_HZ
    return {"all": 1000 * cpu_s / sound_s}


def measure(data: Path, model: Model, rounds: int) -> dict[str, Row]:
    """All rows in turn, round after round; -> the median of each figure."""
    found: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory() as folder:
        streams = streams_of(data, model, Path(folder))
        every = [stream for some in streams.values() for stream in some]
        sound_s = from_cache(model, every, cache := Cache(Path(folder) / "cache"))
        kept = every * round(KEPT_S / sound_s)
        for _ in range(rounds):
            for name, some in streams.items():
                row = profiled(lambda some=some: sum(score(model, one).samples for one in some) / SAMPLE_RATE_HZ)
                found.setdefault(name, []).append(row)
            start = time.process_time()
            sound_s = from_cache(model, kept, cache)  # Python: the profiler would show
            found.setdefault("from cache", []).append({"all": 1000 * (time.process_time() - start) / sound_s})
            try:
                row = peer([one.clips[0].path for one in next(iter(streams.values()))])
            except ImportError:
                print("pymicro-features: not installed", file=sys.stderr)
                continue
            found.setdefault("pymicro-features, no network", []).append(row)
    return {name: {part: median(row[part] for row in rows) for part in rows[0]} for name, rows in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="wake")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = measure(options.data, Model.load(options.model), options.rounds)
    parts = [*PARTS, "other"]
    header = ["CPU ms a second of sound", "times real time", "all", *parts]
    print_table(
        header,
        [
            [
                name,
                f"{1000 / row['all']:,.0f}",
                *(f"{row[part]:.2f}" if part in row else "" for part in ["all", *parts]),
            ]
            for name, row in found.items()
        ],
    )
    if options.json:
        options.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
