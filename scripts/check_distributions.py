"""Check what `python -m build` made: each file of the packages is in the wheel, each that git knows in the sdist.

python scripts/check_distributions.py FOLDER, in a checkout. Exits with 1 and names what is missing or too much.
"""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

PACKAGES = ("app", "dsp", "export", "training")
NOT_IN_SDIST = (".gitignore",)
NOT_IN_WHEEL = {"tinyhark/dsp/_front_end.c", "tinyhark/dsp/_front_end_avx2.c"}
BUILT = {"tinyhark/dsp/_front_end.abi3.so"}  # of them and of export/c; a wheel may lack it, but none that is given away


def tracked() -> set[str]:
    """Paths of the files that git knows."""
    listing = subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=True, text=True).stdout
    return {path for path in listing.split("\0") if path and Path(path).exists()}


def in_wheel(wheel: Path) -> set[str]:
    """Paths in the wheel, but for its own metadata."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def in_sdist(sdist: Path) -> set[str]:
    """Paths in the sdist below its one folder."""
    with tarfile.open(sdist) as archive:
        return {member.name.partition("/")[2] for member in archive if member.isfile()}


def main() -> None:
    """Compare both with git."""
    if len(sys.argv) != 2:
        sys.exit("usage: check_distributions.py FOLDER")
    wheels, sdists = ([*Path(sys.argv[1]).glob(pattern)] for pattern in ("*.whl", "*.tar.gz"))
    if len(wheels) != 1 or len(sdists) != 1:
        sys.exit(f"{sys.argv[1]}: {len(wheels)} wheels and {len(sdists)} sdists; one of each is needed")
    wheel, sdist = wheels[0], sdists[0]
    files = tracked()
    wanted = {f"tinyhark/{path}" for path in files if path.split("/")[0] in PACKAGES} - NOT_IN_WHEEL | BUILT
    have, source = in_wheel(wheel), in_sdist(sdist)
    complaints = [f"{wheel.name}: {path} is missing" for path in sorted(wanted - have)]
    complaints += [f"{wheel.name}: {path} does not belong there" for path in sorted(have - wanted)]
    complaints += [f"{sdist.name}: {path} is missing" for path in sorted(files - source - set(NOT_IN_SDIST))]
    for line in complaints:
        print(line, file=sys.stderr)
    if complaints:
        sys.exit(1)
    print(f"{wheel.name}: {len(have)} files, {wheel.stat().st_size:,} bytes")
    print(f"{sdist.name}: {len(source)} files, {sdist.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
