"""How others count, beside our own rule: figures of different rules cannot be compared.

- "tinyhark": `matching.match`. A hit comes from the start of its word to 0.5 s after its end; a second one is a double
  trigger; all else is a false accept.
- "per firing": the same, but a second firing inside a word is a false accept, too.
- "end + 1 s": as "tinyhark", but a hit may come up to a second after the end of its word.
- "dead time": no re-arm, no refractory time, no exclusion, each keyword by itself. A word is heard if the score reaches
  the threshold anywhere from its start to 0.5 s after its end; outside of words each such step is a false accept, after
  which the keyword is deaf for 75 slices of 20 ms.
"""

from collections.abc import Sequence

import numpy as np

from .matching import HIT_TOLERANCE_SAMPLES, Label
from .operating import MISSED, Outcomes, Setting, outcomes
from .replay import Replay, Timing
from .tables import SAMPLE_RATE_HZ

RULES = ("tinyhark", "per firing", "end + 1 s", "dead time")
DEAD_SAMPLES = 75 * SAMPLE_RATE_HZ // 50  # 75 slices of 20 ms


def by_all_rules(
    replay: Replay, timing: Timing, labels: Sequence[Label], keywords: Sequence[str], setting: Setting
) -> list[Outcomes]:
    """A stream's outcomes at one setting by each of RULES, in their order."""
    own = outcomes(replay, timing, labels, keywords, [setting])
    none = np.zeros_like(own.double_triggers)
    per_firing = Outcomes(own.heard_sample, none, own.false_accepts + own.double_triggers, own.confusions)
    longer = outcomes(replay, timing, labels, keywords, [setting], tolerance_samples=SAMPLE_RATE_HZ)
    return [own, per_firing, longer, _dead_time(replay, timing, labels, keywords, setting)]


def _dead_time(
    replay: Replay, timing: Timing, labels: Sequence[Label], keywords: Sequence[str], setting: Setting
) -> Outcomes:
    k = len(keywords)
    heard_sample = np.full((1, len(labels)), MISSED, np.int64)
    false_accepts = np.zeros((1, k), np.int64)
    for keyword, steps in enumerate(replay.reached(setting)):
        times = timing.first_sample + steps * timing.stride_samples
        outside = np.ones(len(times), bool)
        for index, label in enumerate(labels):
            if label.keyword == keywords[keyword]:
                inside = (times >= label.start_sample) & (times <= label.end_sample + HIT_TOLERANCE_SAMPLES)
                outside &= ~inside
                if inside.any():
                    heard_sample[0, index] = times[inside.argmax()]
        deaf_until = 0
        for time in times[outside].tolist():
            if time >= deaf_until:
                false_accepts[0, keyword] += 1
                deaf_until = time + DEAD_SAMPLES
    return Outcomes(heard_sample, np.zeros((1, k), np.int64), false_accepts, np.zeros((1, k, k), np.int64))
