"""What a network costs: multiply-accumulates of a window, and of a second of a stream."""

import torch
from torch import Tensor, nn

from tinyhark.dsp.tables import HOP_SAMPLES, SAMPLE_RATE_HZ

from .network import DSCNN
from .recipe import Recipe


def layer_costs(network: DSCNN, n_mfcc: int, frames: int) -> list[tuple[int, int]]:
    """(columns, multiply-accumulates a column) of each convolution in the order they run, then of the classifier."""
    costs: list[tuple[int, int]] = []

    def count(layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(layer, nn.Conv2d):
            _, channels, height, columns = output.shape
            costs.append((columns, layer.weight[0].numel() * channels * height))
        elif isinstance(layer, nn.Linear):
            costs.append((1, layer.weight.numel()))

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    was_training = network.training
    with torch.no_grad():
        network.eval()(torch.zeros(1, n_mfcc, frames, device=next(network.parameters()).device))
    network.train(was_training)
    for hook in hooks:
        hook.remove()
    return costs


def multiply_accumulates(network: DSCNN, n_mfcc: int, frames: int) -> int:
    """Multiply-accumulates of one window."""
    return sum(columns * each for columns, each in layer_costs(network, n_mfcc, frames))


def stream_multiply_accumulates(network: DSCNN, recipe: Recipe) -> tuple[int, int]:
    """Multiply-accumulates a second of a stream: every window anew, and keeping every column that is still true.

    Padding in time makes columns near both ends of a window its own: they are computed anew, and the deeper the layer
    the more of them. Without padding a column never changes.
    """
    windows = SAMPLE_RATE_HZ / (HOP_SAMPLES * recipe.detection.stride_frames)
    fresh = recipe.detection.stride_frames // recipe.network.stride  # columns that move into the window
    spec, edge, reused = recipe.network, 0, 0
    costs = layer_costs(network, recipe.n_mfcc, recipe.window_frames)
    for index, (columns, each) in enumerate(costs):
        if spec.padded and index == 0:
            edge = -(-(spec.stem_kernel // 2) // spec.stride)
        elif spec.padded and index % 2:  # a depthwise convolution; the pointwise ones see one column only
            edge += spec.kernel // 2
        reused += min(columns, 2 * edge + fresh) * each
    anew = sum(columns * each for columns, each in costs)
    return round(anew * windows), round(reused * windows)
