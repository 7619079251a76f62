"""Recipes: what is right is read, what is wrong is refused with the key's name; the shipped one is right."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from tinyhark.app.errors import HarkError
from tinyhark.training.recipe import Recipe, load_recipe

ROOT = Path(__file__).parents[1]


@pytest.fixture
def read(tmp_path: Path, recipe_text: Callable[..., str]) -> Callable[..., Recipe]:
    """`read("old", "new")`: the recipe of the tests with a piece of its text replaced."""

    def load(old: str = "", new: str = "") -> Recipe:
        text = recipe_text()
        assert old in text
        path = tmp_path / "recipe.toml"
        path.write_text(text.replace(old, new, 1) if old else text + new)
        return load_recipe(path)

    return load


def test_a_recipe_and_its_defaults(recipe: Recipe) -> None:
    assert recipe.labels == ("_silence_", "_unknown_", "low", "high")
    assert (recipe.training.steps, recipe.training.batch, recipe.seed) == (60, 32, 3)
    assert (recipe.window_frames, recipe.n_mfcc, recipe.licence) == (97, 40, "Apache-2.0")
    assert [store.use for store in recipe.store] == ["words", "speech", "noise"]


def test_every_shipped_recipe_loads() -> None:
    recipes = sorted((ROOT / "training/recipes").glob("*.toml"))
    assert recipes
    for path in recipes:
        assert load_recipe(path).name == path.stem


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("seed = 3", "seeds = 3", "seeds"),
        ("blocks = 2", "layers = 2", "layers"),
        ('credit = "made by the tests"', 'creditor = "x"', "creditor"),
        ("batch = 32", "batch = 0", "batch"),
        ("batch = 32", "batch = 2.5", "batch"),
        ("steps = 60", "steps = -1", "steps"),
        ("learning_rate = 0.01", "learning_rate = 0", "learning_rate"),
        ("learning_rate = 0.01", 'learning_rate = "fast"', "learning_rate"),
        ("ema = 0.9", "ema = 1.0", "ema"),
        ("checkpoint_steps = 20", "checkpoint_steps = 0", "checkpoint_steps"),
        ("validate_steps = 30", "validate_steps = 0", "validate_steps"),
        ("warmup_steps = 5", "warmup_steps = -1", "warmup_steps"),
        ("calibration_batches = 4", "calibration_batches = 0", "calibration_batches"),
        ("steps = 40", "steps = -1", "steps"),
        ("channels = 16", "channels = 0", "channels"),
        ("blocks = 2", "blocks = -1", "blocks"),
        ("blocks = 2", "stride = 0", "stride"),
        ("blocks = 2", "stride = 8", "multiple of the network's stride"),
        ("kernel = 5", "kernel = 4", "kernel"),
        ("kernel = 5", "stem_kernel = 2", "kernel"),
        ("threshold = 0.5", "threshold = 1.5", "threshold"),
        ("threshold = 0.5", "stride_frames = 0", "stride_frames"),
        ("threshold = 0.5", "stride_frames = 3", "stride_frames"),
        ("threshold = 0.5", "thresholds = {middle = 0.5}", "middle"),
        ("threshold = 0.5", "rearm = 0", "rearm"),
        ("threshold = 0.5", "exclusion_ms = -1", "exclusion_ms"),
        ('use = "words"', 'use = "music"', "use"),
        ('use = "words"', 'use = "words"\nweight = 0', "weight"),
        ('name = "tones"', "", "name"),
        ('name = "tones"', 'name = "../tones"', "name"),
        ('validation = "validation"', "", "validation"),
        ('keywords = ["low", "high"]', "keywords = []", "keywords"),
        ('keywords = ["low", "high"]', 'keywords = ["low", "low"]', "low"),
        ('keywords = ["low", "high"]', 'keywords = ["low", "_high"]', "_high"),
        ('keywords = ["low", "high"]', 'keywords = ["low", ""]', "keywords"),
        ("seed = 3", "window_frames = 0", "window_frames"),
        ("seed = 3", "n_mfcc = 41", "n_mfcc"),
        ("seed = 3", "n_mfcc = 0", "n_mfcc"),
        ("seed = 3", "seed = -3", "seed"),
        ("[network]", "[classes]\nsilence = 0.6\nunknown = 0.5\n[network]", "silence"),
        ("[network]", "[classes]\nunknown_speech = 0.6\nunknown_pieces = 0.5\n[network]", "unknown_speech"),
        ("[network]", "[classes]\nunknown = 1.5\n[network]", "unknown"),
        ("[network]", "[augmentation]\nrate = [1.2, 0.8]\n[network]", "rate"),
        ("[network]", "[augmentation]\nrate = [0.0, 1.2]\n[network]", "rate"),
        ("[network]", "[augmentation]\npitch = [-1.0, 1.2]\n[network]", "pitch"),
        ("[network]", "[augmentation]\ngain_db = [6.0]\n[network]", "gain_db"),
        ("[network]", "[augmentation]\nsnr_db = [9, 3]\n[network]", "snr_db"),
        ("[network]", "[augmentation]\nmask_share = 2.0\n[network]", "mask_share"),
        ("[network]", "[augmentation]\nmask_bands = 41\n[network]", "mask_bands"),
        ("[network]", "[augmentation]\nposition_frames = -1\n[network]", "position_frames"),
    ],
)
def test_what_is_wrong_is_named(read: Callable[..., Recipe], tmp_path: Path, old: str, new: str, named: str) -> None:
    with pytest.raises(HarkError) as caught:
        read(old, new)
    line = str(caught.value)
    assert line.startswith(f"{tmp_path / 'recipe.toml'}: ")
    assert named in line.removeprefix(str(tmp_path))
    assert "\n" not in line


def test_a_network_that_is_too_deep_for_its_window(read: Callable[..., Recipe]) -> None:
    with pytest.raises(HarkError, match="97 frames leave no column after 7 blocks of kernel 9"):
        read("blocks = 2\nkernel = 5", "blocks = 7\nkernel = 9\npadded = false")
    assert read("blocks = 2\nkernel = 5", "blocks = 7\nkernel = 5\npadded = false").network.blocks == 7


@pytest.mark.parametrize("data", [b"", b"name = ", b"\xff\xfe\x00", b"[[store]\n", b"name = 1\nname = 2"])
def test_what_is_no_recipe(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "bad.toml").write_bytes(data)
    with pytest.raises(HarkError) as caught:
        load_recipe(tmp_path / "bad.toml")
    assert str(caught.value).startswith(f"{tmp_path / 'bad.toml'}: ")
    assert "\n" not in str(caught.value)


def test_missing_and_unreadable(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(HarkError, match=str(path)):
            load_recipe(path)


def test_the_digest_is_of_the_content(read: Callable[..., Recipe], recipe: Recipe) -> None:
    assert read().digest == recipe.digest
    assert read("", "# a remark\n").digest == recipe.digest
    assert read("seed = 3", "seed = 0x3").digest == recipe.digest
    changed = [
        read("seed = 3", "seed = 4"),
        read("kernel = 5", "kernel = 7"),
        read('use = "noise"', 'use = "noise"\nweight = 2.0'),
        replace(recipe, ignore_labels=("top",)),
        replace(recipe, exclude_speakers=("s1",)),
    ]
    assert read("threshold = 0.5", "threshold = 0.7").digest == recipe.digest, "decisions do not change weights"
    assert len({recipe.digest, *(other.digest for other in changed)}) == 1 + len(changed)


def test_a_recipe_is_checked_however_it_is_made(recipe: Recipe) -> None:
    with pytest.raises((ValueError, msgspec.ValidationError)):
        replace(recipe.augmentation, rate=(2.0, 1.0))


def test_a_recipe_extends_another(tmp_path: Path, recipe_text: Callable[..., str]) -> None:
    (tmp_path / "base.toml").write_text(recipe_text())
    (tmp_path / "more.toml").write_text('extends = "base.toml"\nname = "more"\n[network]\npadded = false\nkernel = 3\n')
    base, more = load_recipe(tmp_path / "base.toml"), load_recipe(tmp_path / "more.toml")
    assert (more.name, more.network.padded, more.network.kernel) == ("more", False, 3)
    assert (more.network.channels, more.store, more.training) == (base.network.channels, base.store, base.training)
    assert more.digest != base.digest


@pytest.mark.parametrize(
    ("extends", "message"),
    [
        ('"nothing.toml"', "nothing.toml: cannot be read"),
        ('"../base.toml"', "beside this one"),
        ("3", "beside this one"),
        ('"more.toml"', "beside this one"),
        ('"loop.toml"', "one step"),
    ],
)
def test_what_cannot_be_extended(tmp_path: Path, extends: str, message: str) -> None:
    (tmp_path / "loop.toml").write_text('extends = "more.toml"\n')
    (tmp_path / "more.toml").write_text(f"extends = {extends}\n")
    with pytest.raises(HarkError, match=message):
        load_recipe(tmp_path / "more.toml")
