"""The metadata of a model file: what it holds, how it is read and written, and what makes it valid."""

import base64
import zlib
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tinyhark.dsp.decision import KeywordParameters, check_time
from tinyhark.dsp.front_end import DIGEST, HOPS_SAMPLES, FrontEnd, Samples
from tinyhark.dsp.posterior import POSTERIOR_BITS, TABLE_SIZE
from tinyhark.dsp.quantize import quantize
from tinyhark.dsp.tables import BANDS, FRAME_SAMPLES

from .errors import ModelError

FORMAT = 1
METADATA_KEY = "tinyhark"  # of the ONNX file's metadata_props
GOLDEN_SAMPLES = 4000  # the most a golden input may have

Window = NDArray[np.int8]  # [n_mfcc, window_frames], what the network sees


class FrontEndSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The front end that the network was trained with: hop in samples, bands, coefficients, digest of its output."""

    hop: int
    bands: int
    n_mfcc: int
    digest: str


class OperatingPoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a threshold costs: measured on `data`, `hours` without the word, `count` times the word, 95 % interval."""

    threshold: float
    false_accepts_per_hour: float
    miss_rate: float
    data: str
    hours: float
    count: int
    miss_interval: tuple[float, float]


class KeywordSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The decision parameters of one keyword, and the operating points they were chosen from."""

    threshold: float
    smoothing_ms: float
    rearm: float
    refractory_ms: float
    operating_points: list[OperatingPoint]

    def parameters(self) -> KeywordParameters:
        """For the decision; ValueError for values out of range."""
        return KeywordParameters(self.threshold, self.smoothing_ms, self.rearm, self.refractory_ms)


class DataSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A set of recordings that the network was trained on."""

    name: str
    licence: str
    credit: str
    clips: int


class Provenance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the weights come from and what was measured on them."""

    data: list[DataSource]
    recipe_digest: str
    seed: int
    versions: dict[str, str]
    metrics: dict[str, float | str | int]


class Golden(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An input with the answer: sound (`encode_golden`), SHA-256 of its window, the network's logit codes."""

    samples: str
    features_sha256: str
    logits: list[int]


class Metadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that a model file says beside its network; `labels` that begin with `_` are no keywords."""

    format: int
    labels: list[str]
    front_end: FrontEndSpec
    offset: list[int]
    multiplier: list[int]
    window_frames: int
    stride_frames: int
    posterior_table: list[int]
    exclusion_ms: float
    keywords: dict[str, KeywordSpec]
    provenance: Provenance
    licence: str
    golden: Golden

    @property
    def keyword_names(self) -> list[str]:
        """The keywords in the order of the labels."""
        return [label for label in self.labels if not label.startswith("_")]

    @property
    def window_samples(self) -> int:
        """Samples that one window covers."""
        return FRAME_SAMPLES + (self.window_frames - 1) * self.front_end.hop


class _Version(msgspec.Struct):
    format: int


def encode(metadata: Metadata) -> str:
    """The JSON that goes into the ONNX file; raises ModelError where `check` would refuse it."""
    check(metadata)
    return msgspec.json.encode(metadata).decode()


def decode(text: str) -> Metadata:
    """The metadata in a model file's JSON, checked; raises ModelError with what is wrong, in one line."""
    try:
        version = msgspec.json.decode(text, type=_Version).format
        if version != FORMAT:
            age = "an older" if version < FORMAT else "a newer"
            mend = "export the model again" if version < FORMAT else "update tinyhark"
            raise ModelError(f"has {age} format ({version}; this version reads {FORMAT}); {mend}")
        metadata = msgspec.json.decode(text, type=Metadata)
    except msgspec.DecodeError as error:
        raise ModelError(f"has unusable metadata: {error}; export the model again") from error
    check(metadata)
    return metadata


def check(metadata: Metadata) -> None:
    """Raise ModelError for metadata that no spotter could follow, with what is wrong, in one line."""
    _check_front_end(metadata.front_end)
    _check_integers("offset", metadata.offset, metadata.front_end.n_mfcc, -(2**31), 2**31 - 1)
    _check_integers("multiplier", metadata.multiplier, metadata.front_end.n_mfcc, 0, 2**15 - 1)
    if metadata.window_frames < 1:
        raise ModelError(f"has window_frames {metadata.window_frames}; it must be 1 or more")
    if not 1 <= metadata.stride_frames <= metadata.window_frames:
        raise ModelError(f"has stride_frames {metadata.stride_frames}; it must be 1 to {metadata.window_frames}")
    _check_table(metadata.posterior_table)
    _check_keywords(metadata)
    _check_integers("golden logits", metadata.golden.logits, len(metadata.labels), -128, 127)
    decode_golden(metadata.golden.samples)


