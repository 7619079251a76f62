"""Is there a wheel for a 64-bit Raspberry Pi of all that tinyhark needs at run time, its extra `daemon` included?

scripts/python scripts/check_wheels.py [VERSION ...], by default 3.11 to 3.13. Asks the package index as pip does and
downloads nothing; prints a table. Exits with 1 where pip finds no set of wheels, and shows what it says.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

VERSIONS = ("3.11", "3.12", "3.13")
# Raspberry Pi OS of 2023 (Debian 12) has glibc 2.36; pip is to be told each tag that it may take.
PLATFORMS = [f"manylinux_2_{minor}_aarch64" for minor in range(28, 16, -1)] + ["manylinux2014_aarch64"]


def requirements() -> list[str]:
    """What `pip install tinyhark[daemon]` asks for."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["daemon"]]


def wheels(version: str) -> dict[str, str]:
    """Package -> the name of its wheel, for a version of Python; exits where pip finds none."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    command += ["--target", "unused", "--only-binary", ":all:", "--python-version", version]
    command += [word for platform in PLATFORMS for word in ("--platform", platform)]
    done = subprocess.run([*command, *requirements()], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        print(f"Python {version}: not all have a wheel", file=sys.stderr)
        sys.exit(1)
    found = json.loads(done.stdout)["install"]
    return {one["metadata"]["name"].lower(): one["download_info"]["url"].rpartition("/")[2] for one in found}


def main() -> None:
    """Print package, version and platform of each wheel, one column for each version of Python."""
    versions = sys.argv[1:] or VERSIONS
    columns = [wheels(version) for version in versions]
    names = sorted(set().union(*columns))
    cells = [["package", *(f"Python {version}" for version in versions)]]
    for name in names:
        parts = [column[name].removesuffix(".whl").split("-") if name in column else [] for column in columns]
        cells.append([name, *(f"{part[1]} {part[-1].split('.')[0]}" if part else "-" for part in parts)])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()
