"""How far a training has come: a bar on a terminal; elsewhere a line now and then."""

import os

import click


class TrainingProgress:
    """Used as a context: the bar is there while it lasts."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=1, metrics="")
        self._stage = ""
        self._quiet = int(os.environ.get("RANK", "0")) > 0  # of several processes the first one speaks

    def __enter__(self) -> "TrainingProgress":
        if not self._quiet:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def report(self, stage: str, done: int, total: int, metrics: dict[str, float]) -> None:
        """Show that `done` of `total` steps of `stage` are done."""
        shown = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        self._bar.update(self._task, description=stage, completed=done, total=total, metrics=shown)
        if not self._quiet and not self._console.is_terminal and (stage != self._stage or len(metrics) > 1):
            click.echo(f"{stage} {done}/{total}  {shown}", err=True)
        self._stage = stage
