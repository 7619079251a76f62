"""`hark listen`: the keywords in the sound of a microphone, as they are said."""

import sys
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from .options import make_spotter, several_spotter_options

if TYPE_CHECKING:
    from ..audio.intake import Intake
    from ..detection import Detection
    from ..live import Watcher
    from ..spotter import Spotter


@click.command()
@click.option("--device", metavar="NAME", help="Name of an input device, or a part of it; hark devices lists them.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON for each event.")
@several_spotter_options
def listen(device: str | None, as_json: bool, **options: Any) -> None:
    """Hear keywords through a microphone until Ctrl-C.

    On a terminal, shows level, scores and events as they come; elsewhere, or with --json, one line for each event. A
    microphone that goes away is waited for.
    """
    from ..audio.intake import Intake
    from ..audio.microphone_source import MicrophoneSource

    spotter = make_spotter(**options)
    listen_to(Intake(MicrophoneSource(device)), spotter, as_json=as_json)


def listen_to(intake: "Intake", spotter: "Spotter", *, as_json: bool) -> None:
    """Spot what an intake gives until it ends or is interrupted, shown as standard output allows, and sum it up."""
    from ..live import run

    heard: Counter[str] = Counter()
    with intake:
        try:
            with _watcher(intake, spotter, as_json=as_json) as watcher:
                for detection in run(spotter, intake, watcher):
                    heard[detection.keyword] += 1
        except KeyboardInterrupt:
            pass
        click.echo(summary(heard, intake), err=True)


def _watcher(intake: "Intake", spotter: "Spotter", *, as_json: bool) -> "Watcher":
    """The live view on a terminal; elsewhere events as lines, and on standard error what is wrong with the sound."""
    from ..watchers import LinesAndCondition, can_show_live, live_terminal

    if can_show_live(sys.stdout) and not as_json:
        return live_terminal(
            spotter,
            lambda: f"{intake.rate_hz / 1000:g} kHz {intake.name}",
            complaint=lambda: intake.complaint,
            time_label=_TimeOfDay(),
        )

    def condition() -> str:
        complaint = intake.complaint
        return f"hark: {complaint}" if complaint else f"listening to {intake.name} at {intake.rate_hz} Hz; Ctrl-C stops"

    line = json_line if as_json else plain_line
    return LinesAndCondition(click.echo, line, condition, lambda text: click.echo(text, err=True))


def summary(heard: "Counter[str]", intake: "Intake") -> str:
    """What was heard, by keyword, and what was lost, in a line."""
    counts = intake.counts
    line = f"{heard.total()} event{'s' * (heard.total() != 1)} in {_seconds(counts.heard_samples)}"
    if heard:
        line += ": " + ", ".join(f"{word} {count}" for word, count in heard.most_common())
    notes = [
        (counts.overflows, f"the device lost sound {_times(counts.overflows)}"),
        (counts.failures, f"it failed and was opened again {_times(counts.opened - 1)}"),
        (counts.lost_samples, f"{_seconds(counts.lost_samples)} are missing"),
        (intake.dropped_samples, f"{_seconds(intake.dropped_samples)} were dropped, as this machine did not keep up"),
    ]
    return "; ".join([line, *(note for count, note in notes if count)])


def _seconds(samples: int) -> str:
    return f"{samples / SAMPLE_RATE_HZ:.1f} s"


def _times(count: int) -> str:
    return f"{count} time{'s' * (count != 1)}"


class _TimeOfDay:
    """A sample index as the time of day, from the moment this was made."""

    def __init__(self) -> None:
        self._start = datetime.now()

    def __call__(self, sample: int) -> str:
        return f"{self._start + timedelta(seconds=sample / SAMPLE_RATE_HZ):%H:%M:%S}"


def json_line(detection: "Detection") -> str:
    """A detection as one line of JSON, with the time of day."""
    return detection.to_json(wall_time=datetime.now().astimezone().isoformat(timespec="milliseconds"))


def plain_line(detection: "Detection") -> str:
    """A detection as one line to read, with the time of day."""
    return f"{datetime.now():%H:%M:%S}  {detection.keyword:<12} {detection.score:.2f}"