def _check_front_end(spec: FrontEndSpec) -> None:
    if spec.digest != DIGEST:
        raise ModelError(
            f"was trained with another front end (digest {spec.digest[:12]}, here {DIGEST[:12]}); "
            "train it again, or use the version of tinyhark that made it"
        )
    if spec.hop not in HOPS_SAMPLES:
        raise ModelError(f"has a hop of {spec.hop} samples; it must be one of {HOPS_SAMPLES}")
    if spec.bands != BANDS:
        raise ModelError(f"has {spec.bands} bands; the front end has {BANDS}")
    if not 1 <= spec.n_mfcc <= BANDS:
        raise ModelError(f"has n_mfcc {spec.n_mfcc}; it must be 1 to {BANDS}")


def _check_table(table: list[int]) -> None:
    one = 1 << POSTERIOR_BITS
    _check_integers("posterior_table", table, TABLE_SIZE, 0, one)
    if table[0] != one or any(later > earlier for earlier, later in pairwise(table)):
        raise ModelError(f"has a posterior_table that does not fall from {one}; export the model again")


def _check_keywords(metadata: Metadata) -> None:
    names = metadata.keyword_names
    if len(set(metadata.labels)) != len(metadata.labels) or not all(map(_is_name, metadata.labels)):
        raise ModelError(f"has labels {metadata.labels}; they must be different names without control characters")
    if not names or set(names) != set(metadata.keywords):
        raise ModelError(
            f"has parameters for the keywords {sorted(metadata.keywords)} and the labels {metadata.labels}"
        )
    try:
        check_time("exclusion_ms", metadata.exclusion_ms)
    except ValueError as error:
        raise ModelError(f"has unusable parameters: {error}") from error
    for name, spec in metadata.keywords.items():
        try:
            spec.parameters()
        except ValueError as error:
            raise ModelError(f"has unusable parameters for '{name}': {error}") from error


def _is_name(label: str) -> bool:
    return bool(label) and label.isprintable()  # a terminal shows it, a label file has it in a line


def _check_integers(name: str, values: list[int], count: int, low: int, high: int) -> None:
    if len(values) != count:
        raise ModelError(f"has {len(values)} values in {name}; it must have {count}")
    wrong = [value for value in values if not low <= value <= high]
    if wrong:
        raise ModelError(f"has {wrong[0]} in {name}; values must be {low} to {high}")


def encode_golden(samples: Samples) -> str:
    """[n] int16 sound, n <= 4000 -> text: little endian, zlib, base64; ValueError for more."""
    if len(samples) > GOLDEN_SAMPLES:
        raise ValueError(f"the golden input has {len(samples)} samples; it may have {GOLDEN_SAMPLES}")
    return base64.b64encode(zlib.compress(samples.astype("<i2").tobytes(), 9)).decode()


def decode_golden(text: str) -> Samples:
    """The [n] int16 sound of `encode_golden`; raises ModelError where the text is none."""
    try:
        inflate = zlib.decompressobj()
        data = inflate.decompress(base64.b64decode(text, validate=True), 2 * GOLDEN_SAMPLES)
        if not inflate.eof or len(data) % 2:
            raise ValueError(f"more than {GOLDEN_SAMPLES} samples, or cut short")
    except (ValueError, zlib.error) as error:
        raise ModelError(f"has an unreadable golden input ({error}); export the model again") from error
    return np.frombuffer(data, "<i2").astype(np.int16)


def clip_window(
    audio: Samples,
    spec: FrontEndSpec,
    offset: Any,
    multiplier: Any,
    window_frames: int,
    front_end: FrontEnd | None = None,
) -> Window:
    """[n] int16 clip -> [n_mfcc, window_frames] int8, contiguous: the clip zero-padded at its end or cut to the window.

    offset, multiplier: [n_mfcc] integers as in the model file; front_end: one of that spec, which spares making it for
    every clip. This is how clips are classified, and the golden input.
    """
    samples = FRAME_SAMPLES + (window_frames - 1) * spec.hop
    padded = np.zeros(samples, np.int16)
    padded[: min(samples, len(audio))] = audio[:samples]
    mfcc = (front_end or FrontEnd(spec.hop, spec.n_mfcc)).mfcc(padded)
    return np.ascontiguousarray(quantize(mfcc, np.asarray(offset, np.int64), np.asarray(multiplier, np.int64)).T)


def window_digest(window: Window) -> str:
    """SHA-256 of a window's bytes ([n_mfcc, window_frames] in C order), as `golden.features_sha256` has it."""
    import hashlib  # brings OpenSSL along, 4 MB that a spotter does without

    return hashlib.sha256(np.ascontiguousarray(window).tobytes()).hexdigest()
