"""`hark detect`: the keywords in sound files, folders, or raw sound on standard input."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import AudioError
from ..progress import progress
from ..text import encodable, printable
from .options import make_spotter, several_spotter_options

if TYPE_CHECKING:
    from tinyhark.dsp.front_end import Samples

    from ..detection import Detection
    from ..spotter import Spotter

STDIN = "-"
LABEL_SUFFIXES = {"audacity": ".txt", "csv": ".csv"}
CSV_HEADER = "start_sample,end_sample,keyword,score"


@dataclass(frozen=True)
class Source:
    """A file to search: its path as shown, and its name below the output folder."""

    path: str
    name: Path


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="FILES|DIRS|-")
@several_spotter_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--labels", type=click.Choice([*LABEL_SUFFIXES]), help="Write labels: an Audacity label track, or CSV.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Write one label file a sound file there."
)
def detect(paths: tuple[str, ...], as_json: bool, labels: str | None, out: Path | None, **options: Any) -> None:
    """Find the keywords in sound files.

    FILES are of any common format, rate and channel count; DIRS are searched for them; - is raw int16 16 kHz mono on
    standard input, whose events are printed as they come.
    """
    if as_json and labels:
        raise click.UsageError("--json and --labels exclude each other")
    if out and not labels:
        raise click.UsageError("--out needs --labels")
    spotter = make_spotter(**options)
    sources, problems = _sources(paths)
    if labels and not out and len(sources) > 1:
        raise click.UsageError("--labels for several files needs --out DIR")
    if out:
        _check_names(sources)
    with progress("detect", _total_s(sources)) as advance:
        for source in sources:
            writer = _Labels(labels, out and out / f"{source.name}{LABEL_SUFFIXES[labels]}") if labels else None
            problem = None
            try:
                for detection in _search(spotter, source.path, advance):
                    if writer:
                        writer.add(detection)
                    else:
                        _print(detection, source.path, as_json)
            except AudioError as error:
                problem = str(error)
            if writer:
                writer.close()
            if problem:
                problems.append(problem)
                click.echo(f"hark: {problem}", err=True)
    if problems:
        sys.exit(2)


def _sources(paths: tuple[str, ...]) -> tuple[list[Source], list[str]]:
    """The files that the arguments mean, and what is wrong with the others (already said)."""
    from ..audio.files import sound_files

    sources, problems = [], []
    for path in paths:
        if path != STDIN and os.path.isdir(path):  # noqa: PTH112 - no error, but False for an impossible name
            try:
                sources += [Source(str(file), file.relative_to(path)) for file in sound_files(Path(path))]
            except AudioError as error:
                problems.append(str(error))
                click.echo(f"hark: {error}", err=True)
        else:
            sources.append(Source(path, Path("stdin" if path == STDIN else Path(path).name)))
    return sources, problems


def _check_names(sources: list[Source]) -> None:
    seen: dict[Path, str] = {}
    for source in sources:
        if source.name in seen:
            raise click.UsageError(f"{seen[source.name]} and {source.path} would write the same label file")
        seen[source.name] = source.path


def _total_s(sources: list[Source]) -> float:
    """Seconds of sound in all, asked for only where a bar will show them."""
    if not sys.stderr.isatty() or any(source.path == STDIN for source in sources):
        return 0.0
    from ..audio.files import duration_s

    return sum(duration_s(source.path) for source in sources)


def _blocks(path: str) -> Iterator["Samples"]:
    if path == STDIN:
        from ..audio.raw import read_raw

        return read_raw(sys.stdin.buffer)
    from ..audio.files import read_blocks

    return read_blocks(path)


def _search(spotter: "Spotter", path: str, advance: Any) -> Iterator["Detection"]:
    """The detections of one file; where it breaks off, what was heard before comes first, then the AudioError."""
    from tinyhark.dsp.tables import SAMPLE_RATE_HZ

    spotter.reset()
    failure = None
    try:
        for block in _blocks(path):
            yield from spotter.feed(block)
            advance(len(block) / SAMPLE_RATE_HZ)
    except AudioError as error:
        failure = error
    yield from spotter.finish()
    if failure:
        raise failure


def _print(detection: "Detection", path: str, as_json: bool) -> None:
    if as_json:
        line = detection.to_json(file=encodable(path))
    else:
        line = f"{printable(path)}  {detection.time_s:.2f}  {detection.keyword}  {detection.score:.2f}"
    click.echo(line)
    sys.stdout.flush()


class _Labels:
    """The labels of one file, to standard output or to a file that appears whole."""

    def __init__(self, kind: str, path: Path | None) -> None:
        self._kind = kind
        self._path = path
        self._lines = [CSV_HEADER] if kind == "csv" else []

    def add(self, detection: "Detection") -> None:
        from tinyhark.dsp.tables import SAMPLE_RATE_HZ

        d = detection
        if self._kind == "csv":
            self._lines.append(f"{d.start_sample},{d.end_sample},{d.keyword},{d.score:.4f}")
        else:
            start_s, end_s = d.start_sample / SAMPLE_RATE_HZ, d.end_sample / SAMPLE_RATE_HZ
            self._lines.append(f"{start_s:.6f}\t{end_s:.6f}\t{d.keyword}")

    def close(self) -> None:
        text = "".join(f"{line}\n" for line in self._lines)
        if self._path is None:
            click.echo(text, nl=False)
            return
        from ..atomic import write_text

        write_text(self._path, text)
