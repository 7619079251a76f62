"""Detections against labels."""

import random
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyhark.dsp.matching import HIT_TOLERANCE_SAMPLES, Hit, Label, match


class Heard(NamedTuple):
    keyword: str
    end_sample: int


GO = Label(16_000, 24_000, "go")


def test_the_tolerance_is_half_a_second():
    assert HIT_TOLERANCE_SAMPLES == 8_000


@pytest.mark.parametrize("end_sample", [16_000, 20_000, 24_000, 32_000])
def test_a_hit_lies_from_the_start_of_the_word_to_half_a_second_after_its_end(end_sample):
    result = match([GO], [Heard("go", end_sample)])
    assert result.hits == [Hit(GO, Heard("go", end_sample))]
    assert result.hits[0].latency_samples == end_sample - 24_000
    assert not result.misses
    assert not result.false_accepts


@pytest.mark.parametrize("end_sample", [0, 15_999, 32_001, 90_000])
def test_outside_it_is_a_false_accept_and_the_word_is_missed(end_sample):
    result = match([GO], [Heard("go", end_sample)])
    assert (result.hits, result.misses, result.double_triggers) == ([], [GO], [])
    assert result.false_accepts == [Heard("go", end_sample)]


def test_another_keyword_inside_the_word_is_a_false_accept():
    result = match([GO], [Heard("no", 24_000)])
    assert (result.misses, result.false_accepts) == ([GO], [Heard("no", 24_000)])


def test_a_second_detection_inside_is_a_double_trigger():
    first, second, third = Heard("go", 20_000), Heard("go", 26_000), Heard("go", 32_000)
    result = match([GO], [first, second, third])
    assert result.hits == [Hit(GO, first)]
    assert result.double_triggers == [second, third]
    assert not result.false_accepts


def test_the_first_in_time_is_the_hit_whatever_the_order_of_the_list():
    early, late = Heard("go", 20_000), Heard("go", 26_000)
    assert match([GO], [late, early]) == match([GO], [early, late])


def test_the_earliest_unmatched_word_takes_the_detection():
    one, two = Label(0, 8_000, "go"), Label(10_000, 18_000, "go")
    overlap = Heard("go", 12_000)  # inside the second word, and still within half a second of the first
    result = match([two, one], [overlap])
    assert (result.hits, result.misses) == ([Hit(one, overlap)], [two])
    later = Heard("go", 15_000)
    assert match([two, one], [overlap, later]).hits == [Hit(one, overlap), Hit(two, later)]


def test_a_long_word_still_takes_what_a_short_one_inside_it_no_longer_does():
    long, short = Label(0, 80_000, "go"), Label(1_000, 4_000, "go")
    result = match([long, short], [Heard("go", 2_000), Heard("go", 3_000), Heard("go", 50_000)])
    assert [hit.label for hit in result.hits] == [long, short]
    assert result.double_triggers == [Heard("go", 50_000)]


def test_nothing_said_and_nothing_heard():
    assert match([], []) == match(iter([]), iter([]))
    assert match([], [Heard("go", 5)]).false_accepts == [Heard("go", 5)]
    assert match([GO], []).misses == [GO]


def test_everything_comes_out_in_time_order():
    labels = [Label(t, t + 5_000, word) for t, word in ((200_000, "no"), (100_000, "go"), (0, "up"), (300_000, "up"))]
    heard = [Heard("up", 400_000), Heard("no", 390_000), Heard("up", 304_000), Heard("go", 101_000)]
    result = match(labels, heard)
    assert [hit.detection.end_sample for hit in result.hits] == [101_000, 304_000]
    assert [label.start_sample for label in result.misses] == [0, 200_000]
    assert [detection.end_sample for detection in result.false_accepts] == [390_000, 400_000]


def test_another_tolerance():
    assert match([GO], [Heard("go", 40_000)], tolerance_samples=16_000).hits
    assert not match([GO], [Heard("go", 40_001)], tolerance_samples=16_000).hits


@pytest.mark.parametrize(("start", "end"), [(-1, 5), (5, 5), (9, 5)])
def test_an_impossible_label_is_refused_by_name(start, end):
    with pytest.raises(ValueError, match="'go'"):
        Label(start, end, "go")


words = st.sampled_from(["go", "no"])
labels_of = st.lists(
    st.builds(
        lambda start, length, word: Label(start, start + length, word),
        st.integers(0, 60_000),
        st.integers(1, 12_000),
        words,
    ),
    max_size=10,
)
heard_of = st.lists(st.builds(Heard, words, st.integers(0, 80_000)), max_size=12)
repeatable = settings(derandomize=True, deadline=None, max_examples=300)


@given(labels_of, heard_of)
@repeatable
def test_every_label_and_detection_is_counted_once(labels, heard):
    result = match(labels, heard)
    assert sorted([hit.label for hit in result.hits] + result.misses) == sorted(labels)
    assert sorted([hit.detection for hit in result.hits] + result.double_triggers + result.false_accepts) == sorted(
        heard
    )


@given(labels_of, heard_of)
@repeatable
def test_equal_to_the_rules_word_by_word(labels, heard):
    ordered, taken, kinds = sorted(labels), set(), []
    for detection in sorted(heard, key=lambda one: one.end_sample):
        fits = [
            i
            for i, label in enumerate(ordered)
            if label.keyword == detection.keyword
            and label.start_sample <= detection.end_sample <= label.end_sample + 8_000
        ]
        free = [i for i in fits if i not in taken]
        taken.update(free[:1])
        kinds.append("hit" if free else "double" if fits else "false")
    result = match(labels, heard)
    assert sorted(hit.label for hit in result.hits) == sorted(ordered[i] for i in taken)
    assert len(result.double_triggers) == kinds.count("double")
    assert len(result.false_accepts) == kinds.count("false")


@given(labels_of, heard_of, st.randoms(use_true_random=False))
@repeatable
def test_the_order_of_the_lists_does_not_matter(labels, heard, shuffler: random.Random):
    mixed_labels, mixed_heard = labels.copy(), heard.copy()
    shuffler.shuffle(mixed_labels)
    shuffler.shuffle(mixed_heard)
    assert match(mixed_labels, mixed_heard) == match(labels, heard)
