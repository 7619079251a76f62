"""Drawn windows to features: log-mel added in the power domain, then MFCC, then the int8 values the network sees."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tinyhark.dsp import tables
from tinyhark.dsp.tables import BANDS, HIGH_HZ, LOG_BITS, LOW_HZ

from .draw import Draw, Placed, draw_batch
from .pool import Pool
from .recipe import Recipe
from .store import STORE_BITS

FEATURE_SCALE = 1 / 32  # int8 features times this enter the network


@dataclass(frozen=True)
class Normalisation:
    """offset: [n_mfcc] int32 Q16, multiplier: [n_mfcc] int16, as in the model file."""

    offset: NDArray[np.int32]
    multiplier: NDArray[np.int16]


class Mixer:
    """Makes batches of a recipe on a device; batch number `step` of a seed is always the same."""

    def __init__(self, pool: Pool, recipe: Recipe, device: torch.device) -> None:
        self.pool, self.recipe, self.device = pool, recipe, device
        self._log_mel = torch.from_numpy(np.ascontiguousarray(pool.log_mel))
        self._time = torch.arange(recipe.window_frames, dtype=torch.float32)
        self._dct = torch.from_numpy(tables.dct(recipe.n_mfcc).T.astype(np.float32) / 2**tables.TABLE_BITS)
        self._normalisation: tuple[Tensor, Tensor] | None = None

    def normalise(self, batches: int = 12) -> Normalisation:
        """Choose the normalisation from batches of the recipe: a coefficient's mean at 0, 3.3 deviations at 127."""
        cepstra = torch.cat([self.cepstrum(self.draw(step, rank=1 << 20)) for step in range(batches)])
        mean, deviation = cepstra.mean(dim=(0, 2)).numpy(), cepstra.std(dim=(0, 2)).numpy()
        offset = np.round(mean * 2**LOG_BITS).astype(np.int32)
        multiplier = np.clip(np.round(256 * 127 / (3.3 * deviation)), 1, 32767).astype(np.int16)
        normalisation = Normalisation(offset, multiplier)
        self.use(normalisation)
        return normalisation

    def use(self, normalisation: Normalisation) -> None:
        """Normalise with these values from now on."""
        offset = torch.from_numpy(normalisation.offset.astype(np.float32) / 2**LOG_BITS)[:, None]
        self._normalisation = offset, torch.from_numpy(normalisation.multiplier.astype(np.float32) / 256)[:, None]

    def draw(self, step: int, rank: int = 0) -> Draw:
        """The windows of batch number `step`, on process `rank`."""
        rng = np.random.default_rng([self.recipe.seed, step, rank])
        return draw_batch(self.pool, self.recipe, self.recipe.training.batch, rng)

    def batch(self, step: int, rank: int = 0) -> tuple[Tensor, Tensor]:
        """-> features [batch, n_mfcc, frames] float32 of int8 values times 1/32, labels [batch] int64."""
        drawn = self.draw(step, rank)
        features = self.quantize(self.cepstrum(drawn)) * FEATURE_SCALE
        return features.to(self.device), torch.from_numpy(drawn.label).to(self.device)

    def quantize(self, cepstrum: Tensor) -> Tensor:
        """[batch, n_mfcc, frames] log2 units -> the same as integers -128..127, as `dsp.quantize` rounds them."""
        if self._normalisation is None:
            raise RuntimeError("normalise() or use() comes first")
        offset, multiplier = self._normalisation
        return torch.floor((cepstrum - offset) * multiplier + 0.5).clamp_(-128, 127)

    def cepstrum(self, drawn: Draw) -> Tensor:
        """-> [batch, n_mfcc, frames] float32, log2 units."""
        power = self._power(drawn.word, _warp(drawn.pitch), _tensor(drawn.fill))
        power *= self._unmasked(drawn)
        power *= torch.exp2(_tensor(drawn.colour))[:, None]
        for other in (drawn.before, drawn.after, drawn.noise):
            some = np.flatnonzero(other.heard)
            if len(some):
                power[torch.from_numpy(some)] += self._power(_take(other, some), None, None)
        power *= torch.exp2(_tensor(drawn.gain[:, None] + drawn.line))[:, None]
        return (torch.log2(1 + power) @ self._dct).transpose(1, 2).contiguous()

    def _power(self, placed: Placed, warp: tuple[Tensor, Tensor] | None, fill: Tensor | None) -> Tensor:
        """Energies above the floor of clips in their windows, [batch, frames, 40]; zero outside the clip."""
        start, frames = _tensor(self.pool.start[placed.ids]), _tensor(self.pool.frames[placed.ids])
        first, last = _tensor(self.pool.word_first[placed.ids]), _tensor(self.pool.word_last[placed.ids])
        source = (self._time - _tensor(placed.at)[:, None]) * _tensor(placed.rate)[:, None]
        source += _tensor(placed.anchor)[:, None]
        if placed.endless:
            source = torch.remainder(source, frames[:, None].float())
        low, high = _tensor(placed.first)[:, None], _tensor(placed.last)[:, None]
        heard = (source >= low) & (source <= high)
        if fill is not None:
            source, heard = _filled(source, heard, first, last, frames, fill)
        whole = source.floor()
        rest = (source - whole).unsqueeze(2)
        index = whole.long().clamp_(min=0)
        index = torch.minimum(index, frames[:, None] - 1)
        following = torch.minimum(index + 1, frames[:, None] - 1)
        a = self._log_mel[start[:, None] + index].float()
        b = self._log_mel[start[:, None] + following].float()
        log_mel = torch.lerp(a, b, rest) * 2.0**-STORE_BITS
        if warp is not None:
            log_mel = _warped(log_mel, *warp)
        power = torch.exp2(log_mel) - 1
        scale = heard & _tensor(placed.heard)[:, None]
        return power * (scale * torch.exp2(_tensor(placed.gain))[:, None]).unsqueeze(2)

    def _unmasked(self, drawn: Draw) -> Tensor:
        masks = torch.from_numpy(drawn.masks)
        time = self._time[None]
        band = torch.arange(BANDS)[None]
        in_time = (time >= masks[:, :1]) & (time < masks[:, :1] + masks[:, 1:2])
        in_band = (band >= masks[:, 2:3]) & (band < masks[:, 2:3] + masks[:, 3:4])
        return (~(in_time[:, :, None] | in_band[:, None, :])).float()


