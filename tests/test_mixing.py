"""Mixing: a still window is the front end's, energies add, silence stays silence, batches come from seed and step."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec.structs
import numpy as np
import pytest
from numpy.typing import NDArray

from tinyhark.dsp import tables
from tinyhark.dsp.front_end import FrontEnd
from tinyhark.dsp.quantize import quantize
from tinyhark.training.draw import UNKNOWN, Draw, Placed
from tinyhark.training.pool import Pool, build_pool
from tinyhark.training.recipe import AugmentationSpec, ClassesSpec, Recipe
from tinyhark.training.recordings import find_recordings, read_sound

torch = pytest.importorskip("torch")

from tinyhark.training.mixing import Mixer, Normalisation  # noqa: E402

changed = msgspec.structs.replace
CPU = torch.device("cpu")
Q8_ERROR = 2.0**-9  # log2 units: half a step of a store


@pytest.fixture(scope="module")
def mixer(pool: Pool, recipe: Recipe) -> Mixer:
    made = Mixer(pool, recipe, CPU)
    made.normalise(4)
    return made


def nothing(count: int) -> Placed:
    zero = np.zeros(count)
    return Placed(
        np.zeros(count, np.int64), zero, zero, np.ones(count), zero, np.zeros(count, bool), zero, np.full(count, 96.0)
    )


def placed(ids: list[int], **changes: Any) -> Placed:
    """Clips heard from their first frame on, whole."""
    return replace(nothing(len(ids)), ids=np.array(ids), heard=np.ones(len(ids), bool), **changes)


def window(word: Placed, **changes: Any) -> Draw:
    """Windows with these clips and nothing else."""
    count = len(word.ids)
    none = nothing(count)
    quiet = Draw(
        np.full(count, UNKNOWN),
        word,
        none,
        none,
        none,
        np.ones(count),
        np.zeros(count, bool),
        np.zeros(count),
        np.zeros((count, 40)),
        np.zeros((count, 40)),
        np.zeros((count, 4), np.int64),
    )
    return replace(quiet, **changes)


def log_mel_of(mixer: Mixer, draw: Draw) -> NDArray[np.float64]:
    """[batch, frames, 40] log2 units: the cepstrum turned back (40 coefficients of 40 bands lose nothing)."""
    dct = tables.dct(40).astype(np.float64) / 2**tables.TABLE_BITS
    return np.einsum("bct,cm->btm", mixer.cepstrum(draw).numpy().astype(np.float64), dct)


def stored(pool: Pool, clip: int) -> NDArray[np.float64]:
    return pool.log_mel[pool.start[clip] : pool.start[clip] + pool.frames[clip]] / 256.0


def still_recipe(recipe: Recipe, still: AugmentationSpec) -> Recipe:
    classes = ClassesSpec(unknown=0.3, silence=0, unknown_speech=0, unknown_pieces=0, unknown_cut=0)
    return changed(recipe, augmentation=still, classes=classes)


def error_bounds(recipe: Recipe, normalisation: Normalisation) -> NDArray[np.float64]:
    """[n_mfcc] codes by which Q8 may move a feature: every band off by half a step, all in the worst direction."""
    rows = np.abs(tables.dct(recipe.n_mfcc)).sum(axis=1) / 2**tables.TABLE_BITS
    return rows * Q8_ERROR * normalisation.multiplier / 256


def check_still_windows(still: Recipe, pool: Pool, sound_of: Callable[[int], NDArray[np.int16]]) -> None:
    """Drawn windows are the front end's int8 features: within the bound of Q8, below one code, and 96 % are equal."""
    mixer = Mixer(pool, still, CPU)
    normalisation = mixer.normalise(4)
    bound = error_bounds(still, normalisation)
    draw = mixer.draw(step=7)
    features, labels = mixer.batch(step=7)
    np.testing.assert_array_equal(labels, draw.label)
    got = (features.numpy() * 32).astype(np.int64)
    np.testing.assert_array_equal(got / 32, features.numpy())
    differences = []
    for i, clip in enumerate(draw.word.ids):
        mfcc = FrontEnd(n_mfcc=still.n_mfcc).mfcc(sound_of(clip))[: still.window_frames]
        wanted = quantize(mfcc, normalisation.offset, normalisation.multiplier).astype(np.int64)
        differences.append(np.abs(got[i, :, : len(wanted)].T - wanted))
    difference = np.concatenate(differences)
    assert (difference <= np.ceil(bound + 1e-3)).all()
    assert bound.max() < 1
    assert (difference == 0).mean() > 0.96


