"""Residual blocks with SE in every placement, each made from a plain block's own submodules.

With F the convolution branch up to its last BatchNorm and S the shortcut
(the identity, or the projection that downsamples):

    none        relu(F(x) + S(x))
    standard    relu(SE(F(x)) + S(x))
    pre         relu(F(SE(x)) + S(x))
    post        SE(relu(F(x) + S(x)))
    identity    relu(F(x) + S(SE(x)))
    inner       SE behind the 3x3 convolution inside F, after its BatchNorm and ReLU
    prenorm     SE inside F, between its last convolution and that one's BatchNorm

The first six are the paper's (arXiv 1709.01507, figure 5 and table 15).

Sums and ReLUs work in place exactly where torchvision's blocks do, so that a
measured difference is SE's and nothing else's.
"""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from se_models.config import Placement, SEConfig
from se_models.squeeze_excitation import SqueezeExcitation


class SEBlock(nn.Module):
    """A residual block that holds a plain block's submodules, by their names, and ``se``."""

    conv1: nn.Conv2d
    bn1: nn.BatchNorm2d
    conv2: nn.Conv2d
    bn2: nn.BatchNorm2d
    relu: nn.ReLU
    downsample: nn.Module | None

    def __init__(self, plain: BasicBlock | Bottleneck, config: SEConfig) -> None:
        super().__init__()
        for name, module in plain.named_children():
            self.add_module(name, module)
        self.downsample = plain.downsample
        self.stride = plain.stride
        self.placement: Placement = config.placement
        trunk = plain.conv1.weight
        self.se = SqueezeExcitation(
            self._se_channels(), config.reduction, min_hidden=config.min_hidden, bias=config.bias
        ).to(device=trunk.device, dtype=trunk.dtype)
        # Not self.train(): that would reach the trunk's modules, each of which has its own mode.
        self.training = plain.training
        self.se.train(plain.training)

    @abstractmethod
    def branch(self, x: Tensor) -> Tensor:
        """F, with the SE of ``inner`` and ``prenorm`` inside."""

    @property
    @abstractmethod
    def inner_channels(self) -> int:
        """The channels behind the 3x3 convolution that ``inner`` follows."""

    @property
    @abstractmethod
    def out_channels(self) -> int:
        """The channels of F's output: planes * expansion."""

    def _se_channels(self) -> int:
        match self.placement:
            case "pre" | "identity":
                return self.conv1.in_channels
            case "inner":
                return self.inner_channels
            case _:
                return self.out_channels

    def shortcut(self, x: Tensor) -> Tensor:
        """S: the identity, or the projection that downsamples."""
        return x if self.downsample is None else self.downsample(x)

    def forward(self, x: Tensor) -> Tensor:
        match self.placement:
            case "standard":
                return self._join(self.se(self.branch(x)), self.shortcut(x))
            case "pre":
                return self._join(self.branch(self.se(x)), self.shortcut(x))
            case "post":
                return self.se(self._join(self.branch(x), self.shortcut(x)))
            case "identity":
                return self._join(self.branch(x), self.shortcut(self.se(x)))
            case _:
                return self._join(self.branch(x), self.shortcut(x))

    def _join(self, branch: Tensor, shortcut: Tensor) -> Tensor:
        branch += shortcut
        return self.relu(branch)


class SEBasicBlock(SEBlock):
    """Two 3x3 convolutions (ResNet-18 and -34)."""

    def branch(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        if self.placement == "inner":
            x = self.se(x)
        x = self.conv2(x)
        if self.placement == "prenorm":
            x = self.se(x)
        return self.bn2(x)

    @property
    def inner_channels(self) -> int:
        return self.conv1.out_channels

    @property
    def out_channels(self) -> int:
        return self.conv2.out_channels


class SEBottleneck(SEBlock):
    """1x1, 3x3, 1x1 convolutions (ResNet-50 and deeper, ResNeXt, wide ResNet)."""

    conv3: nn.Conv2d
    bn3: nn.BatchNorm2d

    def branch(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        if self.placement == "inner":
            x = self.se(x)
        x = self.conv3(x)
        if self.placement == "prenorm":
            x = self.se(x)
        return self.bn3(x)

    @property
    def inner_channels(self) -> int:
        return self.conv2.out_channels

    @property
    def out_channels(self) -> int:
        return self.conv3.out_channels


def with_se_block(plain: nn.Module, config: SEConfig) -> SEBlock:
    """The SE block of ``plain``, whose submodules it takes over.

    Raises:
        ValueError: if ``plain`` is no plain torchvision block.
    """
    if type(plain) is BasicBlock:
        return SEBasicBlock(plain, config)
    if type(plain) is Bottleneck:
        return SEBottleneck(plain, config)
    raise ValueError(
        "model must be built of torchvision's BasicBlock or Bottleneck, "
        f"got a {type(plain).__name__}"
    )
