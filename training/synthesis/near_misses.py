"""Phrases that are nearly a given one: parts, repetitions, other orders, rhymes, and words that sound much like it."""

import difflib
import itertools
import re
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

from .everyday import WORDS
from .phonemes import run_espeak

SAME, TWICE, ALIKE, LONGER, PART, REPEATED, ORDER, RHYME = (
    "sounds the same",
    "said twice",
    "sounds alike",
    "longer",
    "part",
    "repeated",
    "other order",
    "rhyme",
)

# What people say that comes close, by ear, to the keywords of the models that come along.
_ALIKE_TEXT = """
    alexa: alexis, a lexus, a lecture, alex, electric, election, elixir, a letter, flex a, alaska, alexander
    computer: commuter, compute her, computing, competitor, come to her, commute, pewter, tutor, community, compete
    jarvis: hey jar, jar of, harvest, service, charge us, travis, java, carve this, nervous, marvelous
    snowboy: snow bowl, snowball, no boy, slow boy, cowboy, show boy, snow day, tomboy, snowman, the boy
    down: done, town, downtown, dawn, gown, brown, noun
    go: goat, gold, gone, going, ago, grow, ghost, dough
    left: leftover, laughed, lift, loft, let, less, theft
    no: know, note, known, nope, snow, now, low, nobody
    off: cough, of, often, soft, offer, awful, oh
    on: own, an, online, in, upon, honest, don
    right: write, rights, bright, ride, light, rice, righteous
    stop: stopped, stopping, step, shop, top, stock, stuff
    up: cup, app, pup, upper, a, apple, hop
    yes: yet, yesterday, guess, yep, less, yeah, yell
"""
_ALIKE = {
    keyword.strip(): tuple(phrase.strip() for phrase in phrases.split(","))
    for keyword, _, phrases in (line.partition(":") for line in _ALIKE_TEXT.strip().splitlines())
}
_LEXICON = tuple(dict.fromkeys((*WORDS, *(w for phrases in _ALIKE.values() for p in phrases for w in p.split()))))
_CLOSE, _CLOSEST = 0.6, 4  # share of letters in common, and words of it

_BATCH = 64  # phrases that espeak-ng pronounces in one run

_ONSETS = ("b", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "sh", "st", "t", "tr", "v", "w")
_VOWELS = ("a", "e", "i", "o", "u", "ee", "ay", "oo", "ow")
_ENDINGS = ("", "d", "k", "l", "m", "n", "s", "t", "ing", "er", "y")
_COMMON = ("the", "my", "hey", "okay", "one", "that")
_WORD = re.compile(r"([^aeiouy]*)([aeiouy]+)(.*?)([^aeiouy]*)$")


T = TypeVar("T")


class NearMiss(NamedTuple):
    """A phrase that is nearly another one, and in which way."""

    text: str
    kind: str


def near_misses(phrase: str, count: int) -> list[str]:
    """At most `count` phrases that sound like `phrase` and are not it, by rule alone, the same at every call.

    Parts of it come first, then other orders, then rhymes of its words, in turns. What espeak-ng pronounces
    as it does the phrase itself is left out.
    """
    words = phrase.lower().split()
    found = _told_apart(words, itertools.chain(_parts(words), _orders(words), _rhymes(words)))
    return [one.text for one in itertools.islice(found, count)]


def confusables(phrase: str, count: int) -> list[NearMiss]:
    """At most `count` phrases to try a detector of `phrase` with, the same at every call.

    What is known to come close and everyday words that look like it come first, then what `near_misses` has and true
    rhymes, in turns. What may well fire is among them: known words of the same sound (SAME), and a single word said
    twice (TWICE).
    """
    words = phrase.lower().split()
    own = " ".join(words)
    first = [NearMiss(text, ALIKE) for text in (*_ALIKE.get(own, ()), *_lookalikes(words))]
    first.append(NearMiss(f"{own}{'es' if own.endswith('s') else 's'}", LONGER))
    if len(words) == 1:
        first.append(NearMiss(f"{own} {own}", TWICE))
    by_rule = _in_turns(_parts(words), _orders(words), _other_onsets(words), _rhymes(words))
    return list(itertools.islice(_told_apart(words, itertools.chain(first, by_rule)), count))