def test_a_still_window_is_the_front_end(
    recipe: Recipe, still: AugmentationSpec, pool: Pool, word_clip: Callable[..., NDArray[np.int16]]
) -> None:
    def sound_of(clip: int) -> NDArray[np.int16]:
        label, seed = pool.clips[clip].label, int(clip) % 12
        return word_clip(label, seed)

    assert [pool.clips[i].label for i in (0, 12, 24, 59)] == ["low", "high", "middle", "bottom"]
    check_still_windows(still_recipe(recipe, still), pool, sound_of)


@pytest.mark.parametrize("n_mfcc", [13, 40])
def test_real_still_windows_are_the_front_end(
    recipe: Recipe,
    still: AugmentationSpec,
    stores: Path,
    make_store: Callable[..., None],
    data_dir: Path,
    tmp_path: Path,
    n_mfcc: int,
) -> None:
    folder = data_dir / "speech-commands/validation"
    found = [r for w in ("yes", "no", "tree") for r in find_recordings(folder / w, None, None, "train", {})[:12]]
    sounds = [np.resize(read_sound(r), 16_000) for r in found]
    make_store(tmp_path / "words", [(r.label, "s", sound) for r, sound in zip(found, sounds, strict=True)])
    for name in ("speech", "noise"):
        (tmp_path / name).symlink_to(stores / name)
    small = changed(still_recipe(recipe, still), keywords=("yes", "no"), n_mfcc=n_mfcc)
    check_still_windows(small, build_pool(small, tmp_path), lambda clip: sounds[clip])


def test_two_equal_noises_give_one_more_bit(mixer: Mixer, pool: Pool) -> None:
    clip = int(pool.noise.ids[0])
    one = log_mel_of(mixer, window(placed([clip])))[0]
    two = log_mel_of(mixer, window(placed([clip]), noise=placed([clip])))[0]
    assert one.min() > 12
    np.testing.assert_allclose(one, stored(pool, clip)[:97], atol=1e-4)
    np.testing.assert_allclose(two, one + 1, atol=1e-3)


def test_gain_is_of_power(mixer: Mixer, pool: Pool) -> None:
    clip = int(pool.noise.ids[0])
    one = log_mel_of(mixer, window(placed([clip])))[0]
    louder = log_mel_of(mixer, window(placed([clip]), gain=np.array([2.5])))[0]
    np.testing.assert_allclose(louder, one + 2.5, atol=1e-3)
    placed_louder = log_mel_of(mixer, window(placed([clip], gain=np.array([-1.5]))))[0]
    np.testing.assert_allclose(placed_louder, one - 1.5, atol=1e-3)


def test_digital_silence_stays_exactly_zero(mixer: Mixer) -> None:
    silence = window(nothing(3), gain=np.array([-10.0, 0.0, 4.0]))
    assert not mixer.cepstrum(silence).any()


def test_outside_a_clip_is_digital_silence(mixer: Mixer, pool: Pool) -> None:
    clip = int(pool.keywords[0].ids[0])
    got = log_mel_of(mixer, window(placed([clip, clip], at=np.array([60.0, -70.0]))))
    np.testing.assert_allclose(got[0, 60:], stored(pool, clip)[:37], atol=1e-4)
    np.testing.assert_allclose(got[1, :27], stored(pool, clip)[70:], atol=1e-4)
    assert np.abs(got[0, :60]).max() < 1e-5
    assert np.abs(got[1, 27:]).max() < 1e-5


def test_filling_gives_quiet_frames_of_the_clip_itself(mixer: Mixer, pool: Pool) -> None:
    clip = int(pool.keywords[0].ids[0])
    draw = window(placed([clip], at=np.array([70.0])), fill=np.array([True]))
    got = log_mel_of(mixer, draw)[0]
    own = stored(pool, clip)
    quiet = np.concatenate([own[: pool.word_first[clip]], own[pool.word_last[clip] + 1 :]])
    for frame in got[:70]:
        assert np.abs(quiet - frame).max(axis=1).min() < 1e-3


def test_neighbours_are_the_word_alone(mixer: Mixer, pool: Pool) -> None:
    clip = int(pool.unknown.ids[0])
    first, last = pool.word_first[clip], pool.word_last[clip]
    other = placed([clip], anchor=np.array([float(first)]), at=np.array([20.0]))
    got = log_mel_of(
        mixer, window(nothing(1), after=replace(other, first=np.array([float(first)]), last=np.array([float(last)])))
    )[0]
    heard = np.flatnonzero(got.max(axis=1) > 1e-3)
    assert (heard[0], heard[-1]) == (20, 20 + last - first)
    np.testing.assert_allclose(got[heard], stored(pool, clip)[first : last + 1], atol=1e-4)


