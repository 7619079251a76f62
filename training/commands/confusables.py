"""`hark eval confusables`: what will wake a model that only sounds like its keywords."""

import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table

    from ..confusables import Tried

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("model", metavar="MODEL")
@click.option("--count", default=8, show_default=True, type=click.IntRange(1), help="Clips a phrase by each engine.")
@click.option("--threshold", "thresholds", multiple=True, metavar="[WORD=]SCORE", help="In place of the model's own.")
@click.option("--kokoro", type=_FOLDER, help="Kokoro's folder [TINYHARK_KOKORO, user's data].")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--cache", type=_FOLDER, help="Where clips and scores are kept.")
def confusables(
    model: str, count: int, thresholds: tuple[str, ...], kokoro: Path | None, as_json: bool, cache: Path | None
) -> None:
    """Count what sounds like the keywords of MODEL and fires.

    MODEL is an installed one or a file; what fires is counted by phrase.

    Parts, repetitions, other orders, rhymes and known look-alikes of each keyword are spoken by espeak-ng, and by
    Kokoro where its files are, in voices that training from text leaves out. docs/confusables.md explains the figures.
    """
    import msgspec

    from tinyhark.app.commands.options import make_spotter
    from tinyhark.app.errors import HarkError
    from tinyhark.app.evaluation.cache import Cache, default_folder
    from tinyhark.app.evaluation.farm import on_cores
    from tinyhark.app.progress import progress

    from ..confusables import listen, phrases_for, speak
    from ..synthesis.engines import available

    spotter = make_spotter(
        model, (), None, gate=False, threshold=thresholds, smoothing_ms=(), rearm=(), refractory_ms=()
    )
    folder = cache or default_folder()
    engines = available(kokoro, os.cpu_count() or 1)
    phrases = phrases_for(spotter.keywords)
    try:
        with progress("speaking", len(phrases) * count * len(engines)) as advance:
            clips = speak(phrases, engines, count, folder / "confusables", advance)
    except OSError as error:
        raise HarkError(f"{folder}: cannot be written: {error.strerror}; name another folder by --cache") from error
    with progress("hearing", 1) as advance:
        tried, problems = listen(spotter, clips, Cache(folder), on_cores(-1), advance)
    for problem in problems:
        click.echo(f"hark: {problem}", err=True)
    if as_json:
        names = [engine.name for engine in engines]
        click.echo(msgspec.json.encode({"model": spotter.model.name, "engines": names, "phrases": tried}).decode())
    else:
        _show(spotter.model.name, tried)
    if problems:
        sys.exit(2)


def _show(model: str, tried: "Sequence[Tried]") -> None:
    from tinyhark.app.tables import plain_console

    console = plain_console()
    by_keyword: dict[str, list[Tried]] = defaultdict(list)
    for one in tried:
        by_keyword[one.phrase.keyword].append(one)
    console.print(f"What wakes {model}: synthetic voices; brackets are 95 % intervals")
    console.print(_fired(by_keyword))
    console.print(_totals(by_keyword))
    silent = ", ".join(one.phrase.text for one in tried if not one.fired.count)
    console.print(f"Never fired: {silent or 'none'}")


def _table(title: str, names: Sequence[str]) -> "Table":
    from tinyhark.app.tables import titled_table

    return titled_table(title, names, ("keyword", "phrase", "kind", "heard as"))


def _fired(by_keyword: "dict[str, list[Tried]]") -> "Table":
    """The keyword itself, then what fired, the most often first."""
    from tinyhark.app.evaluation.stream_tables import share

    from ..confusables import KEYWORD

    table = _table("What fired", ("keyword", "phrase", "kind", "clips", "fired", "share", "heard as"))
    for keyword, rows in by_keyword.items():
        for one in sorted(rows, key=lambda one: (one.phrase.kind != KEYWORD, -(one.fired.rate or 0))):
            is_itself = one.phrase.kind == KEYWORD
            if not (one.fired.count or is_itself):
                continue
            others = ", ".join(f"{word} {n}" for word, n in one.heard.items()) if set(one.heard) - {keyword} else ""
            cells = (one.phrase.text, one.phrase.kind, f"{one.fired.of:.0f}", str(one.fired.count), share(one.fired))
            table.add_row(keyword, *cells, others or keyword, style="bold" if is_itself else None)
    return table


def _totals(by_keyword: "dict[str, list[Tried]]") -> "Table":
    """All near misses of each keyword together, without what sounds like the keyword itself."""
    from tinyhark.app.evaluation.stream_tables import share
    from tinyhark.dsp.operating import Rate

    from ..confusables import MAY_FIRE

    names = ("keyword", "near misses", "of which fired", "clips", "fired", "share")
    table = _table("All near misses", names)
    for keyword, rows in by_keyword.items():
        near = [one.fired for one in rows if one.phrase.kind not in MAY_FIRE]
        total = Rate.share(sum(one.count for one in near), round(sum(one.of for one in near)))
        fired = sum(one.count > 0 for one in near)
        table.add_row(keyword, str(len(near)), str(fired), f"{total.of:.0f}", str(total.count), share(total))
    return table
