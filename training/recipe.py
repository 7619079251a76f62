"""A recipe: one TOML file that says everything about a training run; unknown keys are refused."""

import hashlib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tinyhark.app.errors import HarkError

Positive = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Range = tuple[float, float]


class StoreSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One store and what its clips are for.

    use: words (a clip's label is a keyword, or it is unknown), speech (connected speech: unknown, and neighbours of
    words), noise (mixed in, and silence). weight: how much more often its clips are drawn than their number says.
    credit: of its origin, for the model file.
    """

    path: str
    use: Literal["words", "speech", "noise"]
    weight: Positive = 1.0
    credit: str = ""


class NetworkSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The shape of the DS-CNN; kind 1d has the coefficients as channels, 2d as a second axis."""

    kind: Literal["1d", "2d"] = "1d"
    channels: int = 80
    blocks: int = 7
    kernel: int = 9
    stem_kernel: int = 5
    padded: bool = True


class ClassesSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How often each class is drawn (shares; the keywords have the rest, evenly), and of what unknown consists."""

    unknown: Share = 0.25
    silence: Share = 0.06
    unknown_speech: Share = 0.2
    unknown_pieces: Share = 0.06
    label_power: Annotated[float, Meta(ge=0, le=1)] = 0.5


class AugmentationSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Ranges that are drawn from, evenly; *_share: how often something happens at all."""

    rate: Range = (0.85, 1.18)
    pitch: Range = (0.9, 1.12)
    gain_db: Range = (-30.0, 12.0)
    free_position_share: Share = 0.5
    position_frames: int = 10
    neighbour_share: Share = 0.3
    neighbour_gap_frames: Range = (2, 25)
    noise_share: Share = 0.75
    snr_db: Range = (-3.0, 30.0)
    silence_dbfs: Range = (-95.0, 0.0)
    mask_share: Share = 0.4
    mask_frames: int = 10
    mask_bands: int = 6


class TrainingSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The optimiser's diet."""

    steps: Annotated[int, Meta(gt=0)]
    batch: Annotated[int, Meta(gt=0)] = 128
    learning_rate: Positive = 0.004
    weight_decay: float = 0.02
    warmup_steps: int = 200
    label_smoothing: Share = 0.05
    ema: Annotated[float, Meta(ge=0, lt=1)] = 0.998
    checkpoint_steps: int = 250
    validate_steps: int = 500


class QuantizationSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Post-training calibration, then `steps` of fine-tuning with the rounding of int8 in the loop (0: none)."""

    calibration_batches: int = 8
    steps: int = 600
    learning_rate: Positive = 0.0004


class DetectionSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Decision parameters that go into the model file."""

    stride_frames: int = 4
    threshold: Share = 0.6
    thresholds: dict[str, Share] = {}
    smoothing_ms: float = 200
    rearm: Share = 0.6
    refractory_ms: float = 400
    exclusion_ms: float = 250


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All of it."""

    name: str
    keywords: tuple[str, ...]
    store: tuple[StoreSpec, ...]
    validation: str
    training: TrainingSpec
    seed: int = 1
    window_frames: int = 97
    n_mfcc: Annotated[int, Meta(ge=1, le=40)] = 40
    ignore_labels: tuple[str, ...] = ()
    exclude_speakers: tuple[str, ...] = ()
    licence: str = "Apache-2.0"
    network: NetworkSpec = NetworkSpec()
    classes: ClassesSpec = ClassesSpec()
    augmentation: AugmentationSpec = AugmentationSpec()
    quantization: QuantizationSpec = QuantizationSpec()
    detection: DetectionSpec = DetectionSpec()

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes in the order of the network's outputs."""
        return ("_silence_", "_unknown_", *self.keywords)

    @property
    def digest(self) -> str:
        """SHA-256 of the recipe's content, whatever its layout was."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; raises HarkError with the key that is wrong."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Recipe)
    except OSError as error:
        raise HarkError(f"{path}: cannot be read ({error.strerror})") from error
    except msgspec.DecodeError as error:
        raise HarkError(f"{path}: {error}") from error
