"""The Squeeze-and-Excitation module (Hu et al., arXiv 1709.01507, section 3).

For a feature map x, with C channels and a bottleneck of C // r:

    squeeze   z = mean over H and W of x              (B, C)
    excite    g = sigmoid(W2 relu(W1 z + b1) + b2)    (B, C), each gate in (0, 1)
    scale     y = x * g                               (B, C, H, W)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from se_models.config import check_positive


class SqueezeExcitation(nn.Module):
    """Weigh every channel of a feature map by what the whole map holds.

    The mean, not the maximum, is squeezed: the aim is a weight for the channel
    as a whole, not for its strongest spot. Two Linear layers with a bottleneck
    cost ``2 C^2 / r`` parameters where one would cost ``C^2``.

    Args:
        channels: C, the channels of the feature map.
        reduction: r, the factor by which the bottleneck is narrower than C.
        min_hidden: the bottleneck's least width.
        bias: whether the Linear layers have biases, as the paper's have.

    Shape:
        ``(B, C, H, W)`` in and out, in any layout, dtype and on any device.

    Raises:
        ValueError: if a size is not a positive integer.
    """

    def __init__(
        self, channels: int, reduction: int = 16, *, min_hidden: int = 1, bias: bool = True
    ) -> None:
        check_positive("channels", channels)
        check_positive("reduction", reduction)
        check_positive("min_hidden", min_hidden)
        super().__init__()
        hidden = max(channels // reduction, min_hidden)
        self.fc1 = nn.Linear(channels, hidden, bias=bias)
        self.fc2 = nn.Linear(hidden, channels, bias=bias)

    def gate(self, x: Tensor) -> Tensor:
        """The weight of every channel, ``(B, C)``, each in (0, 1)."""
        squeezed = x.mean(dim=(2, 3))
        return torch.sigmoid(self.fc2(F.relu(self.fc1(squeezed))))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)[:, :, None, None]

    def extra_repr(self) -> str:
        return f"channels={self.fc1.in_features}, hidden={self.fc1.out_features}"
