"""The clips a model is judged on during and after training: whole recordings, never augmented."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tinyhark.app.errors import HarkError
from tinyhark.dsp.front_end import FrontEnd
from tinyhark.dsp.quantize import quantize
from tinyhark.dsp.tables import BANDS, LOG_BITS
from tinyhark.dsp.word_bounds import word_bounds

from .draw import SILENCE, UNKNOWN
from .mixing import FEATURE_SCALE, Normalisation
from .recipe import Recipe
from .store import STORE_BITS, LogMelQ8, Store


@dataclass(frozen=True)
class Validation:
    """features: [clips, n_mfcc, frames] float32 as the network wants them; labels: [clips]; words: what was said."""

    features: Tensor
    labels: Tensor
    words: tuple[str, ...]


def window_of(log_mel: LogMelQ8, recipe: Recipe, normalisation: Normalisation) -> Tensor:
    """[frames, 40] Q8 -> [n_mfcc, window] float32: of a long clip what is around its word, else filled with silence."""
    padded = np.zeros((recipe.window_frames, BANDS), np.int32)
    clip = log_mel.astype(np.int32) << (LOG_BITS - STORE_BITS)
    spare = len(clip) - recipe.window_frames
    first = min(spare, max(0, (sum(word_bounds(clip)) - recipe.window_frames) // 2)) if spare > 0 else 0
    count = min(len(clip), recipe.window_frames)
    padded[:count] = clip[first : first + count]
    cepstrum = FrontEnd(n_mfcc=recipe.n_mfcc).cepstrum(padded)
    codes = quantize(cepstrum, normalisation.offset, normalisation.multiplier)
    return torch.from_numpy(codes.T.astype(np.float32)) * FEATURE_SCALE


def load_validation(recipe: Recipe, stores: Path, normalisation: Normalisation) -> Validation:
    """The recipe's validation store, clips of excluded labels left out."""
    store = Store.load(stores / recipe.validation)
    features: list[Tensor] = []
    labels: list[int] = []
    words: list[str] = []
    for clip in store.clips:
        if clip.label in recipe.ignore_labels:
            continue
        log_mel = np.asarray(store.log_mel[clip.first_frame : clip.first_frame + clip.frames])
        features.append(window_of(log_mel, recipe, normalisation))
        labels.append(recipe.labels.index(clip.label) if clip.label in recipe.labels else UNKNOWN)
        words.append(clip.label)
    if UNKNOWN not in labels or max(labels) == UNKNOWN:
        raise HarkError(f"{store.path}: a validation store needs clips of the keywords and of other words")
    return Validation(torch.stack(features), torch.tensor(labels), tuple(words))


@torch.no_grad()
def judge(network: nn.Module, validation: Validation) -> dict[str, float]:
    """Recall of the keywords and of unknown, and their mean as the twelve classes weigh them (silence left out)."""
    was_training = network.training
    network.eval()
    device = next(network.parameters()).device
    winners = torch.cat([network(x.to(device)).argmax(1).cpu() for x in torch.split(validation.features, 256)])
    network.train(was_training)
    right = winners == validation.labels
    keyword = validation.labels > UNKNOWN
    unknown = validation.labels == UNKNOWN
    counts = torch.bincount(validation.labels[keyword])[UNKNOWN + 1 :]
    tenth = float(counts.sum()) / len(counts)
    known_right = float(right[keyword].sum())
    unknown_recall = float(right[unknown].float().mean())
    return {
        "keyword_recall": known_right / max(1, int(keyword.sum())),
        "unknown_recall": unknown_recall,
        "silence_taken": float((winners == SILENCE).float().mean()),
        "accuracy": (known_right + unknown_recall * tenth) / (float(keyword.sum()) + tenth),
    }
