"""`hark listen`: the keywords in the sound of a microphone, as they are said."""

import sys
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from .options import make_spotter, several_spotter_options

if TYPE_CHECKING:
    from ..audio.microphone import Microphone
    from ..detection import Detection
    from ..live import Tracer, Watcher
    from ..spotter import Spotter


@click.command()
@click.option("--device", metavar="NAME", help="Part of the name, or the number, of an input device.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON for each event.")
@several_spotter_options
def listen(device: str | None, as_json: bool, **options: Any) -> None:
    """Hear keywords through a microphone until Ctrl-C.

    On a terminal, shows level, scores and events as they come; elsewhere, or with --json, one line for each event.
    """
    from ..audio.portaudio import load_portaudio

    spotter = make_spotter(**options)
    listen_with(load_portaudio(), device, spotter, as_json=as_json)


def listen_with(portaudio: Any, device: str | None, spotter: "Spotter", *, as_json: bool) -> None:
    """Open the microphone and show what is heard, as standard output allows; portaudio: the module sounddevice."""
    from ..audio.microphone import Microphone
    from ..watchers import Lines, can_show_live, live_terminal

    with Microphone(portaudio, device) as microphone:
        watcher: Watcher
        if can_show_live(sys.stdout) and not as_json:
            watcher = live_terminal(spotter, microphone.name, time_label=_TimeOfDay())
        else:
            click.echo(f"listening to {microphone.name} at {microphone.rate_hz} Hz; Ctrl-C stops", err=True)
            watcher = Lines(click.echo, json_line if as_json else plain_line)
        click.echo(listen_to(spotter, microphone, watcher), err=True)


def listen_to(spotter: "Tracer", microphone: "Microphone", watcher: "Watcher") -> str:
    """Spot what the microphone gives until it is interrupted -> what was heard, in a line."""
    from ..live import run

    heard: Counter[str] = Counter()
    try:
        with watcher:
            for detection in run(spotter, microphone, watcher):
                heard[detection.keyword] += 1
    except KeyboardInterrupt:
        pass
    summary = f"{heard.total()} event{'s' * (heard.total() != 1)} in {microphone.heard_s:.1f} s"
    if heard:
        summary += ": " + ", ".join(f"{word} {count}" for word, count in heard.most_common())
    if microphone.overflows:
        summary += f"; the device lost sound {microphone.overflows} times, {microphone.lost_s:.1f} s of it known"
    return summary


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
