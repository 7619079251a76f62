"""The rules of the house, parsed from the sources: who imports whom, which packages there are, how long files are."""

import ast
import importlib
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FLOORS = ("dsp", "app", "export", "training")  # each imports only what stands before it
SOURCES = {folder: sorted((ROOT / folder).rglob("*.py")) for folder in (*FLOORS, "tests", "benchmarks", "scripts")}
FILE_LINES, FUNCTION_LINES = 320, 60  # a little over what the house asks for: 300 and 40


def modules_of(*groups: str) -> set[str]:
    """Top-level modules of the dependencies ("" for those always installed) or extras with these names."""
    project = PROJECT["project"]
    wanted = [r for g in groups for r in (project["optional-dependencies"][g] if g else project["dependencies"])]
    names = {re.split(r"[^A-Za-z0-9._-]", requirement)[0] for requirement in wanted}
    return {name.lower().replace("-", "_") for name in names if name != PROJECT["project"]["name"]}


LIBRARIES = {
    "dsp": {"numpy"},
    "app": modules_of("", "daemon", "eval", "cluster") | {"paho"},  # which aiomqtt is made of
    "export": modules_of("", "export") | {"torch"},
    "training": modules_of("", "eval", "cluster", "export", "train"),
}
NEVER_IN_APP = {"torch", "torchaudio", "torchao", "onnx", "onnxscript"}


def imported(tree: ast.AST, folder: str) -> set[str]:
    """Dotted names of what a file of `folder` imports, at any place; a relative import counts as its own folder."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                names.add(f"tinyhark.{folder}")
            elif module == "tinyhark":
                names.update(f"tinyhark.{alias.name}" for alias in node.names)
            else:
                names.add(module)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # importlib.import_module("tinyhark.export.x") is an arrow too
            names.update(re.findall(r"^tinyhark\.(?:dsp|app|export|training)(?:\.\w+)*$", node.value))
    return names


def wrong_arrows(tree: ast.AST, folder: str) -> set[str]:
    """What a file of `folder` imports though its floor may not."""
    below = FLOORS[: FLOORS.index(folder) + 1]
    allowed = LIBRARIES[folder] | set(sys.stdlib_module_names)
    wrong = set()
    for name in imported(tree, folder):
        top, _, rest = name.partition(".")
        if top == "tinyhark":
            if rest.partition(".")[0] not in below:
                wrong.add(name)
        elif top not in allowed or top in FLOORS:
            wrong.add(name)
    return wrong


def too_high(tree: ast.AST, path: Path, folder: str) -> list[int]:
    """Lines of relative imports that climb out of their folder."""
    depth = len(path.relative_to(ROOT / folder).parts)
    return [node.lineno for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level > depth]


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@pytest.mark.parametrize("folder", FLOORS)
def test_each_floor_imports_only_what_lies_below(folder):
    found = {str(path.relative_to(ROOT)): wrong_arrows(parsed(path), folder) for path in SOURCES[folder]}
    assert found, f"no sources in {folder}/"
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize("folder", FLOORS)
def test_relative_imports_stay_in_their_folder(folder):
    found = {str(path.relative_to(ROOT)): too_high(parsed(path), path, folder) for path in SOURCES[folder]}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    ("folder", "source"),
    [
        ("dsp", "from tinyhark.app import model"),
        ("dsp", "import onnxruntime"),
        ("dsp", "import scipy.signal"),
        ("app", "def f():\n    import torch"),
        ("app", "if TYPE_CHECKING:\n    from tinyhark.export.c import write"),
        ("app", "from tinyhark import training"),
        ("app", "import onnx"),
        ("app", "import_module('tinyhark.training.commands.train')"),
        ("export", "from tinyhark.training.recipe import Recipe"),
        ("training", "from dsp import FrontEnd"),
    ],
)
def test_the_rule_sees_a_wrong_arrow(folder, source):
    assert wrong_arrows(ast.parse(source), folder)


@pytest.mark.parametrize(
    ("folder", "source"),
    [
        ("dsp", "import math\nimport numpy as np\nfrom .tables import BANDS"),
        ("app", "from tinyhark.dsp.front_end import FrontEnd\nfrom ..errors import HarkError\nimport rich.live"),
        ("export", "import torch\nfrom tinyhark.app.model import Model"),
        ("training", "import torch\nfrom tinyhark.export.quantize import export"),
    ],
)
def test_the_rule_lets_a_right_arrow_pass(folder, source):
    assert not wrong_arrows(ast.parse(source), folder)


def test_what_app_needs_brings_no_training_library():
    assert not LIBRARIES["app"] & NEVER_IN_APP


def test_packages_of_pyproject_are_those_on_disk():
    setuptools = PROJECT["tool"]["setuptools"]
    on_disk = {
        ".".join(["tinyhark", *init.parent.relative_to(ROOT).parts])
        for folder in FLOORS
        for init in (ROOT / folder).rglob("__init__.py")
    }
    assert sorted(setuptools["packages"]) == sorted(on_disk)
    assert setuptools["package-dir"] == {f"tinyhark.{folder}": folder for folder in FLOORS}


def test_every_source_file_lies_in_a_package():
    homeless = [
        str(path.relative_to(ROOT))
        for folder in FLOORS
        for path in SOURCES[folder]
        if not (path.parent / "__init__.py").exists()
    ]
    assert homeless == []


@pytest.mark.parametrize("folder", FLOORS)
def test_every_floor_is_typed(folder):
    assert (ROOT / folder / "py.typed").exists()


def test_files_are_short():
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for paths in SOURCES.values() for path in paths}
    assert {str(path.relative_to(ROOT)): n for path, n in lines.items() if n > FILE_LINES} == {}


def test_functions_are_short():
    long = {}
    for path in (path for folder in FLOORS for path in SOURCES[folder]):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    long[f"{path.relative_to(ROOT)}:{node.name}"] = lines
    assert long == {}


def own_public_names(tree: ast.Module) -> set[str]:
    """Public names that an `__init__.py` binds itself or takes from the project, also for type checkers alone."""
    names = set()
    body = [*tree.body, *(node for block in tree.body if isinstance(block, ast.If) for node in block.body)]
    for node in body:
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("tinyhark")):
            names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names.update(target.id for target in targets if isinstance(target, ast.Name))
    return {name for name in names if not name.startswith("_") or name == "__version__"}


@pytest.mark.parametrize("folder", ["dsp", "app"])
def test_all_lists_the_public_names(folder):
    tree = parsed(ROOT / folder / "__init__.py")
    module = importlib.import_module(f"tinyhark.{folder}")
    assert sorted(module.__all__) == sorted(own_public_names(tree))
    for name in module.__all__:
        assert getattr(module, name) is not None
