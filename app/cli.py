"""The command `hark`: a table of commands, each loaded when it is used."""

import errno
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import click

from .errors import HarkError
from .text import nearest, printable

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

PLUGINS = "tinyhark.commands"  # the entry points of the upper floors; "eval.NAME" adds NAME to the group `hark eval`

# name -> "module:attribute", and what `hark --help` says without loading it
COMMANDS = {
    "demo": ("tinyhark.app.commands.demo:demo", "Hear the keywords in a recording that comes along, live."),
    "listen": ("tinyhark.app.commands.listen:listen", "Hear the keywords in the microphone's sound, live."),
    "daemon": ("tinyhark.app.commands.daemon:daemon", "Hear the keywords for good, and tell other programs."),
    "wyoming": ("tinyhark.app.commands.wyoming:wyoming", "Hear the keywords for programs that speak Wyoming."),
    "service": ("tinyhark.app.commands.service:service", "Let the system run the daemon: install, uninstall, status."),
    "devices": ("tinyhark.app.commands.devices:devices", "List the microphones."),
    "detect": ("tinyhark.app.commands.detect:detect", "Find the keywords in sound files."),
    "why": ("tinyhark.app.commands.why:why", "Show the scores over time and why a keyword fired or did not."),
    "bench": ("tinyhark.app.commands.bench:bench", "Measure what hearing costs: CPU time and memory."),
    "eval": ("tinyhark.app.commands.eval:evaluate", "Measure how well a model hears."),
    "record": ("tinyhark.app.commands.record:record", "Record words and room sound, to tune or train with."),
    "tune": ("tinyhark.app.commands.tune:tune", "Choose thresholds on your own recordings."),
    "models": ("tinyhark.app.commands.models:models", "List, add and remove models."),
    "doctor": ("tinyhark.app.commands.doctor:doctor", "Check that everything works, and say what mends it."),
}

# a missing module -> the extra that brings it; any other one that is missing is a fault of the installation
EXTRAS = {
    "torch": "train",
    "torchaudio": "train",
    "torchao": "train",
    "onnxscript": "train",
    "onnx": "export",
    "matplotlib": "eval",
    "joblib": "eval",
    "jinja2": "eval",
    "dask": "cluster",
}
_LIBRARY_NAMES = {"torch": "PyTorch"}


INTERRUPTED = 130  # exit status after Ctrl-C, as shells have it


class Fault(click.ClickException):
    """One line on stderr and exit status 2."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        """Print `hark: <line>`."""
        click.echo(f"hark: {self.format_message()}", file=file, err=file is None)


class Group(click.Group):
    """A group that answers a wrong name with the nearest right one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with the nearest right name for a wrong one."""
        name = args[0]
        wrong = not name.startswith("-") and self.get_command(ctx, name) is None
        if wrong and not ctx.resilient_parsing:  # a shell that completes the line wants no complaint
            ctx.fail(f"there is no command '{name}'{nearest(name, self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)


class LazyGroup(Group):
    """A group whose commands are loaded when they are used.

    table: name -> ("module:attribute", help); prefix: of the entry points that add to it ("" or "eval.").
    """

    def __init__(self, *, table: dict[str, tuple[str, str]], prefix: str, **options: Any) -> None:
        super().__init__(**options)
        self._table = table
        self._prefix = prefix

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order of the table, then the group's own, then those of the upper floors."""
        own = [*self._table, *super().list_commands(ctx)]
        return [*own, *sorted(set(self._plugins()) - set(own))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; raises Fault where a library that it needs is missing."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            return command
        try:
            if cmd_name in self._table:
                module, attribute = self._table[cmd_name][0].split(":")
                command = getattr(importlib.import_module(module), attribute)
            elif plugin := self._plugins().get(cmd_name):
                command = plugin.load()
        except ModuleNotFoundError as error:
            refuse(f"{self._prefix.replace('.', ' ')}{cmd_name}", error)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table's help as it stands; a command of the upper floors is loaded for its own, if it can be."""
        rows = []
        for name in self.list_commands(ctx):
            if name in self._table:
                rows.append((name, self._table[name][1]))
                continue
            try:
                command = self.get_command(ctx, name)
                rows.append((name, command.get_short_help_str(90) if command else ""))
            except Fault as fault:
                rows.append((name, f"({fault.format_message().removeprefix(name).strip()})"))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what a user can mend becomes one line and exit status 2."""
        try:
            with _in_one_line():
                return super().invoke(ctx)
        except ModuleNotFoundError as error:
            path = [*ctx.command_path.split()[1:], ctx.invoked_subcommand or ""]  # without the program's name
            refuse(" ".join(path).strip() or "hark", error)

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """As click does it: `--help` and `--version` write here."""
        with _in_one_line():
            return super().make_context(*args, **options)

    def _plugins(self) -> "dict[str, EntryPoint]":
        from importlib.metadata import entry_points  # 3 MB that most commands do without

        found = {}
        for point in entry_points(group=PLUGINS):
            if point.name.startswith(self._prefix) and "." not in point.name[len(self._prefix) :]:
                found[point.name[len(self._prefix) :]] = point
        return found


def refuse(command: str, error: ModuleNotFoundError) -> NoReturn:
    """Say which extra brings the library that a command lacks; any other missing module is raised again."""
    module = (error.name or "").split(".")[0]
    if module in EXTRAS:
        library = _LIBRARY_NAMES.get(module, module)
        raise Fault(f"{command} needs {library}: pip install 'tinyhark[{EXTRAS[module]}]'") from error
    if module == "tinyhark":
        raise Fault(f"{command} is not part of this installation ({error.name} is missing)") from error
    raise error


@contextmanager
def _in_one_line() -> Iterator[None]:
    """What a user, a device or the system can mend is one line; Ctrl-C is one, too."""
    try:
        yield
    except HarkError as error:
        raise Fault(str(error)) from error
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        line = printable(" ".join(error.format_message().split())).rstrip(".")
        raise Fault(f"{line}; see {error.ctx.command_path if error.ctx else 'hark'} --help") from error
    except BrokenPipeError:
        raise  # whoever read the output has enough; click ends the program without a word
    except OSError as error:
        raise Fault(_refusal(error)) from error
    except KeyboardInterrupt:
        click.echo("hark: stopped", err=True)
        sys.exit(INTERRUPTED)


def _refusal(error: OSError) -> str:
    """What the system refuses, where no command has words of its own for it."""
    what = error.strerror or str(error)
    if error.filename is not None:
        return printable(f"{os.fsdecode(error.filename)}: {what}")
    if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):  # a file has a name; only a stream has none
        return f"standard output: cannot be written: {what}"
    return printable(what)


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    del param
    if value and not ctx.resilient_parsing:
        from tinyhark.app import __version__

        click.echo(f"hark {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    prefix="",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    invoke_without_command=True,
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
@click.pass_context
def hark(ctx: click.Context) -> None:
    """An always-on keyword spotter: sound in, keyword events out, on this device and nowhere else."""
    if os.environ.get("TINYHARK_FRONT_END"):
        from tinyhark.dsp.front_end import implementation

        try:
            implementation()
        except ValueError as error:
            raise HarkError(str(error)) from error
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
