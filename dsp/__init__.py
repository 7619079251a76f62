"""Sound to decisions in integers: deterministic, without clock, files or threads, from numpy alone."""

from .decision import Decision, KeywordParameters, Step, Verdict
from .front_end import DIGEST, HOPS_SAMPLES, FrontEnd, frame_count
from .intervals import poisson_rate, wilson
from .matching import HIT_TOLERANCE_SAMPLES, Hit, Label, Matching, match
from .posterior import posterior_table, posteriors
from .quantize import quantize, to_int16
from .tables import BANDS, FRAME_SAMPLES, HOP_SAMPLES, SAMPLE_RATE_HZ
from .word_bounds import word_bounds

__all__ = [
    "BANDS",
    "DIGEST",
    "FRAME_SAMPLES",
    "HIT_TOLERANCE_SAMPLES",
    "HOPS_SAMPLES",
    "HOP_SAMPLES",
    "SAMPLE_RATE_HZ",
    "Decision",
    "FrontEnd",
    "Hit",
    "KeywordParameters",
    "Label",
    "Matching",
    "Step",
    "Verdict",
    "frame_count",
    "match",
    "poisson_rate",
    "posterior_table",
    "posteriors",
    "quantize",
    "to_int16",
    "wilson",
    "word_bounds",
]
