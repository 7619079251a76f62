"""Phrases that are nearly a given one."""

import shutil

import pytest

from tinyhark.training.synthesis.everyday import WORDS, strings
from tinyhark.training.synthesis.near_misses import near_misses
from tinyhark.training.synthesis.takes import slug

needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="no espeak-ng on this machine")


@needs_espeak
def test_parts_and_orders_and_rhymes_come_and_repeat() -> None:
    found = near_misses("hey lantern", 40)
    assert found == near_misses("Hey  Lantern", 40)
    assert {"hey", "lantern", "lantern hey", "hey hey", "the lantern", "hey lan"} <= set(found)
    assert len(found) == len(set(found)) == 40
    assert sum(phrase.startswith("hey ") and phrase.endswith("ern") for phrase in found) >= 5, "rhymes"
    assert near_misses("hey lantern", 7) == found[:7]


@needs_espeak
@pytest.mark.parametrize("phrase", ["computer", "ok", "open the garage", "hmm", "café lights"])
def test_none_is_the_phrase_or_holds_it(phrase: str) -> None:
    for other in near_misses(phrase, 40):
        assert slug(other)
        assert f" {phrase} " not in f" {other} "


@needs_espeak
def test_what_sounds_the_same_is_left_out() -> None:
    from tinyhark.training.synthesis.phonemes import ipa

    assert ipa("wright", "en-us") not in {ipa(other, "en-us") for other in near_misses("wright", 40)}


def test_everyday_strings_repeat_and_differ() -> None:
    assert strings(20, 1) == strings(20, 1) != strings(20, 2)
    assert len(set(strings(20, 1))) == 20
    assert all(set(string.split()) <= set(WORDS) for string in strings(20, 1))
