"""The section [http]: where its token comes from, and that an open address has one."""

from pathlib import Path

import pytest

pytest.importorskip("aiohttp", reason="the extra `daemon` is not installed")

from tinyhark.app.daemon.http_output import HttpOutput
from tinyhark.app.daemon.setup import set_up
from tinyhark.app.errors import HarkError

TOKEN = "0123456789abcdef" * 2
OPEN = 'address = "0.0.0.0"'


def token(tmp_path: Path, tiny_model: Path, text: str) -> str | None:
    """What every request must know, with this section."""
    path = tmp_path / "hark.toml"
    path.write_text(f'[audio]\nsource = "stdin"\n[model]\nname = "{tiny_model}"\n[http]\n{text}')
    output = set_up(path).outputs["http"]
    assert isinstance(output, HttpOutput)
    kept = output._site._guard._token
    return None if kept is None else kept.decode()


def complaint(tmp_path: Path, tiny_model: Path, text: str) -> str:
    """What is wrong with this section."""
    with pytest.raises(HarkError) as error:
        token(tmp_path, tiny_model, text)
    return str(error.value).removeprefix(f"{tmp_path}/hark.toml: ").replace(f"{tmp_path}/", "")


def test_a_token_comes_from_a_file_or_systemd(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert token(tmp_path, tiny_model, "") is None
    (tmp_path / "credentials").mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    assert token(tmp_path, tiny_model, "") is None
    (tmp_path / "credentials" / "http-token").write_text(f"{TOKEN}\n")
    assert token(tmp_path, tiny_model, "") == TOKEN
    assert token(tmp_path, tiny_model, OPEN) == TOKEN
    (tmp_path / "named").write_text("another " * 5)
    assert token(tmp_path, tiny_model, "token_file = 'named'") == ("another " * 5).strip()


def test_an_address_that_others_reach_needs_a_token(tmp_path: Path, tiny_model: Path) -> None:
    assert complaint(tmp_path, tiny_model, OPEN) == (
        "[http]: address 0.0.0.0 can be reached by other machines: it needs a token_file, "
        "or systemd's credential http-token"
    )
    assert token(tmp_path, tiny_model, 'address = "127.0.0.2"') is None


def test_a_token_that_could_be_guessed_is_refused(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "http-token").write_text("short")
    must = "must hold one line of at least 32 characters: openssl rand -hex 16"
    assert complaint(tmp_path, tiny_model, "token_file = 'http-token'") == f"[http] token_file: http-token: {must}"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert complaint(tmp_path, tiny_model, OPEN) == f"[http] credential: http-token: {must}"
    assert complaint(tmp_path, tiny_model, "address = 'here'").startswith("[http]: address is 'here'; it must be an IP")
