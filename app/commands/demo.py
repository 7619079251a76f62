"""`hark demo`: a recording goes through the spotter as if it were live, then what was heard beside what was said."""

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from ..cli import INTERRUPTED
from ..errors import HarkError
from ..text import encodable, printable
from .options import make_spotter, spotter_options

if TYPE_CHECKING:
    from ..audio.speakers import Speakers
    from ..detection import Detection
    from ..labels import Said
    from ..live import Watcher
    from ..outcome import Outcome
    from ..spotter import Spotter

_PACKAGED = Path(__file__).parent.parent / "demo"


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--labels", type=click.Path(path_type=Path), help="What FILE says: CSV start_sample,end_sample,keyword.")
@click.option("--fast", is_flag=True, help="At once, not in real time.")
@click.option("--play", is_flag=True, help="Also play the recording.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON, and nothing else on standard output.")
@spotter_options
def demo(file: Path | None, labels: Path | None, fast: bool, play: bool, as_json: bool, **options: Any) -> None:
    """Hear the keywords in FILE, or in a recording that comes along, as if it were live.

    No microphone is needed. Ends with what was heard beside what was said; the exit status is 1 when fewer than 95 % of
    the commands were heard or there was an event that should not have been.
    """
    if file is None and labels is not None:
        raise click.UsageError("--labels needs the FILE that they belong to")
    if fast and play:
        raise click.UsageError("--play takes its time; leave out --fast")
    if file is None:
        file, labels = _PACKAGED / "demo.opus", _PACKAGED / "demo.csv"
    from ..labels import read_labels
    from ..outcome import judge
    from ..watchers import can_show_live

    said = None if labels is None else read_labels(labels)
    spotter = make_spotter(**options)
    if said is not None:
        said = _counted(said, options["keywords"] or spotter.keywords, str(labels), spotter.model.name)
    detections, samples = _hear(file, said, spotter, paced=not fast, play=play, quiet=as_json)
    outcome = None if said is None else judge(said, detections)
    if as_json:
        from ..outcome_report import to_json

        click.echo(to_json(encodable(str(file)), spotter.model.name, samples, detections, outcome))
    else:
        _report(detections, outcome, samples, in_lines=not fast and not can_show_live(sys.stdout))
    if outcome is not None and not outcome.goal_met:
        sys.exit(1)


def _counted(said: "Sequence[Said]", words: Sequence[str], labels: str, model: str) -> "list[Said]":
    """Labels of other words become other speech, which is said; HarkError when that is all of them."""
    commands = {item.label.keyword for item in said if item.is_command}
    others = sorted(commands - set(words))
    if others and len(others) == len(commands):
        raise HarkError(f"{labels}: none of its words ({', '.join(others)}) is one of {model} ({', '.join(words)})")
    if others:
        click.echo(f"hark: {labels}: not counted, as {model} is not asked for them: {', '.join(others)}", err=True)
    return [item.as_other_speech() if item.label.keyword in others else item for item in said]


def _hear(
    file: Path, said: "Sequence[Said] | None", spotter: "Spotter", *, paced: bool, play: bool, quiet: bool
) -> "tuple[list[Detection], int]":
    """Play the recording to the spotter, shown as the terminal and the options allow -> detections, samples played."""
    from ..audio.files import read_blocks
    from ..live import BLOCK_SAMPLES, Playback, run

    with contextlib.ExitStack() as stack:
        output = stack.enter_context(_speakers()).play if play else None
        playback = Playback(read_blocks(file, BLOCK_SAMPLES), paced=paced, play=output)
        try:
            with _watcher(file, said, spotter, paced=paced, quiet=quiet) as watcher:
                return list(run(spotter, playback, watcher)), playback.samples
        except KeyboardInterrupt:
            click.echo(f"hark: stopped after {playback.samples / SAMPLE_RATE_HZ:.1f} s", err=True)
            sys.exit(INTERRUPTED)


def _watcher(file: Path, said: "Sequence[Said] | None", spotter: "Spotter", *, paced: bool, quiet: bool) -> "Watcher":
    """The live view on a terminal, lines elsewhere; only a progress bar where there is no time or no place for them."""
    from ..audio.files import duration_s
    from ..watchers import Lines, ProgressBar, can_show_live, live_terminal

    if not paced or quiet:
        return ProgressBar(duration_s(file))
    if can_show_live(sys.stdout):
        total_samples = round(duration_s(file) * SAMPLE_RATE_HZ)
        return live_terminal(spotter, lambda: printable(file.name), said=said, total_samples=total_samples or None)
    return Lines(click.echo, lambda found: f"{found.time_s:.2f}  {found.keyword}  {found.score:.2f}")


def _speakers() -> "Speakers":
    from ..audio.portaudio import load_portaudio
    from ..audio.speakers import Speakers

    return Speakers(load_portaudio())


def _report(detections: "Sequence[Detection]", outcome: "Outcome | None", samples: int, *, in_lines: bool) -> None:
    """The result for people; without labels, events that stand there as lines are not repeated."""
    from rich.console import Console

    from .. import outcome_report

    console = Console(highlight=False)
    if outcome is not None:
        console.print(outcome_report.table(outcome))
        click.echo(outcome_report.summary(outcome))
        return
    if detections and not in_lines:
        console.print(outcome_report.event_table(detections))
    click.echo(f"{len(detections)} event{'s' * (len(detections) != 1)} in {samples / SAMPLE_RATE_HZ:.1f} s")
