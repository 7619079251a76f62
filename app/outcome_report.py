"""An outcome for people, as a table and a line, and for programs, as JSON."""

import json
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from .detection import Detection
from .live_drawing import clock
from .outcome import GOAL_PERCENT, Entry, Outcome, Result

_STYLES = {Result.HIT: "green", Result.OTHER_SPEECH: "bright_black"}


def table(outcome: Outcome) -> Table:
    """What was said, line by line, with what was heard."""
    out = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("said at", "word", "heard", "heard at", "latency", "score", ""):
        out.add_column(
            name, justify="right" if name.endswith(("at", "latency", "score")) else "left", no_wrap=name != "word"
        )
    for entry in outcome.entries:
        said, heard, latency = entry.said, entry.detection, entry.latency_samples
        other = entry.result is Result.OTHER_SPEECH
        out.add_row(
            clock(said.label.start_sample) if said else "",
            Text(said.words if said else "", "bright_black" if other else "", overflow="ellipsis", no_wrap=True),
            heard.keyword if heard else "",
            clock(heard.end_sample) if heard else "",
            "" if latency is None else f"{_ms(latency):.0f} ms",
            f"{heard.score:.2f}" if heard else "",
            "" if other else Text(str(entry.result), _STYLES.get(entry.result, "bold red")),
            style="bright_black" if other else None,
        )
    return out


def summary(outcome: Outcome) -> str:
    """The counts in a line, and whether they are good enough."""
    false_events = outcome.false_events
    counts = (
        f"heard {outcome.heard} of {outcome.commands} commands, {false_events} false event{'s' * (false_events != 1)}"
    )
    if doubles := outcome.count(Result.DOUBLE_TRIGGER):
        counts += f" ({doubles} of them a word heard twice)"
    goal = f"at least {GOAL_PERCENT} % and none"
    return f"{counts}: {'good' if outcome.goal_met else f'not good enough ({goal} would be)'}"


def event_table(detections: Sequence[Detection]) -> Table:
    """What was heard, where nobody wrote down what was said."""
    out = Table("heard at", "word", "score", box=box.SIMPLE_HEAD, pad_edge=False)
    for detection in detections:
        out.add_row(clock(detection.end_sample), detection.keyword, f"{detection.score:.2f}")
    return out


def to_json(recording: str, model: str, samples: int, detections: Sequence[Detection], outcome: Outcome | None) -> str:
    """One JSON object; what depends on labels is there only with an outcome."""
    result: dict[str, Any] = {"recording": recording, "model": model, "duration_s": samples / SAMPLE_RATE_HZ}
    if outcome is not None:
        result |= {
            "commands": outcome.commands,
            "heard": outcome.heard,
            "false_events": outcome.false_events,
            "double_triggers": outcome.count(Result.DOUBLE_TRIGGER),
            "goal_met": outcome.goal_met,
            "entries": [_entry(entry) for entry in outcome.entries],
        }
    result["detections"] = [json.loads(detection.to_json()) for detection in detections]
    return json.dumps(result, ensure_ascii=False)


def _entry(entry: Entry) -> dict[str, Any]:
    said, heard, latency = entry.said, entry.detection, entry.latency_samples
    return {
        "result": str(entry.result),
        "said": said
        and {
            "keyword": said.label.keyword,
            "text": said.text,
            "start_sample": said.label.start_sample,
            "end_sample": said.label.end_sample,
        },
        "heard": heard and json.loads(heard.to_json()),
        "latency_ms": None if latency is None else _ms(latency),
    }


def _ms(samples: int) -> float:
    return 1000 * samples / SAMPLE_RATE_HZ
