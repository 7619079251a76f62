"""Heard streams judged at many settings: the operating points of each keyword, for all streams or for some."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinyhark.dsp.decision import KeywordParameters
from tinyhark.dsp.operating import MISSED, Counts, Outcomes, Setting, count, grid, outcomes

from .scores import Heard
from .streams import Word


class Judged(NamedTuple):
    """A stream and what its firings came to at each setting."""

    heard: Heard
    outcome: Outcomes


@dataclass(frozen=True, slots=True)
class Measurement:
    """All streams, judged at `settings`; the last setting is the thresholds in `parameters`, the one in use.

    keywords, parameters: in the order of the model.
    """

    keywords: list[str]
    parameters: list[KeywordParameters]
    exclusion_ms: float
    settings: list[Setting]
    judged: list[Judged]

    @classmethod
    def of(
        cls,
        heard: Iterable[Heard],
        keywords: Sequence[str],
        parameters: Sequence[KeywordParameters],
        exclusion_ms: float,
    ) -> "Measurement":
        """Judge each stream over all thresholds, the same for all keywords, and at the thresholds in use."""
        settings = [*grid(len(keywords)), tuple(p.threshold for p in parameters)]
        judged = []
        for one in heard:
            labels = [word.label for word in one.words]
            replay = one.replay(parameters, exclusion_ms)
            judged.append(Judged(one, outcomes(replay, one.timing, labels, keywords, settings)))
        return cls(list(keywords), list(parameters), exclusion_ms, settings, judged)

    @property
    def in_use(self) -> int:
        """The index of the setting in use."""
        return len(self.settings) - 1

    @property
    def conditions(self) -> list[str]:
        """The conditions under which words were said, in the order of the streams."""
        return list(dict.fromkeys(one.heard.stream.condition for one in self.judged if one.heard.words))

    def counts(self, keyword: str | None = None, condition: str | None = None, kind: str | None = None) -> Counts:
        """The counts of one keyword over the streams of one condition and kind, None for all of each."""
        total = Counts.none(len(self.settings))
        indices = [k for k, name in enumerate(self.keywords) if keyword in (None, name)]
        for heard, outcome in self.judged:
            stream = heard.stream
            if condition in (None, stream.condition) and kind in (None, stream.kind):
                words = [w for w, word in enumerate(heard.words) if self._is_said(word, keyword)]
                total += count(outcome, words, indices, heard.scores.lived, is_life=stream.is_life)
        return total

    def latencies_ms(self, keyword: str | None, condition: str | None, setting: int) -> NDArray[np.float64]:
        """[hits] from the end of each word to its detection; negative where it was heard before it ended."""
        out = []
        for heard, outcome in self.judged:
            if condition in (None, heard.stream.condition):
                for word, sample in zip(heard.words, outcome.heard_sample[setting].tolist(), strict=True):
                    if sample != MISSED and self._is_said(word, keyword):
                        out.append((sample - word.label.end_sample) / 16)
        return np.array(out, np.float64)

    def _is_said(self, word: Word, keyword: str | None) -> bool:
        return word.label.keyword == keyword if keyword else word.label.keyword in self.keywords
