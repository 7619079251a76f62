"""`hark bench`: what hearing all words of a model costs on this machine, measured on a recording."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import Finite, gate_option, models_option

if TYPE_CHECKING:
    from tinyhark.dsp.front_end import Samples

    from ..model import Model
    from ..spotter import Spotter

Work = Callable[[], None]

LEAST_S = 20.0  # a shorter recording is repeated to this length
PARTS = ("total", "front_end", "network", "decision")


@click.command()
@click.argument("file")
@models_option
@gate_option
@click.option("--chunk-ms", type=click.IntRange(1), default=80, show_default=True, help="Sound that comes at once.")
@click.option("--seconds", type=Finite(1), default=30.0, show_default=True, help="Use no more of the file.")
@click.option("--repeats", type=click.IntRange(1), default=5, show_default=True, help="Report the median of so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def bench(
    file: str, model: tuple[str, ...], gate: bool, chunk_ms: int, seconds: float, repeats: int, as_json: bool
) -> None:
    """Measure CPU time and memory on FILE, fed as a live stream would be: all words of the model, one thread."""
    import numpy as np

    from tinyhark.dsp.front_end import implementation
    from tinyhark.dsp.tables import SAMPLE_RATE_HZ

    from ..audio.files import read_sound
    from ..spotter import Spotter

    spotter = Spotter(model, gate=gate)
    sound = read_sound(file, round(seconds * SAMPLE_RATE_HZ))
    if len(sound) < LEAST_S * SAMPLE_RATE_HZ:
        sound = np.tile(sound, max(1, round(LEAST_S * SAMPLE_RATE_HZ / len(sound))))
    sound_s = len(sound) / SAMPLE_RATE_HZ
    work = _work(spotter, sound, chunk_ms * SAMPLE_RATE_HZ // 1000, gate=gate)
    rounds = [{part: 1000 * _cpu_s(work[part]) / sound_s for part in PARTS} for _ in range(repeats)]
    figures: dict[str, float | str | int] = {"model": spotter.name, "keywords": len(spotter.keywords)}
    figures |= {f"{part}_cpu_ms_per_s": round(float(np.median([r[part] for r in rounds])), 3) for part in PARTS}
    figures |= {"chunk_ms": chunk_ms, "sound_s": round(sound_s, 2), "repeats": repeats} | _memory()
    figures["front_end"] = implementation()
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(figures).decode())
    else:
        click.echo(_text(figures))


def _cpu_s(work: Work) -> float:
    """CPU time of the whole process, all its threads."""
    start = time.process_time()
    work()
    return time.process_time() - start


def _work(spotter: "Spotter", sound: "Samples", chunk: int, *, gate: bool) -> dict[str, Work]:
    """The spotter as it runs, and its three parts alone, each over all the sound in the same portions."""
    from tinyhark.dsp.front_end import FrontEnd
    from tinyhark.dsp.gate import Gate

    hop = spotter.model.metadata.front_end.hop
    stride_samples = hop * min(model.metadata.stride_frames for model in spotter.models)
    portion = -(-max(chunk, stride_samples) // chunk) * chunk  # the spotter collects chunks for the next posterior
    quiet = Gate(hop).feed(FrontEnd(hop).log_mel(sound)) if gate else None
    parts = [_network_and_decision(model, sound, quiet) for model in spotter.models]

    def total() -> None:
        spotter.reset()
        for first in range(0, len(sound), chunk):
            spotter.feed(sound[first : first + chunk])

    def infer() -> None:
        for network, _ in parts:
            network()

    def decide() -> None:
        for _, decision in parts:
            decision()

    front_end = _front_end(spotter.models, sound, portion, gate=gate)
    return {"total": total, "front_end": front_end, "network": infer, "decision": decide}


def _front_end(models: "Sequence[Model]", sound: "Samples", portion: int, *, gate: bool) -> Work:
    """The front end that the models share, with the gate, and the features of each."""
    import numpy as np

    from tinyhark.dsp.front_end import FrontEnd
    from tinyhark.dsp.gate import Gate
    from tinyhark.dsp.quantize import quantize

    hop = models[0].metadata.front_end.hop
    stream, level_gate = FrontEnd(hop, max(m.metadata.front_end.n_mfcc for m in models)), Gate(hop)
    scales = [(np.array(m.metadata.offset), np.array(m.metadata.multiplier)) for m in models]

    def front_end() -> None:
        stream.reset()
        for first in range(0, len(sound), portion):
            log_mel = stream.feed_log_mel(sound[first : first + portion])
            mfcc = stream.cepstrum(log_mel)
            if gate:
                level_gate.feed(log_mel)
            for offset, multiplier in scales:
                quantize(mfcc[:, : len(offset)], offset, multiplier)

    return front_end


def _network_and_decision(model: "Model", sound: "Samples", quiet: list[int] | None) -> tuple[Work, Work]:
    """The network of a model on as many windows as are not quiet, and its decision on all."""
    from tinyhark.dsp.decision import Decision
    from tinyhark.dsp.posterior import posteriors_of

    from ..model_file import clip_window

    m = model.metadata
    stride_samples = m.stride_frames * m.front_end.hop
    windows = len(sound) // stride_samples
    runs = [] if quiet is None else quiet[m.stride_frames - 1 :: m.stride_frames]
    skipped = sum(run >= m.window_frames for run in runs)
    network = model.bind()
    network.input[:] = clip_window(sound, m.front_end, m.offset, m.multiplier, m.window_frames)
    codes = network.run().copy()
    parameters = [m.keywords[keyword].parameters() for keyword in model.keywords]
    columns = [model.labels.index(keyword) for keyword in model.keywords]

    def infer() -> None:
        for _ in range(windows - skipped):
            network.run()

    def decide() -> None:
        decision = Decision(parameters, stride_samples, m.exclusion_ms)
        for step in range(windows):
            shares = posteriors_of(codes.tolist(), m.posterior_table)
            decision.step_of([shares[column] for column in columns], (step + 1) * stride_samples)

    return infer, decide


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
        f"  front end        {figures['front_end_cpu_ms_per_s']:.2f}, in {figures['front_end']}",
        f"  network          {figures['network_cpu_ms_per_s']:.2f}",
        f"  decision         {figures['decision_cpu_ms_per_s']:.2f}",
        f"resident memory    {figures['resident_mb']} MB"
        + (f", at most {figures['peak_resident_mb']} MB" if "peak_resident_mb" in figures else ""),
        f"measured           {figures['sound_s']} s of sound in chunks of {figures['chunk_ms']} ms, "
        f"median of {figures['repeats']}" + (f", threads: {figures['threads']}" if "threads" in figures else ""),
    ]
    return "\n".join(rows)
