"""`hark bench`: what hearing all words of a model costs on this machine, measured on a recording."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import Finite, model_option

if TYPE_CHECKING:
    from tinyhark.dsp.front_end import Samples

    from ..model import Model

LEAST_S = 20.0  # a shorter recording is repeated to this length
PARTS = ("total", "front_end", "network", "decision")


@click.command()
@click.argument("file")
@model_option
@click.option("--chunk-ms", type=click.IntRange(1), default=80, show_default=True, help="Sound that comes at once.")
@click.option("--seconds", type=Finite(1), default=30.0, show_default=True, help="Use no more of the file.")
@click.option("--repeats", type=click.IntRange(1), default=5, show_default=True, help="Report the median of so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def bench(file: str, model: str, chunk_ms: int, seconds: float, repeats: int, as_json: bool) -> None:
    """Measure CPU time and memory on FILE, fed as a live stream would be: all words of the model, one thread."""
    import numpy as np

    from tinyhark.dsp.tables import SAMPLE_RATE_HZ

    from ..audio.files import read_sound
    from ..model import Model

    loaded = Model.load(model)
    sound = read_sound(file, round(seconds * SAMPLE_RATE_HZ))
    if len(sound) < LEAST_S * SAMPLE_RATE_HZ:
        sound = np.tile(sound, max(1, round(LEAST_S * SAMPLE_RATE_HZ / len(sound))))
    sound_s = len(sound) / SAMPLE_RATE_HZ
    chunk = chunk_ms * SAMPLE_RATE_HZ // 1000
    work = _work(loaded, sound, chunk)
    rounds = [{part: 1000 * _cpu_s(work[part]) / sound_s for part in PARTS} for _ in range(repeats)]
    figures: dict[str, float | str | int] = {"model": loaded.name, "keywords": len(loaded.keywords)}
    figures |= {f"{part}_cpu_ms_per_s": round(float(np.median([r[part] for r in rounds])), 3) for part in PARTS}
    figures |= {"chunk_ms": chunk_ms, "sound_s": round(sound_s, 2), "repeats": repeats} | _memory()
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(figures).decode())
    else:
        click.echo(_text(figures))


def _cpu_s(work: Callable[[], None]) -> float:
    """CPU time of the whole process, all its threads."""
    start = time.process_time()
    work()
    return time.process_time() - start


def _work(model: "Model", sound: "Samples", chunk: int) -> dict[str, Callable[[], None]]:
    """The spotter as it runs, and its three parts alone, each over all the sound in the same portions."""
    import numpy as np

    from tinyhark.dsp.decision import Decision
    from tinyhark.dsp.front_end import FrontEnd
    from tinyhark.dsp.posterior import posteriors_of
    from tinyhark.dsp.quantize import quantize

    from ..model_file import clip_window
    from ..spotter import Spotter

    m = model.metadata
    stride_samples = m.stride_frames * m.front_end.hop
    portion = -(-max(chunk, stride_samples) // chunk) * chunk  # the spotter collects chunks for the next posterior
    windows = len(sound) // stride_samples
    offset, multiplier = np.array(m.offset), np.array(m.multiplier)
    spotter, stream = Spotter(model), FrontEnd(m.front_end.hop, m.front_end.n_mfcc)
    network = model.bind()
    network.input[:] = clip_window(sound, m.front_end, offset, multiplier, m.window_frames)
    codes = network.run().copy()
    parameters = [m.keywords[keyword].parameters() for keyword in model.keywords]
    columns = [model.labels.index(keyword) for keyword in model.keywords]

    def total() -> None:
        spotter.reset()
        for first in range(0, len(sound), chunk):
            spotter.feed(sound[first : first + chunk])

    def front_end() -> None:
        stream.reset()
        for first in range(0, len(sound), portion):
            quantize(stream.feed(sound[first : first + portion]), offset, multiplier)

    def infer() -> None:
        for _ in range(windows):
            network.run()

    def decide() -> None:
        decision = Decision(parameters, stride_samples, m.exclusion_ms)
        for step in range(windows):
            shares = posteriors_of(codes.tolist(), m.posterior_table)
            decision.step_of([shares[column] for column in columns], (step + 1) * stride_samples)

    return {"total": total, "front_end": front_end, "network": infer, "decision": decide}


def _memory() -> dict[str, float | str | int]:
    """Resident memory now and at its peak, in MB (10**6 bytes), and threads."""
    from ..usage import resident_mb

    out: dict[str, float | str | int] = {"resident_mb": round(resident_mb(), 1)}
    status = Path("/proc/self/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        out["peak_resident_mb"] = round(int(fields["VmHWM"].split()[0]) * 1024 / 1e6, 1)
        out["threads"] = int(fields["Threads"])
    return out


def _text(figures: dict[str, float | str | int]) -> str:
    rows = [
        f"model              {figures['model']}, {figures['keywords']} keywords",
        f"CPU                {figures['total_cpu_ms_per_s']:.2f} ms per second of sound",
        f"  front end        {figures['front_end_cpu_ms_per_s']:.2f}",
        f"  network          {figures['network_cpu_ms_per_s']:.2f}",
        f"  decision         {figures['decision_cpu_ms_per_s']:.2f}",
        f"resident memory    {figures['resident_mb']} MB"
        + (f", at most {figures['peak_resident_mb']} MB" if "peak_resident_mb" in figures else ""),
        f"measured           {figures['sound_s']} s of sound in chunks of {figures['chunk_ms']} ms, "
        f"median of {figures['repeats']}" + (f", threads: {figures['threads']}" if "threads" in figures else ""),
    ]
    return "\n".join(rows)
