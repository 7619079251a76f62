"""What the self-test of an exported C project must find: features, logits and detections, as Python computes them."""

import numpy as np
from numpy.typing import NDArray

from tinyhark.app.model import Model
from tinyhark.app.model_file import Metadata, decode_golden
from tinyhark.dsp.decision import Decision
from tinyhark.dsp.front_end import FrontEnd, Samples
from tinyhark.dsp.posterior import posteriors
from tinyhark.dsp.quantize import quantize
from tinyhark.dsp.tables import FRAME_SAMPLES

from .c_tables import array, defines, header

_SAMPLES, _LEVELS, _STEPS = 4000, 6, 2000
_MASK = 2**32 - 1


def expectations(model: Model) -> str:
    """hark_expected.h, for test/hark_test.c, which makes the same noise."""
    metadata = model.metadata
    spec, golden = metadata.front_end, decode_golden(metadata.golden.samples)
    front_end = FrontEnd(spec.hop, spec.n_mfcc)
    hashes = [_hash_of_features(front_end, _noise(2 * level)) for level in range(_LEVELS)]
    sizes = {"TEST_SAMPLES": _SAMPLES, "TEST_LEVELS": _LEVELS, "TEST_STEPS": _STEPS}
    whole = np.zeros(metadata.window_samples, np.int16)
    whole[: len(golden)] = golden[: len(whole)]
    offset, multiplier = np.array(metadata.offset), np.array(metadata.multiplier)
    features = quantize(front_end.mfcc(whole), offset, multiplier)
    silence = quantize(np.zeros_like(offset), offset, multiplier)
    last = int(np.flatnonzero((features != silence).any(axis=1)).max(initial=0)) + 1
    body = [
        defines(sizes | {"TEST_FRAMES": last}),
        f"#define HARK_TEST_DECISIONS {_hash_of_decisions(metadata)}U\n",
        "static const uint32_t hark_test_hashes[] = {" + ", ".join(f"{h}U" for h in hashes) + "};\n",
        "/* of the golden sound, and onnxruntime's answer to it */",
        array("int8_t", "hark_test_features", features[:last]),
        array("int8_t", "hark_test_logits", metadata.golden.logits),
    ]
    return header("HARK_EXPECTED_H", "What hark_test.c must find", "\n".join(["#include <stdint.h>\n", *body]))


def _random(seed: int, count: int) -> NDArray[np.int64]:
    out = []
    for _ in range(count):
        seed = (seed * 1664525 + 1013904223) & _MASK
        out.append(seed)
    return np.array(out)


def _noise(quieter: int) -> Samples:
    x = (_random(quieter, _SAMPLES) >> 16) - 32768
    sound: Samples = (np.sign(x) * (np.abs(x) >> quieter)).astype(np.int16)  # C's division rounds towards 0
    return sound


def _hash(values: NDArray[np.int64], seed: int = 2166136261) -> int:
    """FNV-1a over 32-bit numbers."""
    for value in values.ravel().tolist():
        seed = ((seed ^ (value & _MASK)) * 16777619) & _MASK
    return seed


def _hash_of_features(front_end: FrontEnd, sound: Samples) -> int:
    log_mel = front_end.log_mel(sound)
    return _hash(np.concatenate([log_mel, front_end.cepstrum(log_mel)], axis=1).astype(np.int64))


def _hash_of_decisions(metadata: Metadata) -> int:
    labels, stride = len(metadata.labels), metadata.stride_frames * metadata.front_end.hop
    logits = ((_random(1, _STEPS * labels) >> 26) - 64).reshape(_STEPS, labels)
    for step in range(_STEPS):
        if step // 16 % 2:
            logits[step, step // 32 % labels] = 127
    names = metadata.keyword_names
    shares = posteriors(logits.astype(np.int8), np.array(metadata.posterior_table))
    shares = shares[:, [metadata.labels.index(name) for name in names]]
    decision = Decision([metadata.keywords[name].parameters() for name in names], stride, metadata.exclusion_ms)
    heard = []
    for step, row in enumerate(shares):
        made = decision.step(row, FRAME_SAMPLES + (step + 1) * stride)
        if made.fired is not None:
            heard += [made.fired, made.end_sample]
    return _hash(np.array(heard, np.int64))