def _told_apart(words: list[str], candidates: Iterator[NearMiss]) -> Iterator[NearMiss]:
    """Those that differ in sound from each other and from `words`, which they do not contain.

    But TWICE contains it, and what is known to come close may sound the same: that becomes SAME.
    """
    own = " ".join(words)
    (own_sound,) = _sounds([own])
    heard: set[str] = set()
    while batch := list(itertools.islice(candidates, _BATCH)):
        spoken = [one for one in batch if one.kind == TWICE or f" {own} " not in f" {one.text} "]
        for one, sound in zip(spoken, _sounds([one.text for one in spoken]), strict=True):
            if sound == own_sound:
                if one.kind == ALIKE:
                    yield NearMiss(one.text, SAME)
            elif sound not in heard:
                heard.add(sound)
                yield one


def _sounds(phrases: list[str]) -> list[str]:
    """How espeak-ng pronounces each phrase, in IPA; by one run of the program, which gives a paragraph a line."""
    lines = _pronounced("\n\n".join(phrases)).splitlines()
    if len(lines) != len(phrases):  # one is longer than a line, or mute
        lines = [_pronounced(phrase) for phrase in phrases]
    return [" ".join(line.split()) for line in lines]


def _pronounced(text: str) -> str:
    return run_espeak(["-q", "--ipa", "-v", "en-us", "-b", "1", "--stdin"], text).decode()


def _lookalikes(words: list[str]) -> Iterator[str]:
    """The phrase with one of its words replaced by a word that is written much like it."""
    for place, word in enumerate(words):
        for other in difflib.get_close_matches(word, _LEXICON, _CLOSEST + 1, _CLOSE):
            if other != word:
                yield " ".join([*words[:place], other, *words[place + 1 :]])


def _parts(words: list[str]) -> Iterator[NearMiss]:
    """Some of the words; the beginning or the end of a long one with the rest of the phrase and without."""
    texts: list[str] = []
    if len(words) > 1:
        texts += [*words, " ".join(words[:-1]), " ".join(words[1:])]
    for place, word in enumerate(words):
        for part in _halves(word):
            texts += [" ".join([*words[:place], part, *words[place + 1 :]]), part]
    return (NearMiss(text, PART) for text in texts)


def _halves(word: str) -> Iterator[str]:
    """What is left of a word when it is cut before each of its later vowels' consonants."""
    vowels = list(re.finditer(r"[aeiouy]+", word))
    for earlier, later in itertools.pairwise(vowels):
        if later.end() == len(word) and word.endswith("e"):
            continue
        middle = (earlier.end() + later.start()) // 2
        yield word[: max(middle, earlier.end())]
        yield word[middle:]


def _orders(words: list[str]) -> Iterator[NearMiss]:
    if len(words) > 1:
        yield NearMiss(" ".join(reversed(words)), ORDER)
        yield from (NearMiss(f"{word} {word}", REPEATED) for word in words)
        yield from (NearMiss(f"{common} {words[-1]}", PART) for common in _COMMON)
    yield from (NearMiss(f"{words[0]} {common}", PART) for common in _COMMON)


def _other_onsets(words: list[str]) -> Iterator[NearMiss]:
    """The phrase with another first sound of one word, no more: what a detector tells apart with most trouble."""
    for place, word in enumerate(words):
        if match := _WORD.match(word):
            rest = word[match.end(1) :]
            yield from (
                NearMiss(" ".join([*words[:place], f"{onset}{rest}", *words[place + 1 :]]), RHYME) for onset in _ONSETS
            )


def _rhymes(words: list[str]) -> Iterator[NearMiss]:
    replaced = (_replaced(words, place) for place in range(len(words)))
    return (NearMiss(text, RHYME) for text in _in_turns(*replaced))


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


def _in_turns(*sources: Iterator[T]) -> Iterator[T]:
    for row in itertools.zip_longest(*sources):
        yield from (one for one in row if one is not None)
