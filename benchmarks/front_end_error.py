"""Error of fixed-point MFCC over the level of the sound: tinyhark's front end beside CMSIS-DSP's q15, q31 and f32.

    pip install cmsisdsp
    python benchmarks/front_end_error.py [--picture docs/figures/front_end_error.png] [--json FILE] [SOUND ...]

SOUND: 16 kHz mono files; without any, the vowel and the noise of the golden vectors. The sound is brought to a peak of
0 to -90 dBFS and rounded to int16, then each front end is compared with a float64 version of its own convention on the
same int16 samples: RMS over all frames and 40 coefficients, in ln units of power.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinyhark.dsp import BANDS, FRAME_SAMPLES, HOP_SAMPLES, FrontEnd, reference, to_int16

ROOT = Path(__file__).parents[1]
VECTORS = ROOT / "tests/vectors/front-end-vectors.npz"
LEVELS_DBFS = range(0, -91, -10)
Errors = Callable[[np.ndarray], np.ndarray]  # [n] int16 -> [frames, 40] ln units


def tinyhark_error(audio: np.ndarray) -> np.ndarray:
    fixed = FrontEnd().mfcc(audio) / 2.0**16
    return (fixed - reference.mfcc(audio)) * np.log(2)  # log2 units -> ln units


def cmsis_error(kind: str) -> Errors:
    """CMSIS-DSP with the same window, mel filters and DCT; its convention is ln(mel magnitude + 1e-6), full scale 1."""
    import cmsisdsp
    from cmsisdsp import datatype

    code, work, fraction_bits = {
        "q15": (datatype.Q15, np.int16, 7),  # the result is q8.7
        "q31": (datatype.Q31, np.int32, 23),  # q8.23
        "f32": (datatype.F32, np.float32, 0),
    }[kind]
    weights, window, dct = reference.mel_weights(), reference.window(), reference.dct()
    instance = getattr(cmsisdsp, f"arm_mfcc_instance_{kind}")()
    status = getattr(cmsisdsp, f"arm_mfcc_init_{kind}")(
        instance,
        FRAME_SAMPLES,
        BANDS,
        BANDS,
        datatype.convert(dct.ravel(), code),
        [int(np.flatnonzero(row)[0]) for row in weights],
        [int(np.count_nonzero(row)) for row in weights],
        datatype.convert(weights[weights > 0], code),
        datatype.convert(window, code),
    )
    if status != 0:
        raise SystemExit(f"arm_mfcc_init_{kind} returned {status}")
    scratch = np.zeros(cmsisdsp.arm_mfcc_tmp_buffer_size(code, FRAME_SAMPLES, 1), work)
    mfcc = getattr(cmsisdsp, f"arm_mfcc_{kind}")

    def one(frame: np.ndarray) -> np.ndarray:
        if kind == "f32":
            return np.asarray(mfcc(instance, (frame / 32768).astype(np.float32), scratch), np.float64)
        source = frame.astype(work) if kind == "q15" else frame.astype(work) << 16
        status, result = mfcc(instance, source, scratch)
        if status != 0:
            raise SystemExit(f"arm_mfcc_{kind} returned {status}")
        return result / 2.0**fraction_bits

    def error(audio: np.ndarray) -> np.ndarray:
        frames = sliding_window_view(audio, FRAME_SAMPLES)[::HOP_SAMPLES]
        frames = frames[np.abs(frames.astype(np.int32)).max(axis=1) > 0]  # f32 divides by the peak of the frame
        magnitude = np.abs(np.fft.rfft(frames / 32768 * window))
        exact = np.log(magnitude @ weights.T + 1e-6) @ dct.T
        return 2 * (np.stack([one(frame) for frame in frames]) - exact)  # magnitude -> power

    return error


def sound(files: list[Path]) -> np.ndarray:
    """[n] float64 of peak 1."""
    if files:
        import soundfile

        parts = []
        for file in files:
            samples, rate = soundfile.read(file)
            if rate != 16_000 or samples.ndim != 1:
                raise SystemExit(f"{file}: {rate} Hz, shape {samples.shape}; it must be 16 kHz mono")
            parts.append(samples)
    else:
        with np.load(VECTORS) as vectors:
            parts = [vectors["vowel_0/audio"] / 32768, vectors["noise_0/audio"] / 32768]
    return np.concatenate([part / np.abs(part).max() for part in parts])


def measure(files: list[Path]) -> dict[str, list[float]]:
    """Name of the front end -> RMS error at each level."""
    kinds = {"tinyhark": tinyhark_error} | {f"CMSIS-DSP {kind}": cmsis_error(kind) for kind in ("q15", "q31", "f32")}
    wave = sound(files)
    levels = [to_int16(wave * 10 ** (level / 20) * 32767 / 32768) for level in LEVELS_DBFS]
    return {name: [float(np.sqrt((error(audio) ** 2).mean())) for audio in levels] for name, error in kinds.items()}


def table(figures: dict[str, list[float]]) -> str:
    lines = ["| peak, dBFS | " + " | ".join(figures) + " |", "| ---: |" + " ---: |" * len(figures)]
    for row, level in enumerate(LEVELS_DBFS):
        lines.append(f"| {level} | " + " | ".join(f"{values[row]:.1e}" for values in figures.values()) + " |")
    return "\n".join(lines)


def draw(figures: dict[str, list[float]], picture: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for (name, values), style in zip(figures.items(), ("o-", "s--", "^--", "v:"), strict=True):
        axes.semilogy(LEVELS_DBFS, values, style, label=name, linewidth=2 if name == "tinyhark" else 1.2)
    axes.axhline(2e-4, color="grey", linewidth=0.8)
    axes.text(-90, 2.2e-4, "goal: 2e-4 from 0 to -60 dBFS", color="grey", va="bottom", ha="right", fontsize=8)
    axes.set(xlabel="peak of the sound, dBFS", ylabel="RMS error of the MFCC, ln units", xlim=(2, -92))
    axes.grid(alpha=0.3)
    axes.legend(loc="center", bbox_to_anchor=(0.5, 0.25), ncols=4, fontsize=9, frameon=False)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=130, metadata={"Software": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sound", nargs="*", type=Path)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures = measure(arguments.sound)
    print(table(figures))
    if arguments.json:
        arguments.json.write_text(json.dumps({"levels_dbfs": list(LEVELS_DBFS), "rms_ln": figures}, indent=1) + "\n")
    if arguments.picture:
        draw(figures, arguments.picture)


if __name__ == "__main__":
    main()