def _tensor(values: NDArray[np.generic]) -> Tensor:
    tensor = torch.from_numpy(values)
    return tensor.float() if values.dtype == np.float64 else tensor


def _take(placed: Placed, some: NDArray[np.int64]) -> Placed:
    return Placed(
        placed.ids[some],
        placed.anchor[some],
        placed.at[some],
        placed.rate[some],
        placed.gain[some],
        placed.heard[some],
        placed.first[some],
        placed.last[some],
        placed.endless,
    )


def _filled(
    source: Tensor, heard: Tensor, first: Tensor, last: Tensor, frames: Tensor, fill: Tensor
) -> tuple[Tensor, Tensor]:
    """Where `fill` is true, give frames beyond the clip frames of its longer quiet end, scattered without chance."""
    tail = frames - 1 - last
    use_tail = tail > first
    quiet_first = torch.where(use_tail, last + 1, 0)[:, None].float()
    quiet = torch.where(use_tail, tail, first)[:, None].float()
    usable = fill[:, None] & (quiet >= 4) & ~heard
    time = torch.arange(source.shape[1])[None].float()
    scattered = quiet_first + torch.remainder(time * 7.3, quiet.clamp(min=1)).floor()
    return torch.where(usable, scattered, source), heard | usable


def _warp(pitch: NDArray[np.float64]) -> tuple[Tensor, Tensor]:
    """Bands to read for each band when the frequency axis is scaled by `pitch`: [batch, 40] index and fraction."""
    low, high = tables.mel((LOW_HZ, HIGH_HZ))
    step = (high - low) / (BANDS + 1)
    position = np.clip((tables.mel(tables.band_centres_hz() / pitch[:, None]) - low) / step - 1, 0, BANDS - 1)
    index = np.minimum(np.floor(position), BANDS - 2).astype(np.int64)
    return torch.from_numpy(index), torch.from_numpy((position - index).astype(np.float32))


def _warped(log_mel: Tensor, index: Tensor, fraction: Tensor) -> Tensor:
    """[batch, frames, 40] read at the warped bands by linear interpolation: as a product with [batch, 40, 40]."""
    matrix = torch.zeros(len(index), BANDS, BANDS)
    matrix.scatter_(1, index[:, None], (1 - fraction)[:, None])
    matrix.scatter_add_(1, index[:, None] + 1, fraction[:, None])
    return torch.bmm(log_mel, matrix)
