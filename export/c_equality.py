"""Whether an exported C project hears in a recording what Python hears: feature by feature, event by event."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from tinyhark.app.model import Model
from tinyhark.app.model_file import Metadata
from tinyhark.dsp.front_end import Frames, FrontEnd, Samples, frame_count
from tinyhark.dsp.posterior import POSTERIOR_BITS
from tinyhark.dsp.tables import FRAME_SAMPLES, SAMPLE_RATE_HZ

from .c_export import export_c
from .c_host import CProject, Heard, heard_by_python
from .model_export import with_metadata

LEAST_SHARE = 0.999  # of the events that must agree
_PIECE_FRAMES = 6000  # a minute: features of hours need no memory for hours


@dataclass
class Agreement:
    """Events of both sides counted: `agree` have keyword and end in common and a score within that of one logit code.

    same: those whose score is the same to the last bit; differences: a line for each other event.
    """

    events: int = 0
    agree: int = 0
    same: int = 0
    differences: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether enough events agree; true where there are none."""
        return self.agree >= LEAST_SHARE * self.events

    def __add__(self, other: "Agreement") -> "Agreement":
        return Agreement(
            self.events + other.events,
            self.agree + other.agree,
            self.same + other.same,
            self.differences + other.differences,
        )


def thresholds_at(model: Model, threshold: float, path: Path) -> Model:
    """A copy of the model file, at `path`, with one threshold for all keywords."""
    path.write_bytes(model.path.read_bytes())
    keywords = {name: replace(spec, threshold=threshold) for name, spec in model.metadata.keywords.items()}
    with_metadata(path, replace(model.metadata, keywords=keywords))
    return Model.load(path)


def project_of(model: Model, folder: Path, compiler: str = "cc") -> CProject:
    """The model's C, written to `folder` and compiled; raises HarkError where either fails."""
    export_c(model, folder)
    return CProject(folder, model.metadata, compiler)


def compare_events(model: Model, project: CProject, sound: Samples) -> Agreement:
    """[n] int16, one stream from its first sample to the silence that ends it, heard by both."""
    return agreement(heard_by_python(model, [sound]), project.spot([sound]), model)


def agreement(python: Sequence[Heard], c: Sequence[Heard], model: Model) -> Agreement:
    """Events of the same stream, paired by keyword and end; one that only one side has counts as one that differs."""
    tolerance = score_of_one_code(model.metadata)
    ours, theirs = ({(h.end_sample, h.keyword): h.score for h in heard} for heard in (python, c))
    made = Agreement(events=len(ours.keys() | theirs.keys()))
    for end_sample, keyword in sorted(ours.keys() | theirs.keys()):
        scores = [side.get((end_sample, keyword)) for side in (ours, theirs)]
        if None not in scores and abs(scores[0] - scores[1]) <= tolerance:  # type: ignore[operator]
            made.agree += 1
            made.same += scores[0] == scores[1]
            continue
        said = ("nothing" if score is None else f"{score / (1 << POSTERIOR_BITS):.4f}" for score in scores)
        where = f"{end_sample / SAMPLE_RATE_HZ:.3f} s (sample {end_sample})"
        made.differences.append(f"{where}, {model.keywords[keyword]}: {' in Python, '.join(said)} in C")
    return made


def score_of_one_code(metadata: Metadata) -> int:
    """The most, Q15, that a logit which is one code higher changes a posterior; a score is a mean of such."""
    one_lower = metadata.posterior_table[1] / metadata.posterior_table[0]
    return math.ceil(math.tanh(-math.log(one_lower) / 4) * (1 << POSTERIOR_BITS))


def differing_features(reference: FrontEnd, other: FrontEnd | CProject, sound: Samples) -> int:
    """How many log-mel and MFCC values of [n] int16 differ; every frame to the end of the sound is compared."""
    return sum(
        int((ours != theirs).sum())
        for piece in _pieces(sound, reference.hop)
        for ours, theirs in zip(_features(reference, piece), _features(other, piece), strict=True)
    )


def _features(of: FrontEnd | CProject, sound: Samples) -> tuple[Frames, Frames]:
    if isinstance(of, CProject):
        return of.features(sound)
    log_mel = of.log_mel(sound)
    return log_mel, of.cepstrum(log_mel)


def _pieces(sound: Samples, hop: int) -> Iterator[Samples]:
    for first in range(0, frame_count(len(sound), hop), _PIECE_FRAMES):
        yield sound[first * hop : (first + _PIECE_FRAMES - 1) * hop + FRAME_SAMPLES]
