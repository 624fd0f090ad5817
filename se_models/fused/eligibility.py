"""Which models can be rewritten: ResNets whose every part is what a rewrite takes it for."""

from __future__ import annotations

import torch
from torch import nn
from torchvision.models import ResNet
from torchvision.models.resnet import BasicBlock, Bottleneck

from se_models.blocks import SEBasicBlock, SEBlock, SEBottleneck
from se_models.inference_only import InferenceOnly
from se_models.squeeze_excitation import SqueezeExcitation

BASIC = (BasicBlock, SEBasicBlock)
BOTTLENECK = (Bottleneck, SEBottleneck)
_DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
# What a subclass would have to override to compute something else.
_RUN_BY = ("forward", "_forward_impl", "__call__", "_wrapped_call_impl", "_call_impl")
# Parts of a model that twins call, whatever they are.
_CALLED = ("avgpool", "fc")
_OF_ANY_MODULE = frozenset(dir(nn.Module)) - {"forward"}


def check(model: object) -> None:
    """Refuse what would not compute the same once it is rewritten.

    Raises:
        ValueError: naming the module, its rule and what it is.
    """
    if not isinstance(model, ResNet):
        raise ValueError(f"model must be a torchvision ResNet, got a {type(model).__name__}")
    kind = type(model)
    for method in _RUN_BY:
        if getattr(kind, method) is not getattr(ResNet, method):
            raise ValueError(
                "model must run as torchvision's ResNet does, got a "
                f"{kind.__name__} with a {method} of its own"
            )
    _check_methods(model)
    _check_hooks(model)
    devices = sorted({str(tensor.device) for tensor in model.parameters()})
    if len(devices) > 1:
        raise ValueError(f"model must be on one device, got {' and '.join(devices)}")
    dtypes = {tensor.dtype for tensor in model.parameters()}
    if len(dtypes) > 1 or not dtypes <= set(_DTYPES):
        wanted = ", ".join(_name(dtype) for dtype in _DTYPES)
        got = " and ".join(sorted(map(_name, dtypes)))
        raise ValueError(f"model must be of one dtype of {wanted}, got {got}")
    _check_kind("relu", model.relu, nn.ReLU)
    # The ReLU of the stem may change places with these.
    _check_kind("maxpool", model.maxpool, nn.MaxPool2d, nn.Identity)
    _check_pair("conv1", model.conv1, "bn1", model.bn1)
    for stage in ("layer1", "layer2", "layer3", "layer4"):
        blocks = model.get_submodule(stage)
        if type(blocks) is not nn.Sequential or not len(blocks):
            raise ValueError(f"{stage} must be a Sequential of blocks, got {type(blocks).__name__}")
        for name, block in blocks.named_children():
            _check_block(f"{stage}.{name}", block)
    for name, module in model.named_modules():
        if module.training:
            raise ValueError(f"model must be in eval mode, got {name or 'it'} in training mode")


def _check_methods(model: ResNet) -> None:
    """Refuse modules that somebody gave a method in the place of their class's.

    Not those that a twin calls as they are. What every module has says nothing
    of what it computes, but for ``forward``.
    """
    for name, module in model.named_modules():
        if name.partition(".")[0] in _CALLED:
            continue
        for method in vars(module).keys() - _OF_ANY_MODULE:
            if callable(getattr(type(module), method, None)):
                raise ValueError(
                    f"{name or 'model'}.{method} must be that of its class, "
                    "got another in its place"
                )


def _check_hooks(model: ResNet) -> None:
    """Refuse hooks that a twin would not call, which may change what their modules compute.

    What prunes or normalises weights is one: it makes them anew ahead of every forward.
    """
    for name, module in model.named_modules():
        if name.partition(".")[0] in _CALLED:
            continue
        hooks = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
        # A twin has tensors of its own, and refuses gradients by itself.
        if others := [hook for hook in hooks if not isinstance(hook, InferenceOnly)]:
            raise ValueError(
                f"{name or 'model'} must have no forward hooks, for a twin does not call them, "
                f"got {len(others)}: remove them"
            )


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _check_block(name: str, block: nn.Module) -> None:
    if type(block) not in (*BASIC, *BOTTLENECK):
        raise ValueError(
            f"{name} must be a BasicBlock or a Bottleneck, with SE or without, "
            f"got a {type(block).__name__}"
        )
    _check_kind(f"{name}.relu", block.relu, nn.ReLU)
    if isinstance(block, SEBlock):
        _check_kind(f"{name}.se", block.se, SqueezeExcitation)
        _check_kind(f"{name}.se.fc1", block.se.fc1, nn.Linear)
        _check_kind(f"{name}.se.fc2", block.se.fc2, nn.Linear)
    for number in range(1, 4 if type(block) in BOTTLENECK else 3):
        conv, norm = f"conv{number}", f"bn{number}"
        _check_pair(f"{name}.{conv}", getattr(block, conv), f"{name}.{norm}", getattr(block, norm))
    shortcut = block.downsample
    if shortcut is not None:
        if type(shortcut) is not nn.Sequential or len(shortcut) != 2:
            raise ValueError(
                f"{name}.downsample must be a convolution and a BatchNorm, got {shortcut}"
            )
        _check_pair(f"{name}.downsample.0", shortcut[0], f"{name}.downsample.1", shortcut[1])


def _check_pair(name: str, conv: object, norm_name: str, norm: object) -> None:
    """A convolution, and the BatchNorm that follows it."""
    _check_kind(name, conv, nn.Conv2d)
    assert isinstance(conv, nn.Conv2d)
    if conv.padding_mode != "zeros":
        raise ValueError(f"{name} must have padding_mode 'zeros', got {conv.padding_mode!r}")
    _check_kind(norm_name, norm, nn.BatchNorm2d)
    assert isinstance(norm, nn.BatchNorm2d)
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError(f"{norm_name} must have running statistics, got none")


def _check_kind(name: str, module: object, *kinds: type[nn.Module]) -> None:
    if type(module) not in kinds:
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise ValueError(f"{name} must be of type {wanted}, got {type(module).__name__}")
