"""The choice of threshold, smoothing and re-arm for a target, and what can be promised of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tinyhark.dsp.decision import KeywordParameters
from tinyhark.dsp.intervals import poisson_upper
from tinyhark.dsp.operating import Point
from tinyhark.dsp.tuning import most_ahead, shifted

from ..errors import HarkError
from .material import Material
from .targets import ERROR, SMOOTHING, Target, path

REARM = (1.0, 0.75, 0.5)  # times the model's own; which one is taken depends on the words alone
MOST_MISSED = 0.5  # a detector that misses more is of no use
DAY_H = 24.0
STEPS = len(SMOOTHING) + 1  # calls of `advance`
_AROUND = (-1.2, -0.8, -0.4, 0.0, 0.4, 0.8, 1.2)  # shifts of the operating points that are shown
_CHOSEN = _AROUND.index(0.0)


@dataclass(frozen=True, slots=True)
class Row:
    """An operating point of all reported keywords; thresholds: one a keyword of the model."""

    thresholds: Sequence[float]
    point: Point


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen: parameters, one a keyword of the model, and the operating points around it, strictest last.

    points: of each reported keyword; events: the false accepts that promises rest on (`Target.events`), in `hours`.
    """

    parameters: list[KeywordParameters]
    points: dict[str, Point]
    around: list[Row]
    events: int
    hours: float

    @property
    def row(self) -> Row:
        """The one of `around` that was chosen."""
        return self.around[_CHOSEN]

    @property
    def expected_per_hour(self) -> float:
        """False accepts to expect on other sound of the same kind, at most."""
        return (self.events + 1) / self.hours

    @property
    def bound_per_hour(self) -> float:
        """Their rate is below this with 95 % confidence."""
        return poisson_upper(self.events, self.hours, ERROR)

    @property
    def most_a_day(self) -> int:
        """In a day come no more, with 95 % confidence."""
        return self.most_in(DAY_H)

    def most_in(self, hours: float) -> int:
        """In so many other hours come no more, with 95 % confidence."""
        return most_ahead(self.events, self.hours, hours, ERROR)


def choose(material: Material, target: Target, advance: Callable[[float], None] = lambda _: None) -> Choice:
    """The parameters for a target; advance: called with 1, STEPS times.

    Raises HarkError, one line, where the recordings are too few or no point fits.
    """
    if not material.hours:
        raise HarkError("no negatives could be heard, or all are digital silence: nothing is known of false accepts")
    if not any(material.said.values()):
        raise HarkError(f"no recording says {' or '.join(material.said)}: nothing is known of misses")
    target.check(material)
    found = []
    for factor in SMOOTHING:
        parameters = [replace(p, smoothing_ms=factor * p.smoothing_ms) for p in material.parameters]
        setting = target.place(material, material.judge(parameters, path(material)))
        if setting is not None:
            placed = [replace(p, threshold=t) for p, t in zip(parameters, setting, strict=True)]
            found.append((target.cost(material.total(material.judge(placed, [setting])).point(0)), placed))
        advance(1)
    if not found:
        raise HarkError(target.refusal(material))
    choice = _described(material, target, _with_rearm(material, min(found, key=lambda pair: pair[0])[1]))
    advance(1)
    missed = choice.row.point.misses
    if missed.rate is not None and missed.rate > MOST_MISSED:
        raise HarkError(
            f"no point fits: where false accepts are few enough, {missed.count} of {missed.of:.0f} words are missed; "
            "listen to both (hark eval stream --report DIR), or train the model on such recordings"
        )
    return choice


def _with_rearm(material: Material, parameters: Sequence[KeywordParameters]) -> list[KeywordParameters]:
    """For each keyword the highest re-arm level with the fewest misses and, of these, the fewest double triggers."""
    setting = [p.threshold for p in parameters]
    tried = [[replace(p, rearm=factor * p.rearm) for p in parameters] for factor in REARM]
    found = [material.judge(some, [setting]) for some in tried]
    out = []
    for index, keyword in enumerate(material.keywords):
        points = [measurement.counts(keyword).point(0) for measurement in found]
        costs = [(point.misses.count, point.double_triggers) for point in points]
        out.append(tried[costs.index(min(costs))][index])
    return out


def _described(material: Material, target: Target, parameters: list[KeywordParameters]) -> Choice:
    chosen = tuple(p.threshold for p in parameters)
    settings = [shifted(chosen, shift) if shift else chosen for shift in _AROUND]
    measurement = material.judge(parameters, settings)
    total = material.total(measurement)
    rows = [Row(setting, total.point(index)) for index, setting in enumerate(settings)]
    points = {keyword: measurement.counts(keyword).point(_CHOSEN) for keyword in material.reported}
    events = target.events(material, int(total.false_accepts[_CHOSEN]))
    return Choice(parameters, points, rows, events, material.hours)
