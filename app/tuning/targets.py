"""What can be asked of a choice: few false accepts, or few misses."""

import math
from dataclasses import dataclass

from tinyhark.dsp.operating import Point, Setting
from tinyhark.dsp.tuning import SHIFTS, allowed_false_accepts, allowed_misses, loosest, shifted, strictest

from ..errors import HarkError
from ..evaluation.measurement import Measurement
from .material import Material

SMOOTHING = (1.0, 0.5, 1.5)  # times the model's own; which one is taken depends on the negatives, too
ERROR = 0.05 / len(SMOOTHING)  # so what is promised with 95 % confidence must hold for all of them


@dataclass(frozen=True, slots=True)
class FewFalseAccepts:
    """At most so many per hour, all reported keywords together; of what keeps to that, the fewest misses.

    All thresholds are moved together: posteriors of one network mean the same for every word, and a threshold of its
    own for each would fit each word's worst moment in the negatives.
    """

    per_hour: float

    def check(self, material: Material) -> None:
        """Raise HarkError where the negatives are too few to choose from."""
        if self._allowed(material) < 0:
            raise HarkError(
                f"{material.hours:.2g} hours of negatives are too few to choose for {self.per_hour:g} false accepts an "
                f"hour: without any, they only show less than {3 / material.hours:.2g} (3 / hours); it takes "
                f"{1 / self.per_hour:.3g} hours to choose, {-math.log(ERROR) / self.per_hour:.3g} to be 95 % sure"
            )

    def place(self, material: Material, measurement: Measurement) -> Setting | None:
        """The loosest setting that fits, None if none does; measurement: at `path`."""
        index = loosest(material.total(measurement).false_accepts, self._allowed(material))
        return None if index is None else measurement.settings[index]

    def cost(self, point: Point) -> int:
        """What should be low where the target is kept."""
        return point.misses.count

    def events(self, material: Material, found: int) -> int:
        """False accepts that the choice was allowed: what is promised of others rests on them, not on those found."""
        return max(found, self._allowed(material))

    def refusal(self, material: Material) -> str:
        """Why no setting fits."""
        strict = path(material)[-1]
        found = material.total(material.judge(material.parameters, [strict])).point(0).false_accepts.count
        return (
            f"no point fits: even at a threshold of {max(strict):g} there are {found} false accepts in "
            f"{material.hours:.3g} hours; listen to them (hark eval stream --report DIR): a word that somebody says "
            "does not belong into negatives"
        )

    def _allowed(self, material: Material) -> int:
        return allowed_false_accepts(self.per_hour, material.hours)


@dataclass(frozen=True, slots=True)
class FewMisses:
    """At most such a share of each reported keyword; each gets the highest threshold that keeps to it."""

    share: float

    def check(self, material: Material) -> None:
        """Raise HarkError where the recordings of a keyword are too few to choose from."""
        for keyword, words in material.said.items():
            if allowed_misses(self.share, words) < 0:
                raise HarkError(
                    f"{keyword}: {words} recordings are too few to choose for {100 * self.share:g} % missed; it takes "
                    f"{math.ceil(1 / self.share - 1 - 1e-9)}: hark record words"
                )

    def place(self, material: Material, measurement: Measurement) -> Setting | None:
        """The strictest setting that fits, None if none does; measurement: at `path`."""
        setting = material.thresholds
        for keyword, words in material.said.items():
            at = strictest(measurement.counts(keyword).misses, allowed_misses(self.share, words))
            if at is None:
                return None
            index = material.keywords.index(keyword)
            setting[index] = measurement.settings[at][index]
        return setting

    def cost(self, point: Point) -> int:
        """What should be low where the target is kept."""
        return point.false_accepts.count

    def events(self, material: Material, found: int) -> int:
        """False accepts that what is promised rests on: those found, as the negatives had no part in the thresholds."""
        del material
        return found

    def refusal(self, material: Material) -> str:
        """Why no setting fits."""
        return (
            f"no point fits: at a threshold of {min(path(material)[0]):g}, too, a keyword is missed more often than "
            f"{100 * self.share:g} %; listen to its recordings (hark eval stream --report DIR)"
        )


Target = FewFalseAccepts | FewMisses


def path(material: Material) -> list[Setting]:
    """The settings that are tried, strictest last: the model's own, moved together."""
    return [shifted(material.thresholds, shift) for shift in SHIFTS]
