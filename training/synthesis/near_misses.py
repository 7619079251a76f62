"""Phrases that are nearly a given one, from its spelling alone: parts, other orders, and rhymes that are no words."""

import itertools
import re
from collections.abc import Iterator

from .phonemes import ipa

_ONSETS = ("b", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "sh", "st", "t", "tr", "v", "w")
_VOWELS = ("a", "e", "i", "o", "u", "ee", "ay", "oo", "ow")
_ENDINGS = ("", "d", "k", "l", "m", "n", "s", "t", "ing", "er", "y")
_COMMON = ("the", "my", "hey", "okay", "one", "that")
_WORD = re.compile(r"([^aeiouy]*)([aeiouy]+)(.*?)([^aeiouy]*)$")


def near_misses(phrase: str, count: int) -> list[str]:
    """At most `count` phrases that sound like `phrase` and are not it, the same at every call.

    Parts of it come first, then other orders, then rhymes of its words, in turns. What espeak-ng pronounces
    as it does the phrase itself is left out.
    """
    words = phrase.lower().split()
    rhymes = (_replaced(words, place) for place in range(len(words)))
    own = " ".join(words)
    sounds = {ipa(own, "en-us")}
    found: list[str] = []
    for candidate in itertools.chain(_parts(words), _orders(words), _in_turns(*rhymes)):
        if len(found) == count:
            break
        sound = ipa(candidate, "en-us")
        if sound not in sounds and f" {own} " not in f" {candidate} ":
            sounds.add(sound)
            found.append(candidate)
    return found


def _parts(words: list[str]) -> Iterator[str]:
    """Some of the words; the beginning or the end of a long one with the rest of the phrase and without."""
    if len(words) > 1:
        yield from words
        yield from (" ".join(words[:-1]), " ".join(words[1:]))
    for place, word in enumerate(words):
        for part in _halves(word):
            yield " ".join([*words[:place], part, *words[place + 1 :]])
            yield part


def _halves(word: str) -> Iterator[str]:
    """What is left of a word when it is cut before each of its later vowels' consonants."""
    vowels = list(re.finditer(r"[aeiouy]+", word))
    for earlier, later in itertools.pairwise(vowels):
        if later.end() == len(word) and word.endswith("e"):
            continue
        middle = (earlier.end() + later.start()) // 2
        yield word[: max(middle, earlier.end())]
        yield word[middle:]


def _orders(words: list[str]) -> Iterator[str]:
    if len(words) > 1:
        yield " ".join(reversed(words))
        yield from (f"{word} {word}" for word in words)
    yield from (f"{common} {words[-1]}" for common in _COMMON if len(words) > 1)
    yield from (f"{words[0]} {common}" for common in _COMMON)


def _replaced(words: list[str], place: int) -> Iterator[str]:
    """The phrase with another beginning and vowel, or another vowel and end, of one word.

    One sound alone is not replaced: a model that must tell those apart grows deaf.
    """
    match = _WORD.match(words[place])
    if not match:
        return
    onset, vowel, middle, end = match.groups()
    onsets, vowels, endings = (
        [one for one in many if one != own] for many, own in ((_ONSETS, onset), (_VOWELS, vowel), (_ENDINGS, end))
    )
    heads = (f"{one}{other}{middle}{end}" for one, other in zip(onsets, itertools.cycle(vowels), strict=False))
    tails = (f"{onset}{other}{middle}{one}" for one, other in zip(endings, itertools.cycle(vowels), strict=False))
    for other in _in_turns(heads, tails):
        yield " ".join([*words[:place], other, *words[place + 1 :]])


def _in_turns(*sources: Iterator[str]) -> Iterator[str]:
    for row in itertools.zip_longest(*sources):
        yield from (one for one in row if one is not None)