def test_noise_goes_round(mixer: Mixer, pool: Pool) -> None:
    clip = int(pool.noise.ids[0])
    frames = int(pool.frames[clip])
    got = log_mel_of(
        mixer,
        window(
            nothing(1),
            noise=placed([clip], anchor=np.array([frames - 40.0]), last=np.array([frames - 1.0]), endless=True),
        ),
    )[0]
    np.testing.assert_allclose(got[:40], stored(pool, clip)[-40:], atol=1e-4)
    np.testing.assert_allclose(got[40:], stored(pool, clip)[:57], atol=1e-4)


def test_masks_silence_the_word_but_not_the_noise(mixer: Mixer, pool: Pool) -> None:
    clip = int(pool.noise.ids[0])
    masks = np.array([[10, 5, 30, 4]])
    masked = log_mel_of(mixer, window(placed([clip]), masks=masks))[0]
    hole = np.zeros((97, 40), bool)
    hole[10:15], hole[:, 30:34] = True, True
    assert np.abs(masked[hole]).max() < 1e-4
    np.testing.assert_allclose(masked[~hole], stored(pool, clip)[:97][~hole], atol=1e-3)
    noisy = log_mel_of(mixer, window(placed([clip]), masks=masks, noise=placed([clip])))[0]
    np.testing.assert_allclose(noisy[hole], stored(pool, clip)[:97][hole], atol=1e-3)


def test_rate_stretches_and_pitch_shifts(mixer: Mixer, pool: Pool) -> None:
    clip = int(pool.keywords[0].ids[0])
    draw = window(placed([clip, clip], rate=np.array([1.0, 0.5])))
    one, slow = log_mel_of(mixer, draw)
    np.testing.assert_allclose(slow[::2], one[:49], atol=1e-4)
    peak = [
        int(log_mel_of(mixer, window(placed([clip]), pitch=np.array([pitch])))[0].max(axis=0).argmax())
        for pitch in (0.8, 1.0, 1.25)
    ]
    assert peak[0] < peak[1] < peak[2]


def test_batches_come_from_seed_step_and_rank(mixer: Mixer, pool: Pool, recipe: Recipe) -> None:
    features, labels = mixer.batch(5)
    assert features.dtype == torch.float32
    assert features.shape == (32, 40, 97)
    assert labels.dtype == torch.int64
    again = Mixer(pool, recipe, CPU)
    again.normalise(4)
    other_seed = Mixer(pool, changed(recipe, seed=4), CPU)
    other_seed.normalise(4)
    assert torch.equal(again.batch(5)[0], features)
    assert torch.equal(again.batch(5)[1], labels)
    for other in (mixer.batch(6), mixer.batch(5, rank=1), other_seed.batch(5)):
        assert not torch.equal(other[0], features)


def test_features_are_codes(mixer: Mixer) -> None:
    codes = torch.cat([mixer.batch(step)[0] for step in range(4)]) * 32
    assert torch.equal(codes, codes.round())
    assert codes.min() >= -128
    assert codes.max() <= 127
    assert codes.unique().numel() > 200


def test_the_normalisation_centres_and_fills_the_range(pool: Pool, recipe: Recipe) -> None:
    mixer = Mixer(pool, recipe, CPU)
    normalisation = mixer.normalise(12)
    assert normalisation.offset.dtype == np.int32
    assert normalisation.multiplier.dtype == np.int16
    assert (normalisation.multiplier > 0).all()
    codes = torch.cat([mixer.batch(1000 + step)[0] for step in range(12)]) * 32
    mean, deviation = codes.mean(dim=(0, 2)), codes.std(dim=(0, 2))
    assert mean.abs().max() < 8
    assert ((deviation > 0.75 * 127 / 3.3) & (deviation < 1.15 * 127 / 3.3)).all()


def test_quantizing_is_the_front_ends(mixer: Mixer, recipe: Recipe) -> None:
    rng = np.random.default_rng(2)
    offset = rng.integers(-(2**19), 2**19, 40).astype(np.int32)
    multiplier = rng.integers(200, 20_000, 40).astype(np.int16)
    mixer = Mixer(mixer.pool, recipe, CPU)
    mixer.use(Normalisation(offset, multiplier))
    mfcc = (rng.integers(-(2**10), 2**10, (97, 40)) << 8) + offset  # so coarse that float32 is exact
    got = mixer.quantize(torch.from_numpy(mfcc.T[None] / 2**16).float())[0].numpy().T
    wanted = quantize(mfcc, offset, multiplier)
    assert (np.abs(got - wanted) <= 1).all()
    assert (got == wanted).mean() > 0.99


def test_without_a_normalisation_there_are_no_features(pool: Pool, recipe: Recipe) -> None:
    with pytest.raises(RuntimeError, match="normalise"):
        Mixer(pool, recipe, CPU).batch(0)
