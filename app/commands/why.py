"""`hark why`: the scores of a recording over time, and why a keyword fired or did not."""

import sys
from typing import Any

import click

from ..errors import AudioError
from .options import Finite, make_spotter, spotter_options

AROUND_S = 2.5  # shown on both sides of --at


@click.command()
@click.argument("file")
@click.option("--at", "at_s", type=Finite(0), metavar="SECONDS", help="Explain this moment alone.")
@spotter_options
def why(file: str, at_s: float | None, **options: Any) -> None:
    """Show the scores over time, and why a keyword fired or did not.

    Without --at every detection is explained, and every near miss: a peak of a score above half its threshold.
    """
    from rich.console import Console

    from tinyhark.dsp.tables import SAMPLE_RATE_HZ

    from ..audio.files import duration_s, read_blocks
    from ..explanation import History, moments, reason, reasons_at
    from ..progress import progress
    from ..score_plot import plot

    spotter = make_spotter(**options)
    history = History(spotter)
    failure = None
    with progress("why", duration_s(file)) as advance:
        try:
            for block in read_blocks(file):
                history.add(spotter.trace(block))
                advance(len(block) / SAMPLE_RATE_HZ)
        except AudioError as error:
            if not history.rows:
                raise
            failure = error
    sound_s = spotter.position_samples / SAMPLE_RATE_HZ
    history.add(spotter.trace_end())
    if at_s is not None and at_s > history.end_samples[-1] / SAMPLE_RATE_HZ:
        raise failure or AudioError(f"{file}: has {sound_s:.2f} s of sound; --at {at_s:g} lies behind its end")
    first, end = 0, len(history.rows)
    if at_s is not None:
        first, end = history.nearest(at_s - AROUND_S), history.nearest(at_s + AROUND_S) + 1
    console = Console(highlight=False)
    console.print(plot(history, first, end, console.width, sys.stdout.encoding), end="", no_wrap=True, crop=False)
    if at_s is None:
        for moment in moments(history):
            time_s = history.end_samples[moment.step] / SAMPLE_RATE_HZ
            click.echo(f"{time_s:8.2f} s  {spotter.keywords[moment.keyword]} {reason(history, moment)}")
    else:
        index = history.nearest(at_s)
        for keyword, text in reasons_at(history, index):
            click.echo(f"{history.end_samples[index] / SAMPLE_RATE_HZ:8.2f} s  {keyword} {text}")
    if failure:
        click.echo(f"hark: {failure}", err=True)
        sys.exit(2)
