"""A recipe: one TOML file that says everything about a training run; unknown keys are refused."""

import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tinyhark.app.catalog import is_name
from tinyhark.app.errors import HarkError
from tinyhark.dsp.decision import KeywordParameters
from tinyhark.dsp.tables import BANDS

Positive = Annotated[float, Meta(gt=0)]
Time = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(gt=0)]
Natural = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Range = tuple[float, float]


class StoreSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One store and what its clips are for.

    use: words (a clip's label is a keyword, or it is unknown), speech (connected speech: unknown, and neighbours of
    words), noise (mixed in, and silence). weight: how much more often its clips are drawn than their number says.
    synthetic: speech that a machine spoke (`classes.synthetic`). mine: false where keywords may be said in it, so that
    what a model hears there is no lesson. credit: of its origin, for the model file.
    """

    path: str
    use: Literal["words", "speech", "noise"]
    weight: Positive = 1.0
    synthetic: bool = False
    mine: bool = True
    credit: str = ""


class NetworkSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The shape of the DS-CNN; kind 1d has the coefficients as channels, 2d as a second axis.

    stride: frames that the stem steps by in time.
    """

    kind: Literal["1d", "2d"] = "1d"
    channels: Count = 80
    blocks: Natural = 7
    kernel: Count = 9
    stem_kernel: Count = 5
    stride: Count = 2
    padded: bool = True

    def __post_init__(self) -> None:
        for name in ("kernel", "stem_kernel"):
            if getattr(self, name) % 2 == 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be odd, so that it has a middle")

    def columns(self, frames: int) -> int:
        """Columns in time that the network pools over; raises ValueError where none is left."""
        columns = (frames + (2 * (self.stem_kernel // 2) if self.padded else 0) - self.stem_kernel) // self.stride + 1
        if not self.padded:
            columns -= self.blocks * (self.kernel - 1)
        if columns < 1:
            raise ValueError(f"{frames} frames leave no column after {self.blocks} blocks of kernel {self.kernel}")
        return columns


class ClassesSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How often each class is drawn (shares; the keywords have the rest, evenly), and of what unknown consists.

    unknown_speech, unknown_pieces: the shares of unknown that are connected speech and pieces of keywords. Of its other
    words, unknown_cut: the share that the window's edge may cut; unknown_joint: that are the first part of one word and
    the last of another; unknown_reversed: that run backwards; unknown_strange, of all of it: at a pitch and rate of no
    speaker. synthetic: the share of synthetic speech in each keyword that has both kinds. label_power: a word that is
    no keyword and has n clips is drawn in proportion to n ** label_power. unknown_bias: added to the logit of unknown
    when training ends, which drew it more often than its part of what a user says (Menon 2021); log(share of a keyword
    / share of unknown) would make them even.
    """

    unknown: Share = 0.25
    silence: Share = 0.06
    unknown_speech: Share = 0.2
    unknown_pieces: Share = 0.06
    unknown_cut: Share = 0.4
    unknown_joint: Share = 0.0
    unknown_reversed: Share = 0.0
    unknown_strange: Share = 0.0
    synthetic: Share = 0.25
    label_power: Annotated[float, Meta(ge=0, le=1)] = 0.5
    unknown_bias: float = 0.0

    def __post_init__(self) -> None:
        for one, other in (("silence", "unknown"), ("unknown_speech", "unknown_pieces")):
            if getattr(self, one) + getattr(self, other) > 1:
                raise ValueError(f"{one} and {other} are shares of one whole; together they are above 1")


class AugmentationSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Ranges that are drawn from, evenly; *_share: how often something happens at all.

    colour_db: how much a microphone or a line may lift or lower the ends of the spectrum. telephone_share: of
    windows, with their noise, that go over a line whose range ends at 0.1 to 0.35 and at 3 to 4 kHz.
    """

    rate: Range = (0.85, 1.18)
    pitch: Range = (0.9, 1.12)
    gain_db: Range = (-30.0, 12.0)
    free_position_share: Share = 0.5
    position_frames: Natural = 10
    neighbour_share: Share = 0.3
    neighbour_gap_frames: Range = (2, 25)
    noise_share: Share = 0.75
    snr_db: Range = (-3.0, 30.0)
    silence_dbfs: Range = (-95.0, 0.0)
    colour_db: Annotated[float, Meta(ge=0)] = 0.0
    telephone_share: Share = 0.0
    mask_share: Share = 0.4
    mask_frames: Natural = 10
    mask_bands: Annotated[int, Meta(ge=0, le=BANDS)] = 6

    def __post_init__(self) -> None:
        for name in ("rate", "pitch", "gain_db", "neighbour_gap_frames", "snr_db", "silence_dbfs"):
            low, high = getattr(self, name)
            if not low <= high:
                raise ValueError(f"{name} is [{low}, {high}]; the lower bound comes first")
            if name in ("rate", "pitch") and low <= 0:
                raise ValueError(f"{name} is [{low}, {high}]; it must be above 0")


class TrainingSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The optimiser's diet."""

    steps: Annotated[int, Meta(gt=0)]
    batch: Annotated[int, Meta(gt=0)] = 128
    learning_rate: Positive = 0.004
    weight_decay: float = 0.02
    warmup_steps: Natural = 200
    label_smoothing: Share = 0.05
    ema: Annotated[float, Meta(ge=0, lt=1)] = 0.998
    checkpoint_steps: Count = 250
    validate_steps: Count = 500


class QuantizationSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Post-training calibration, then `steps` of fine-tuning with the rounding of int8 in the loop (0: none)."""

    calibration_batches: Count = 8
    steps: Natural = 300
    learning_rate: Positive = 0.0001


class MiningSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Rounds of training on with what the model wrongly hears in its training data, after the first training.

    threshold: of the score, far below where a keyword fires in use: what nearly fired is as good a lesson. weight: how
    many times as often as connected speech of its length a mined stretch is drawn. steps, warmup_steps: of each round.
    rate: of the first training's learning rate.
    """

    rounds: Natural = 0
    threshold: Share = 0.2
    weight: Positive = 20.0
    steps: Count = 400
    warmup_steps: Natural = 50
    rate: Share = 0.25


class DetectionSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Decision parameters that go into the model file."""

    stride_frames: Count = 4
    threshold: Share = 0.6
    thresholds: dict[str, Share] = {}
    smoothing_ms: float = 200
    rearm: Share = 0.6
    refractory_ms: float = 400
    exclusion_ms: Time = 250

    def __post_init__(self) -> None:
        for threshold in (self.threshold, *self.thresholds.values()):
            KeywordParameters(threshold, self.smoothing_ms, self.rearm, self.refractory_ms)


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All of it."""

    name: str
    keywords: tuple[str, ...]
    store: tuple[StoreSpec, ...]
    validation: str
    training: TrainingSpec
    seed: Natural = 1
    window_frames: Count = 97
    n_mfcc: Annotated[int, Meta(ge=1, le=40)] = 40
    ignore_labels: tuple[str, ...] = ()
    exclude_speakers: tuple[str, ...] = ()
    licence: str = "Apache-2.0"
    network: NetworkSpec = NetworkSpec()
    classes: ClassesSpec = ClassesSpec()
    augmentation: AugmentationSpec = AugmentationSpec()
    quantization: QuantizationSpec = QuantizationSpec()
    mining: MiningSpec = MiningSpec()
    detection: DetectionSpec = DetectionSpec()

    def __post_init__(self) -> None:
        if not is_name(self.name):
            raise ValueError(f"name is {self.name!r}; letters, digits, '.', '_' and '-' can name a model")
        if not self.keywords or not all(self.keywords):
            raise ValueError("keywords is empty, or one of them is")
        for word in self.keywords:
            if word.startswith("_") or self.keywords.count(word) > 1:
                raise ValueError(f"keywords has {word!r}; they must differ, and a name that begins with _ is no word")
        if unknown := set(self.detection.thresholds) - set(self.keywords):
            raise ValueError(f"thresholds names {', '.join(sorted(unknown))}, which is no keyword")
        self.network.columns(self.window_frames)
        if self.detection.stride_frames % self.network.stride:
            raise ValueError(
                f"stride_frames is {self.detection.stride_frames}; it must be a multiple of the network's stride, "
                f"{self.network.stride}"
            )

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes in the order of the network's outputs."""
        return ("_silence_", "_unknown_", *self.keywords)

    @property
    def digest(self) -> str:
        """SHA-256 of what the weights depend on: all but the decision parameters, whatever the file's layout.

        What is as a recipe has it by default is not in it, so that a key that is new here changes no older digest.
        """
        weights = msgspec.structs.replace(self, detection=DetectionSpec())
        return hashlib.sha256(msgspec.json.encode(_said(weights), order="sorted")).hexdigest()


def _said(part: Any) -> Any:
    """What differs from the defaults, as JSON has it."""
    if isinstance(part, msgspec.Struct):
        values = {field.name: (getattr(part, field.name), field.default) for field in msgspec.structs.fields(part)}
        return {name: _said(value) for name, (value, default) in values.items() if value != default}
    return [_said(one) for one in part] if isinstance(part, tuple) else part


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; raises HarkError with the key that is wrong.

    `extends` names another recipe in the same folder: what this one does not say is as it is there, section by section.
    """
    try:
        return msgspec.convert(_read(path), Recipe)
    except msgspec.ValidationError as error:
        raise HarkError(f"{path}: {error}") from error


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HarkError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise HarkError(f"{path}: no TOML ({error})") from error


def _read(path: Path) -> dict[str, Any]:
    data = _toml(path)
    base = data.pop("extends", None)
    if base is None:
        return data
    if not isinstance(base, str) or Path(base).name != base or base == path.name:
        raise HarkError(f"{path}: extends is {base!r}; it must be the name of another recipe file beside this one")
    whole = _toml(path.parent / base)
    if "extends" in whole:
        raise HarkError(f"{path}: extends {base}, which extends another one; one step is all there is")
    for key, value in data.items():
        both = isinstance(value, dict) and isinstance(whole.get(key), dict)
        whole[key] = whole[key] | value if both else value
    return whole
