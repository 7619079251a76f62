"""The command `hark`: lazy commands, quick start, plugins of other floors, one line when something is missing."""

import errno
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import tinyhark.app
from tinyhark.app import cli
from tinyhark.app.cli import COMMANDS, LazyGroup, hark


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_version_and_help() -> None:
    runner = CliRunner()
    assert runner.invoke(hark, ["--version"]).stdout == f"hark {tinyhark.app.__version__}\n"
    bare, asked = runner.invoke(hark, []), runner.invoke(hark, ["--help"])
    assert bare.exit_code == asked.exit_code == 0
    assert bare.stdout == asked.stdout
    for name in COMMANDS:
        assert f"  {name} " in asked.stdout


def test_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tinyhark.app", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"hark {tinyhark.app.__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_its_help_is_the_table_s(name: str) -> None:
    result = CliRunner().invoke(hark, [name, "--help"])
    assert result.exit_code == 0
    command = hark.get_command(click.Context(hark), name)
    assert command is not None
    assert command.name == name
    assert (command.help or "").strip()


def test_starting_loads_nothing_heavy() -> None:
    heavy = "{'numpy', 'onnxruntime', 'rich', 'soundfile', 'soxr', 'sounddevice', 'msgspec', 'torch', 'onnx'}"
    code = f"import sys, tinyhark.app.cli, tinyhark.app as a; a.__version__; print(sorted({heavy} & set(sys.modules)))"
    assert run_python(code) == "[]\n"


def test_detecting_loads_no_more_than_it_uses(tiny_model: Path) -> None:
    code = f"""
import sys
from tinyhark.app import Spotter
Spotter({str(tiny_model)!r})
print(sorted({{'rich', 'soundfile', 'soxr', 'sounddevice', 'torch', 'onnx', 'importlib.metadata', 'ssl', '_hashlib'}}
    & set(sys.modules)))
"""
    assert run_python(code) == "[]\n"


def test_public_names() -> None:
    assert sorted(tinyhark.app.__all__) == dir(tinyhark.app)
    for name in tinyhark.app.__all__:
        assert getattr(tinyhark.app, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tinyhark.app.nothing


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Entry points of a package that is not the project's."""
    (tmp_path / "hark_plugin_fine.py").write_text(
        "import click\n@click.command()\ndef hello():\n    'Say hello.'\n    click.echo('hello')\n"
        "@click.command()\ndef later():\n    'Need much.'\n    import onnxscript_that_is_missing\n"
    )
    (tmp_path / "hark_plugin_poor.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    targets = {
        "hello": "hark_plugin_fine:hello",
        "later": "hark_plugin_fine:later",
        "poor": "hark_plugin_poor:poor",
        "gone": "tinyhark.nowhere:gone",
        "eval.hello": "hark_plugin_fine:hello",
        "eval.later": "hark_plugin_fine:later",
    }
    points = [EntryPoint(name, target, cli.PLUGINS) for name, target in targets.items()]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points if group == cli.PLUGINS else [])
    yield
    for module in ("hark_plugin_fine", "hark_plugin_poor"):
        sys.modules.pop(module, None)


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(hark, list(arguments), catch_exceptions=False)


@pytest.mark.usefixtures("plugins")
def test_plugins_are_commands() -> None:
    assert invoke("hello").stdout == "hello\n"
    assert invoke("eval", "hello").stdout == "hello\n"
    shown = invoke("--help").stdout
    assert "Say hello." in shown
    assert "eval.hello" not in shown
    assert "(needs PyTorch: pip install 'tinyhark[train]')" in " ".join(shown.split())


@pytest.mark.usefixtures("plugins")
def test_a_missing_library_is_one_line() -> None:
    poor, gone, nothing = invoke("poor"), invoke("gone"), invoke("nothing")
    assert (poor.exit_code, poor.stderr) == (2, "hark: poor needs PyTorch: pip install 'tinyhark[train]'\n")
    assert gone.exit_code == 2
    assert gone.stderr.startswith("hark: gone is not part of this installation")
    assert nothing.exit_code == 2
    assert nothing.stderr.startswith("hark: there is no command 'nothing'; there are: demo, listen, ")
    assert (
        invoke("eval", "clip").stderr == "hark: there is no command 'clip'; did you mean clips?; see hark eval --help\n"
    )


def test_a_shell_that_completes_the_line_gets_no_complaint() -> None:
    environment = {"_HARK_COMPLETE": "bash_complete", "COMP_WORDS": "hark evla x", "COMP_CWORD": "2"}
    result = CliRunner().invoke(hark, [], prog_name="hark", env=environment, catch_exceptions=False)
    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.usefixtures("plugins")
def test_a_library_missing_while_a_command_runs_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cli.EXTRAS, "onnxscript_that_is_missing", "train")
    for command in ("later", "eval later"):
        result = invoke(*command.split())
        expected = f"hark: {command} needs onnxscript_that_is_missing: pip install 'tinyhark[train]'\n"
        assert (result.exit_code, result.stderr) == (2, expected)


@pytest.mark.usefixtures("plugins")
def test_a_fault_of_the_program_is_not_hidden() -> None:
    with pytest.raises(ModuleNotFoundError):
        invoke("later")


def test_a_table_wins_over_plugins() -> None:
    group = LazyGroup(table=COMMANDS, prefix="", name="hark")
    assert group.list_commands(click.Context(group))[: len(COMMANDS)] == list(COMMANDS)


def outcome(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> tuple[int, str]:
    """Exit status and standard error of a command that ends so."""

    def fail() -> None:
        raise error

    monkeypatch.setitem(hark.commands, "fails", click.Command("fails", callback=fail))
    result = CliRunner().invoke(hark, ["fails"])
    assert not isinstance(result.exception, Exception), result.exception
    return result.exit_code, result.stderr


def test_what_the_system_refuses_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    denied = PermissionError(errno.EACCES, "Permission denied", "a\nfolder")
    assert outcome(monkeypatch, denied) == (2, "hark: a\\nfolder: Permission denied\n")
    full = OSError(errno.ENOSPC, "No space left on device")
    assert outcome(monkeypatch, full)[1] == "hark: standard output: cannot be written: No space left on device\n"
    assert outcome(monkeypatch, OSError("sndfile library not found")) == (2, "hark: sndfile library not found\n")


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcome(monkeypatch, KeyboardInterrupt()) == (130, "hark: stopped\n")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["detect"], "Missing argument 'FILES|DIRS|-'; see hark detect --help"),
        (["--nothing"], "No such option '--nothing'; see hark --help"),
        (
            ["eval", "clips", ".", "--seed", "-1"],
            "Invalid value for '--seed': -1 is not in the range x>=0; see hark eval",
        ),
        (["detect", "--sensitivity", "nan", "x"], "Invalid value for '--sensitivity': 'nan' is no number"),
        (["why", "--at", "inf", "x"], "Invalid value for '--at': 'inf' is no number"),
        (["bench", "--seconds", "nan", "x"], "Invalid value for '--seconds': 'nan' is no number"),
        (["features", ".", "--segment-s", "inf"], "Invalid value for '--segment-s': 'inf' is no number"),
        (
            ["features", ".", "--segment-s", "1e-9"],
            "Invalid value for '--segment-s': 1e-09 is not in the range x>=0.032",
        ),
        (["features", ".", "--overdrive-db", "nan"], "Invalid value for '--overdrive-db': 'nan' is no number"),
        (["train", "commands", "--fold", "1"], "--fold needs --without-speakers; see hark train --help"),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], line: str) -> None:
    result = invoke(*arguments)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert result.stderr.startswith(f"hark: {line}")
