"""The DS-CNN family: a strided stem, then residual blocks of a depthwise and a pointwise convolution (Zhang 2017).

Convolutions are two-dimensional, channels last, also where one axis is 1: a CPU trains them twice as fast as Conv1d.
"""

from torch import Tensor, nn

from .recipe import NetworkSpec


class Block(nn.Module):
    """relu(x + pointwise(relu(depthwise(x)))), [batch, channels, height, time]; without padding x is cut to fit."""

    def __init__(self, channels: int, kernel: tuple[int, int], padded: bool) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2 if padded else 0)
        self.depthwise = nn.Conv2d(channels, channels, kernel, padding=padding, groups=channels, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.relu2 = nn.ReLU()
        self.cut = 0 if padded else kernel[1] // 2

    def forward(self, x: Tensor) -> Tensor:
        """-> [batch, channels, height, time]."""
        y = self.norm2(self.pointwise(self.relu1(self.norm1(self.depthwise(x)))))
        if self.cut:
            x = x[..., self.cut : -self.cut]
        out: Tensor = self.relu2(x + y)
        return out


class DSCNN(nn.Module):
    """[batch, n_mfcc, frames] features -> [batch, labels] logits."""

    def __init__(self, spec: NetworkSpec, n_mfcc: int, frames: int, labels: int) -> None:
        super().__init__()
        flat = spec.kind == "1d"
        self.channel_axis = 2 if flat else 1  # where the axis that convolutions want is put in
        height = 1 if flat else (n_mfcc + 1) // 2
        stem_kernel = (1 if flat else spec.stem_kernel, spec.stem_kernel)
        padding = (stem_kernel[0] // 2, stem_kernel[1] // 2 if spec.padded else 0)
        stride = (1 if flat else 2, spec.stride)
        self.stem = nn.Conv2d(n_mfcc if flat else 1, spec.channels, stem_kernel, stride, padding, bias=False)
        self.norm = nn.BatchNorm2d(spec.channels)
        self.relu = nn.ReLU()
        kernel = (1 if flat else 3, spec.kernel)
        self.blocks = nn.Sequential(*(Block(spec.channels, kernel, spec.padded) for _ in range(spec.blocks)))
        # Explicit: an adaptive pool exports as a float ReduceMean.
        self.pool = nn.AvgPool2d((height, spec.columns(frames)))
        self.flatten = nn.Flatten()
        self.classify = nn.Linear(spec.channels, labels)

    def forward(self, x: Tensor) -> Tensor:
        """-> [batch, labels]."""
        x = x.unsqueeze(self.channel_axis)
        x = self.relu(self.norm(self.stem(x)))
        out: Tensor = self.classify(self.flatten(self.pool(self.blocks(x))))
        return out
