"""The comparison with peers: the paired test, equal false accepts, and what a peer that decides for itself fired."""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tinyhark.app.evaluation.measurement import Judged, Measurement
from tinyhark.app.evaluation.scenario import CLEAN, NEGATIVE
from tinyhark.app.evaluation.scores import Heard, Scores
from tinyhark.app.evaluation.streams import Clip, Stream, Word
from tinyhark.dsp.matching import Label
from tinyhark.dsp.operating import MISSED, SAMPLES_PER_HOUR, Outcomes
from tinyhark.dsp.replay import Timing


@pytest.fixture(scope="module")
def peer():
    """The modules of benchmarks/, which are scripts that find each other beside themselves."""
    folder = str(Path(__file__).parents[1] / "benchmarks")
    sys.path.insert(0, folder)
    names = ("pairs", "measure", "spotters")
    yield SimpleNamespace(**{name: importlib.import_module(f"peer_{name}") for name in names})
    sys.path.remove(folder)


def measurement(missed: list[list[bool]], false: list[int]) -> Measurement:
    """Of "alexa" at some settings, the last in use; missed: [settings][recordings]; false: accepts in an hour."""
    clips = tuple(Clip(Path(f"{n}.wav"), "alexa") for n in range(len(missed[0])))
    words = [Word(Label(16_000 * n, 16_000 * n + 8000, "alexa"), clip, "") for n, clip in enumerate(clips)]
    scores = Scores(np.zeros((0, 1), np.uint16), SAMPLES_PER_HOUR, 0, (), ())
    many = len(false)
    none = np.zeros((many, 1), np.int64)
    said = Outcomes(np.where(missed, MISSED, 1), none, none, none[..., None])
    unsaid = Outcomes(np.zeros((many, 0), np.int64), none, np.array(false)[:, None], none[..., None])
    streams = [Stream(clips, (), None, CLEAN, "", is_life=False), Stream((), (), None, NEGATIVE, "", is_life=True)]
    judged = [
        Judged(Heard(streams[0], scores, words, Timing(1, 1)), said),
        Judged(Heard(streams[1], scores, [], Timing(1, 1)), unsaid),
    ]
    return Measurement(["alexa"], [], 0, [(n / 10,) for n in range(many)], judged)


def test_the_paired_test_is_exact(peer):
    assert peer.pairs.mcnemar(0, 0) == peer.pairs.mcnemar(3, 3) == 1
    assert peer.pairs.mcnemar(0, 5) == peer.pairs.mcnemar(5, 0) == 2 / 32
    assert peer.pairs.mcnemar(1, 9) == pytest.approx(2 * 11 / 1024)


def test_false_accepts_are_no_more_than_the_peers_default(peer):
    yes, no = True, False
    ours = measurement([[no] * 8, [yes, *[no] * 7], [yes] * 8, [no] * 8], [9, 3, 0, 9])
    theirs = measurement([[yes] * 4 + [no] * 4, [yes] * 8, [no, *[yes] * 7]], [5, 0, 4])
    assert peer.pairs.best_within(ours, "alexa", 4) == 1
    assert peer.pairs.best_within(ours, "alexa", 2) == 2
    assert peer.pairs.best_within(measurement([[no], [no]], [7, 0]), "alexa", 2) is None, "the default is no choice"
    default, within = peer.pairs.pairs(ours, theirs, "other", 6)
    assert default.false_accepts == (3, 4)
    assert default.missed == (1, 7)
    assert default.missed_alone == (1, 7)
    assert default.verdict == "no difference beyond chance"
    assert within.false_accepts == (3, 5)
    assert within.missed_alone == (0, 3)


def test_the_verdict_is_ours(peer):
    yes, no = True, False
    good, bad = measurement([[no] * 9] * 2, [0, 0]), measurement([[yes] * 9] * 2, [0, 0])
    assert {one.verdict for one in peer.pairs.pairs(good, bad, "other", 0)} == {"better"}
    assert {one.verdict for one in peer.pairs.pairs(bad, good, "other", 0)} == {"worse"}


def test_other_recordings_are_no_pair(peer):
    ours, theirs = (measurement([[False] * n] * 2, [0, 0]) for n in (3, 4))
    with pytest.raises(ValueError, match="did not hear the same recordings"):
        list(peer.pairs.pairs(ours, theirs, "other", 0))


def test_what_a_peer_fired_is_read_by_setting(peer):
    fired = np.zeros((4, 6), np.uint16)  # two settings of three words
    fired[1, 2] = fired[3, 5] = fired[2, 3] = 1
    at = peer.measure.Fired(fired, (0.5, 0.9))
    assert at.firings((0.5, 0.5, 0.5)) == [(2, 1)]
    assert at.firings((0.9, 0.9, 0.9)) == [(0, 2), (2, 3)]


def test_scores_of_a_stream_hold_until_the_next(peer, tmp_path, monkeypatch):
    import soundfile

    soundfile.write(tmp_path / "a.wav", np.full(4000, 100, np.int16), 16_000)
    new = iter([[], [[0.25], [0.5]], [], [[1.5]]])
    monkeypatch.setitem(peer.spotters._FEEDS, "fake", lambda *_: lambda _: next(new, []))
    stream = Stream.recording(Clip(tmp_path / "a.wav"), NEGATIVE, "")
    scores = peer.measure.score(peer.spotters.Peer("fake", "1", ("alexa",), 1000, 0.5), stream)
    assert scores.samples == 4000
    assert scores.posteriors[:, 0].tolist() == [0, 1 << 14, 1 << 14, *[1 << 15] * 25]
