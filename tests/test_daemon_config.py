"""The configuration of the daemon: what it means, and one line for each thing that can be wrong with it."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from tinyhark.app.cli import hark
from tinyhark.app.daemon import config as c
from tinyhark.app.daemon.exec_hook import ExecHook
from tinyhark.app.daemon.output import JsonLines
from tinyhark.app.daemon.setup import set_up, source_of
from tinyhark.app.errors import HarkError


def loaded(tmp_path: Path, text: str) -> c.Config:
    path = tmp_path / "hark.toml"
    path.write_text(text)
    return c.load(path)


def test_an_empty_file_is_the_default_microphone_and_model_and_no_output(tmp_path: Path) -> None:
    config = loaded(tmp_path, "")
    assert config.audio == c.Microphone()
    assert config.model.names == ["commands"]
    assert config.stdout is config.exec is None


def test_every_key_is_typed(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        """
        [audio]
        source = "arecord"
        device = "plughw:CARD=Device"
        rate_hz = 48000
        channels = 6
        channel = 1
        [model]
        name = ["commands", "mine.onnx"]
        keywords = ["on", "off"]
        [detection]
        sensitivity = 0.4
        threshold = { on = 0.7 }
        smoothing_ms = 200
        exclusion_ms = 0
        gate = true
        [stdout]
        [exec]
        timeout_s = 2
        at_most = 1
        run = { on = ["/bin/true", "a b"], "*" = ["/bin/true"] }
        """,
    )
    assert config.audio == c.Arecord(device="plughw:CARD=Device", rate_hz=48_000, channels=6, channel=1)
    assert config.model.names == ["commands", str(tmp_path / "mine.onnx")]
    assert config.detection == c.Detection(
        sensitivity=0.4, threshold={"on": 0.7}, smoothing_ms=200.0, exclusion_ms=0.0, gate=True
    )
    assert config.stdout == c.Stdout()
    assert config.exec == c.Exec(run={"on": ["/bin/true", "a b"], "*": ["/bin/true"]}, timeout_s=2.0, at_most=1)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('device = "USB"', c.Microphone),
        ('source = "microphone"', c.Microphone),
        ('source = "arecord"', c.Arecord),
        ('source = "tcp"\naddress = "[::1]:4711"', c.Tcp),
        ('source = "stdin"\nchannels = 2', c.Stdin),
        ('source = "file"\npath = "a.wav"', c.File),
    ],
)
def test_every_source_can_be_named(tmp_path: Path, text: str, kind: type) -> None:
    audio = loaded(tmp_path, f"[audio]\n{text}").audio
    assert isinstance(audio, kind)
    assert source_of(audio).live == (kind in (c.Microphone, c.Arecord, c.Tcp))
    if isinstance(audio, c.Tcp):
        assert audio.host_and_port == ("::1", 4711)
    if isinstance(audio, c.File):
        assert audio.path == str(tmp_path / "a.wav")


WRONG = {
    "[audio": "is no TOML: ",
    "a = 1\na = 2": "is no TOML: ",
    "[" * 3000: "is no TOML: ",
    "[audoi]": "there is no section 'audoi'; did you mean audio?",
    "[webhook]\n[model]": "there is no section 'webhook'; there are: audio, model, detection, stdout, exec",
    "threshold = 0.5": "there is no section 'threshold'",
    "audio = 3": "[audio]: expected table, got int",
    "[audio]\nsource = 'microphon'": "[audio] source: there is no source 'microphon'; did you mean microphone?",
    "[audio]\nsource = 'pulse'": "[audio] source: there is no source 'pulse'; there are: microphone, arecord, tcp, ",
    "[audio]\nsource = 3": "[audio] source: expected str",
    "[audio]\ndevise = 'USB'": "[audio]: there is no key 'devise'; did you mean device?",
    "[audio]\nrate_hz = 48000": "[audio]: there is no key 'rate_hz'; there are: source, device, channel",
    "[audio]\ndevice = 3": "[audio] device: expected str, got int",
    "[audio]\ndevice = '3'": "[audio]: device is a number, which means another device tomorrow; ",
    "[audio]\ndevice = ''": "[audio] device: expected str of length >= 1",
    "[audio]\nchannel = 0": "[audio] channel: expected int >= 1",
    "[audio]\nchannel = 1.5": "[audio] channel: expected int, got float",
    "[audio]\nsource = 'stdin'\nrate_hz = 1": "[audio] rate_hz: expected int >= 8000",
    "[audio]\nsource = 'stdin'\nchannels = 'two'": "[audio] channels: expected int, got str",
    "[audio]\nsource = 'tcp'": "[audio]: address is missing",
    "[audio]\nsource = 'tcp'\naddress = 'host'": "[audio]: address is 'host'; it must be HOST:PORT, as 127.0.0.1:4711",
    "[audio]\nsource = 'tcp'\naddress = 'host:99999'": "[audio]: address is 'host:99999'; it must be HOST:PORT",
    "[audio]\nsource = 'file'": "[audio]: path is missing",
    "[audio]\nsource = 'file'\npath = 'a.wav'\nchannel = 2": "[audio] channel: expected nothing, got int",
    "[model]\nname = 3": "[model] name: expected str | array, got int",
    "[model]\nname = 'nothing'": "no model is named 'nothing'",
    "[model]\nname = []": "there is no model to listen with; it must be one or more",
    "[model]\nname = 'nothing.onnx'": "nothing.onnx: no such model file",
    "[model]\nname = '/dev/null'": "/dev/null: ",
    "[model]\nkeywords = 'on'": "[model] keywords: expected array, got str",
    "[model]\nkeywords = ['wake']": "the model commands has no keyword 'wake'",
    "[detection]\nsensitivity = 2": "[detection] sensitivity: expected float <= 1",
    "[detection]\nsensitivty = 0.5": "[detection]: there is no key 'sensitivty'; did you mean sensitivity?",
    "[detection]\nsensitivity = nan": "[detection] sensitivity: expected float >= 0",
    "[detection]\nthreshold = 1.5": "yes: threshold is 1.5; it must be above 0 and at most 1",
    "[detection]\nthreshold = 'high'": "[detection] threshold: expected float | table, got str",
    "[detection]\nthreshold = { wake = 0.5 }": "the model commands has no keyword 'wake'",
    "[detection]\nthreshold = { on = 'x' }": "[detection] threshold[...]: expected float, got str",
    "[detection]\nsmoothing_ms = -1": "yes: smoothing_ms is -1",
    "[detection]\nrefractory_ms = inf": "yes: refractory_ms is inf",
    "[detection]\nrearm = 0": "yes: rearm is 0",
    "[detection]\nexclusion_ms = 1e12": "exclusion_ms is 1000000000000.0",
    "[detection]\ngate = 'yes'": "[detection] gate: expected bool, got str",
    "[stdout]\nformat = 'json'": "[stdout]: there is no key 'format'; there are: none",
    "[feedback]": "[feedback]: folder is missing",
    "[feedback]\nfolder = 'a'\nseconds = 60": "[feedback] seconds: expected float <= 15",
    "[preroll]\nafter_s = -1": "[preroll] after_s: expected float >= 0",
    "[chime]\nvolume = 3": "[chime]: there is no key 'volume'; there are: device",
    "[exec]": "[exec]: run is missing",
    "[exec]\nrun = {}": "[exec] run: expected table of length >= 1",
    "[exec]\nrun = { on = 'reboot' }": "[exec] run[...]: expected array, got str",
    "[exec]\nrun = { on = [] }": "[exec] run[...]: expected array of length >= 1",
    "[exec]\nrun = { on = [''] }": "[exec]: run: on: the program has no name",
    "[exec]\nrun = { on = [1] }": "[exec] run[...][0]: expected str, got int",
    '[exec]\nrun = { on = ["a\\u0000"] }': "[exec]: run: on: the program has no name, or a zero byte",
    "[exec]\nrun = { on = ['/no/such/program'] }": "[exec] run: on: /no/such/program: no such program can be run",
    "[exec]\nrun = { onn = ['true'] }": "[exec] run: no keyword 'onn' is heard; did you mean on?",
    "[model]\nkeywords = ['on']\n[exec]\nrun = { off = ['true'] }": "[exec] run: no keyword 'off' is heard",
    "[exec]\ntimeout_s = 0\nrun = { on = ['true'] }": "[exec] timeout_s: expected float > 0",
    "[exec]\ntimeout_s = nan\nrun = { on = ['true'] }": "[exec] timeout_s: expected float > 0",
    "[exec]\nat_most = 0\nrun = { on = ['true'] }": "[exec] at_most: expected int >= 1",
    "[exec]\ntimeout = 3\nrun = { on = ['true'] }": "[exec]: there is no key 'timeout'; did you mean timeout_s?",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "hark.toml"
    path.write_text(text)
    with pytest.raises(HarkError) as error:
        set_up(path)
    line = str(error.value).removeprefix(f"{path}: ")
    assert line != str(error.value)
    assert line.replace(f"{tmp_path}/", "").startswith(WRONG[text])
    assert len(line) < 300


def test_a_file_that_is_none_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(HarkError, match=r"none.toml: cannot be read: No such file"):
        c.load(tmp_path / "none.toml")
    with pytest.raises(HarkError, match=r": cannot be read: Is a directory"):
        c.load(tmp_path)
    path = tmp_path / "latin.toml"
    path.write_bytes(b"# \xe4\xff")
    with pytest.raises(HarkError, match=r"latin.toml: is no UTF-8 text$"):
        c.load(path)


def test_outputs_are_on_when_their_section_is_there(tmp_path: Path) -> None:
    path = tmp_path / "hark.toml"
    path.write_text('[stdout]\n[exec]\nrun = { "*" = ["true"] }')
    outputs = set_up(path).outputs
    assert [(name, type(output)) for name, output in outputs.items()] == [("stdout", JsonLines), ("exec", ExecHook)]


def test_check_says_what_a_configuration_comes_to(tmp_path: Path) -> None:
    path = tmp_path / "hark.toml"
    path.write_text('[stdout]\n[model]\nkeywords = ["on"]')
    done = CliRunner().invoke(hark, ["daemon", "--config", str(path), "--check"])
    assert (done.exit_code, done.stdout) == (0, f"{path}: can be used: commands hears on; outputs: stdout\n")
    path.write_text("[stdoud]")
    done = CliRunner().invoke(hark, ["daemon", "--config", str(path), "--check"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"hark: {path}: there is no section 'stdoud'; did you mean stdout?\n"


def checked(tmp_path: Path, text: str) -> str:
    """What `hark daemon --check` complains of, empty where it passes."""
    path = tmp_path / "hark.toml"
    path.write_text(text)
    done = CliRunner().invoke(hark, ["daemon", "--config", str(path), "--check"])
    assert (done.exit_code, bool(done.stdout)) == ((2, False) if done.stderr else (0, True))
    return done.stderr.removeprefix(f"hark: {path}: ").replace(f"{tmp_path}/", "")


def test_check_wants_the_sound_file(tmp_path: Path) -> None:
    text = '[audio]\nsource = "file"\npath = "a.wav"'
    assert checked(tmp_path, text) == "[audio] path: a.wav: cannot be read: No such file or directory\n"
    (tmp_path / "a.wav").write_bytes(b"no sound")
    assert checked(tmp_path, text).startswith("[audio] path: a.wav: is no sound file that can be read: ")
    soundfile.write(tmp_path / "a.wav", np.zeros(16_000, np.int16), 16_000)
    assert checked(tmp_path, text) == ""


@pytest.mark.parametrize(
    "audio",
    ['device = "none of this name"', 'source = "arecord"\ndevice = "hw:99"', 'source = "tcp"\naddress = "127.0.0.1:1"'],
)
def test_check_leaves_out_what_may_come_and_go(tmp_path: Path, audio: str) -> None:
    assert checked(tmp_path, f"[audio]\n{audio}") == ""


def test_check_wants_a_folder_for_feedback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '[feedback]\nfolder = "wakes/kitchen"'
    assert checked(tmp_path, text) == ""
    assert not (tmp_path / "wakes").exists(), "a check makes nothing"
    (tmp_path / "wakes").write_text("")
    assert checked(tmp_path, text) == "[feedback] folder: wakes/kitchen: cannot be made: wakes is no folder\n"
    (tmp_path / "wakes").unlink()
    (tmp_path / "wakes").mkdir()
    locked = (tmp_path / "wakes", Path("/var"), Path("/var/lib"), Path("/var/lib/tinyhark"))
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) not in locked)
    why = "this user may not write into wakes"
    assert checked(tmp_path, text) == f"[feedback] folder: wakes/kitchen: cannot be made: {why}\n"
    text = '[feedback]\nfolder = "wakes"'
    assert checked(tmp_path, text) == f"[feedback] folder: wakes: cannot be written into: {why}\n"
    assert checked(tmp_path, '[feedback]\nfolder = "/var/lib/tinyhark/wakes"') == "", "the service's own"


def test_the_example_of_the_documentation_can_be_used(tmp_path: Path) -> None:
    path = Path(__file__).parents[1] / "docs" / "examples" / "hark.toml"
    assert set(set_up(path).outputs) == {"stdout", "chime", "feedback", "http", "exec"}
    _, suggested = path.read_text().split("\n", 1)
    (tmp_path / "hark.toml").write_text(suggested.replace("\n# ", "\n"))
    config = c.load(tmp_path / "hark.toml")
    assert config.audio == c.Microphone(device="USB", channel=1)
    assert config.detection.exclusion_ms == 500
