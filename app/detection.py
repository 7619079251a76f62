"""The event that leaves the spotter."""

import msgspec

from tinyhark.dsp.tables import SAMPLE_RATE_HZ


class Detection(msgspec.Struct, frozen=True):
    """A keyword was heard.

    score: 0..1, at firing; start_sample, end_sample: the window it was heard in, end exclusive, 16 kHz samples since
    the start of the stream; model: the name of the model.
    """

    keyword: str
    score: float
    start_sample: int
    end_sample: int
    model: str

    @property
    def time_s(self) -> float:
        """Seconds from the start of the stream to the end of the window."""
        return self.end_sample / SAMPLE_RATE_HZ

    def to_json(self, **more: str | float) -> str:
        """One line of JSON: the fields and `time_s`, with `more` fields before them; the score with four decimals."""
        fields = msgspec.structs.asdict(self) | {"score": round(self.score, 4), "time_s": round(self.time_s, 4)}
        return msgspec.json.encode(more | fields).decode()
