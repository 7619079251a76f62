"""What a detector is tuned on: heard streams, which are judged at any parameters."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tinyhark.dsp.decision import KeywordParameters
from tinyhark.dsp.operating import SAMPLES_PER_HOUR, Counts, Setting, count, outcomes

from ..evaluation.measurement import Judged, Measurement
from ..evaluation.scores import Heard


@dataclass(frozen=True)
class Material:
    """Heard streams and the model that heard them.

    keywords, parameters: of the model, in its order; reported: the keywords that count, the others only compete.
    """

    heard: Sequence[Heard]
    keywords: Sequence[str]
    parameters: Sequence[KeywordParameters]
    exclusion_ms: float
    reported: Sequence[str]

    @cached_property
    def hours(self) -> float:
        """Of sound whose false accepts count."""
        return sum(one.scores.lived for one in self.heard if one.stream.is_life) / SAMPLES_PER_HOUR

    @cached_property
    def said(self) -> dict[str, int]:
        """Reported keyword -> how often it was said."""
        words = Counter(word.label.keyword for one in self.heard for word in one.words)
        return {keyword: words[keyword] for keyword in self.reported}

    @property
    def thresholds(self) -> list[float]:
        """The model's own."""
        return [p.threshold for p in self.parameters]

    def judge(self, parameters: Sequence[KeywordParameters], settings: Sequence[Setting]) -> Measurement:
        """All streams at these settings."""
        judged = []
        for one in self.heard:
            labels = [word.label for word in one.words]
            replay = one.replay(parameters, self.exclusion_ms)
            judged.append(Judged(one, outcomes(replay, one.timing, labels, self.keywords, settings)))
        return Measurement(list(self.keywords), list(parameters), self.exclusion_ms, list(settings), judged)

    def total(self, measurement: Measurement) -> Counts:
        """The counts of all reported keywords together."""
        indices = [self.keywords.index(keyword) for keyword in self.reported]
        out = Counts.none(len(measurement.settings))
        for heard, outcome in measurement.judged:
            words = [index for index, word in enumerate(heard.words) if word.label.keyword in self.reported]
            out += count(outcome, words, indices, heard.scores.lived, is_life=heard.stream.is_life)
        return out
