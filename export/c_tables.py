"""Constants as C text: configuration, tables of the front end, layers, parameters of the decision."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from tinyhark.app.errors import ModelError
from tinyhark.app.model_file import Metadata
from tinyhark.dsp import tables
from tinyhark.dsp.decision import Rules, samples_of
from tinyhark.dsp.quantize import quantize

from .c_network import Block, Layer, Network, multiplier

_LINE = 110
_MOST_POSTERIORS = 2**16 - 1  # of a score: their sum stays below 2**31


def array(ctype: str, name: str, values: Any, storage: str = "static const") -> str:
    """`static const ctype name[...] = {...};` of an array of integers of any shape."""
    numbers = np.asarray(values)
    size = "".join(f"[{n}]" for n in numbers.shape)
    return f"{storage} {ctype} {name}{size} = {_braces(numbers)};\n"


def _braces(numbers: Any) -> str:
    if numbers.ndim > 1:
        return "{\n" + ",\n".join(map(_braces, numbers)) + "}"
    return "{\n" + wrapped(map(str, numbers.tolist())) + "}"


def wrapped(words: Iterable[str]) -> str:
    """Words with commas between, in lines."""
    lines, line = [], ""
    for word in words:
        if line and len(line) + len(word) > _LINE:
            lines.append(line.rstrip())
            line = ""
        line += f"{word}, "
    return "\n".join([*lines, line]).rstrip(", ")


def string(text: str) -> str:
    """A C string literal."""
    safe = set(range(32, 127)) - set(b'"\\?')
    return '"' + "".join(chr(byte) if byte in safe else f"\\{byte:03o}" for byte in text.encode()) + '"'


def header(guard: str, about: str, body: str) -> str:
    """A generated header file."""
    return f"/* {about}. Written by tinyhark. */\n#ifndef {guard}\n#define {guard}\n\n{body}\n#endif\n"


def defines(values: dict[str, int]) -> str:
    """One `#define HARK_NAME value` a line."""
    return "".join(f"#define HARK_{name} {value if value >= 0 else f'({value})'}\n" for name, value in values.items())


def configuration(metadata: Metadata, network: Network) -> str:
    """hark_config.h: every size."""
    rules = _rules(metadata)
    stem, blocks = network.stem, network.blocks
    columns = (metadata.window_frames + 2 * stem.padding - stem.taps) // stem.stride + 1
    sizes = {
        "HOP_SAMPLES": metadata.front_end.hop,
        "N_MFCC": metadata.front_end.n_mfcc,
        "WINDOW_FRAMES": metadata.window_frames,
        "WINDOW_SAMPLES": metadata.window_samples,
        "STRIDE_FRAMES": metadata.stride_frames,
        "LABELS": len(metadata.labels),
        "KEYWORDS": len(metadata.keyword_names),
        "MOST_POSTERIORS": max(rules.windows),
        "INCREMENTAL": int(not network.padded),
        "CHANNELS": stem.outputs,
        "BLOCKS": len(blocks),
        "MOST_KERNEL": max((b.depthwise.taps for b in blocks), default=1),
        "MOST_PADDING": max((b.depthwise.padding for b in blocks), default=0),
        "STEM_KERNEL": stem.taps,
        "STEM_STRIDE": stem.stride,
        "STEM_PADDING": stem.padding,
        "STEM_COLUMNS": columns,
        "COLUMNS_POOLED": network.pooled,
    }
    return header("HARK_CONFIG_H", "The sizes of this model", defines(sizes))


def front_end_tables() -> str:
    """export/c/hark_tables.h: what the front end multiplies with, the same for every model."""
    cosines = {f"COS_{i}": int(value) << 7 for i, value in enumerate(tables.dft(32, 2)[0][1]) if 1 <= i <= 7}
    peaks, falling = _triangles()
    even, odd = _folded(tables.dct(tables.BANDS))
    even, odd_2 = _folded(even)
    even, odd_4 = _folded(even)
    turns = [table[1:] << 8 for table in tables.twiddle()]
    body = [
        "/* cos(2 pi i / 32), Q22, times 2^7 */\n" + defines(cosines),
        defines({"LOG_FLOOR": tables.LOG_FLOOR}),
        "/* periodic Hann window, Q22, times 2^8; its second half mirrors this one */",
        array("int32_t", "hark_window", tables.window()[:257] << 8),
        "/* cos and -sin of 2 pi k1 n2 / 512 for k1 = 1..8, Q22, times 2^8 */",
        array("int32_t", "hark_cosines", turns[0]),
        array("int32_t", "hark_sines", turns[1]),
        "/* the first bin at or above the peak of each band, and the first one above the last band */",
        array("uint8_t", "hark_peaks", peaks),
        "/* weight of a bin in the band whose peak lies below it, Q12; in the next band it is 1 less this */",
        array("uint16_t", "hark_falling", falling),
        "/* log2(1 + i / 256), Q16 */",
        array("int32_t", "hark_log2", tables.log2_table()),
        "/* rows 1, 3, 5, ... of the DCT, Q22, times 2^10; the second half of a row is the first one, mirrored */",
        array("int32_t", "hark_dct_odd", odd << 10),
        "/* rows 2, 6, 10, ...; 4, 12, 20, ...; 0, 8, 16, ...: the first quarter and eighths */",
        array("int32_t", "hark_dct_2", odd_2 << 10),
        array("int32_t", "hark_dct_4", odd_4 << 10),
        array("int32_t", "hark_dct_0", even << 10),
    ]
    about = "Tables of the front end, from tinyhark's dsp/tables.py"
    return header("HARK_TABLES_H", about, "\n".join(["#include <stdint.h>\n", *body]))


def _folded(rows: tables.Table) -> tuple[tables.Table, tables.Table]:
    """Even and odd rows of a DCT, the first half of each; raises ValueError unless the second one mirrors it."""
    half = rows.shape[1] // 2
    even, odd = rows[0::2], rows[1::2]
    if (even[:, half:][:, ::-1] != even[:, :half]).any() or (odd[:, half:][:, ::-1] != -odd[:, :half]).any():
        raise ValueError("the rows of the DCT are not symmetric")
    return even[:, :half], odd[:, :half]


def _triangles() -> tuple[tables.Table, tables.Table]:
    """`hark_peaks` and `hark_falling`; raises ValueError unless they say all of `mel_weights`."""
    weights, one = tables.mel_weights(), 1 << tables.MEL_BITS
    bins = np.arange(int(np.flatnonzero(weights.any(axis=0))[-1]) + 1)
    centres = tables.band_centres_hz() * tables.FRAME_SAMPLES / tables.SAMPLE_RATE_HZ
    peaks = np.append(np.ceil(centres).astype(np.int64), len(bins))
    band = np.searchsorted(peaks, bins, side="right")  # whose peak comes next
    falling = np.where(band == 0, one - weights[0, bins], weights[band - 1, bins])
    again = np.zeros((tables.BANDS + 2, weights.shape[1]), np.int64)
    again[band, bins], again[band + 1, bins] = falling, one - falling
    if (again[1:-1] != weights).any():
        raise ValueError("a bin's two weights do not add up to 1")
    return peaks, falling


def layers(metadata: Metadata, network: Network) -> str:
    """hark_weights.h: what the network multiplies with."""
    offset = np.array(metadata.offset)
    silence = quantize(np.zeros_like(offset), offset, np.array(metadata.multiplier))
    mean = dict(zip(("MULTIPLIER", "SHIFT", "ZERO_IN", "ZERO_OUT"), network.pool, strict=True))
    bits = network.sum_bits
    numbers = {"INPUT_ZERO": network.stem.zero_in, "SUM_BITS": bits}
    body = [
        "/* int8 feature = (mfcc - offset) * multiplier >> 24 */",
        array("int32_t", "hark_offset", metadata.offset),
        array("int16_t", "hark_multiplier", metadata.multiplier),
        "/* a frame of digital silence */",
        array("int8_t", "hark_silence", silence, "const"),
        defines(numbers | {f"POOL_{name}": value for name, value in mean.items()}),
        _arrays("stem", network.stem, bits),
    ]
    for i, block in enumerate(network.blocks):
        body += [_arrays(f"depthwise{i}", block.depthwise, bits), _arrays(f"pointwise{i}", block.pointwise, bits)]
    body += [
        _arrays("classifier", network.classifier, bits),
        f"static const hark_layer hark_stem = {_layer('stem', network.stem)};\n",
        f"static const hark_layer hark_classifier = {_layer('classifier', network.classifier)};\n",
    ]
    if network.blocks:
        rows = ",\n".join(_block(i, block) for i, block in enumerate(network.blocks))
        body.append(f"static const hark_block hark_blocks[HARK_BLOCKS] = {{\n{rows}}};\n")
    return header("HARK_WEIGHTS_H", "The layers of this model", "\n".join(body))


def _arrays(name: str, layer: Layer, sum_bits: int) -> str:
    multipliers, shifts = zip(*(multiplier(scale / 2**sum_bits) for scale in layer.scales.tolist()), strict=True)
    weights = layer.weights[:, :, 0].T if layer.depthwise else layer.weights
    return "\n".join(
        [
            f"/* {name}: no sum beyond {layer.bound}, which is below 2^{layer.bound.bit_length()} */",
            array("int8_t", f"{name}_weights", weights.reshape(-1)),
            array("int32_t", f"{name}_biases", layer.biases),
            array("int32_t", f"{name}_multipliers", multipliers),
            array("uint8_t", f"{name}_shifts", shifts),
        ]
    )


def _layer(name: str, layer: Layer) -> str:
    arrays = ", ".join(f"{name}_{part}" for part in ("weights", "biases", "multipliers", "shifts"))
    return f"{{{arrays}, {layer.weights[0].size}, {layer.outputs}, {layer.zero}}}"


def _block(index: int, block: Block) -> str:
    depthwise, pointwise = _layer(f"depthwise{index}", block.depthwise), _layer(f"pointwise{index}", block.pointwise)
    add = f"{{{block.add.fixed}, {block.add.first}, {block.add.second}, {block.add.shift}}}"
    return f"{{{depthwise},\n{pointwise},\n{add}, {block.depthwise.padding}, {block.depthwise.zero_in}}}"


def decision(metadata: Metadata) -> str:
    """hark_decision.h: from logits to detections."""
    rules = _rules(metadata)
    columns = [metadata.labels.index(keyword) for keyword in metadata.keyword_names]
    if max(rules.windows) > _MOST_POSTERIORS:
        raise ModelError(f"smooths over {max(rules.windows)} posteriors; C can be written for {_MOST_POSTERIORS}")
    rows = zip(columns, rules.windows, rules.fire_sums, rules.rearm_sums, rules.refractory_samples, strict=True)
    names = ", ".join(map(string, metadata.keyword_names))
    body = [
        defines({"EXCLUSION_SAMPLES": samples_of(metadata.exclusion_ms)}),
        "/* sums: over so many posteriors, Q15 */",
        "typedef struct {\n    uint32_t label;\n    uint32_t posteriors;\n    uint32_t fire_sum;\n"
        "    uint32_t rearm_sum;\n    uint32_t refractory_samples;\n} hark_keyword;\n",
        f"const char *const hark_keywords[HARK_KEYWORDS] = {{{names}}};\n",
        "static const hark_keyword hark_decisions[HARK_KEYWORDS] = {\n"
        + ",\n".join(f"{{{', '.join(map(str, row))}}}" for row in rows)
        + "};\n",
        "/* 2^15 exp(-scale d) */",
        array("uint16_t", "hark_posterior_table", metadata.posterior_table),
    ]
    return header("HARK_DECISION_H", "What decides", "\n".join(body))


def _rules(metadata: Metadata) -> Rules:
    parameters = [metadata.keywords[name].parameters() for name in metadata.keyword_names]
    return Rules.of(parameters, metadata.stride_frames * metadata.front_end.hop)
