"""ResNets with SE: ``with_se`` plugs it into a model, the constructors build and plug.

The constructors take what torchvision's take, and ``se``. Weights load into
the plain trunk before SE goes in, so pretrained weights just work and the SE
parameters start fresh.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.models import ResNet
from torchvision.models import resnet as torchvision_resnet

from se_models.blocks import SEBlock, with_se_block
from se_models.config import SEConfig
from se_models.inference_only import InferenceOnly


def with_se(model: ResNet, config: SEConfig, *, share_trunk: bool = False) -> ResNet:
    """The SE twin of a torchvision ResNet; the given model is untouched.

    The trunk's keys and values are the model's own; the SE parameters are
    extra keys, ``layer<stage>.<block>.se.fc1`` and ``.fc2``. Hooks and
    attributes of others on a block that gets SE stay with the model's block.

    Args:
        model: any ResNet of torchvision's, with its weights, on any device.
        config: where SE goes; placement ``none`` gives the plain twin.
        share_trunk: let the twin use the model's own tensors in place of a
            copy. Such a twin is for inference only: it comes in eval mode,
            and calling it, or a stage of it, with gradients enabled or with
            a module in training mode is a RuntimeError. Moving or casting it
            would do so to the model's tensors: move the model beforehand.

    Raises:
        ValueError: if the model is no plain torchvision ResNet, or has no
            such block, or ``config`` is no SEConfig.
    """
    _check_plain(model)
    twin = copy.deepcopy(model, _keep_tensors(model) if share_trunk else {})
    _plug(twin, config)
    if share_trunk:
        twin.eval()
        twin.shares_trunk = True
        twin.register_forward_pre_hook(InferenceOnly([twin.bn1]))
        for stage in (twin.layer1, twin.layer2, twin.layer3, twin.layer4):
            norms = [each for each in stage.modules() if isinstance(each, _BatchNorm)]
            stage.register_forward_pre_hook(InferenceOnly(norms))
    return twin


def se_modules(model: nn.Module) -> Iterator[tuple[str, SEBlock]]:
    """Every block that carries SE, with its name in ``model``."""
    return ((name, module) for name, module in model.named_modules() if isinstance(module, SEBlock))


def _check_plain(model: object) -> None:
    if not isinstance(model, ResNet):
        raise ValueError(f"model must be a torchvision ResNet, got a {type(model).__name__}")
    if getattr(model, "shares_trunk", False):
        raise ValueError("model must own its tensors, got one made with share_trunk=True")
    for name, _ in se_modules(model):
        raise ValueError(f"model must be a plain ResNet, got one that has SE in {name}")


def _keep_tensors(model: nn.Module) -> dict[int, Any]:
    """A memo by which ``copy.deepcopy`` keeps the tensors and copies the rest."""
    return {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())}


def _plug(model: ResNet, config: SEConfig) -> ResNet:
    """Replace the chosen blocks of ``model`` itself."""
    if not isinstance(config, SEConfig):
        raise ValueError(f"SE must be described by an SEConfig, got {config!r}")
    if config.placement == "none":
        return model
    for number in config.stages:
        stage = model.get_submodule(f"layer{number}")
        if not isinstance(stage, nn.Sequential):
            raise ValueError(
                f"layer{number} of the model must hold blocks, got {type(stage).__name__}"
            )
        for index in config.blocks_of(number, len(stage)):
            stage[index] = with_se_block(stage[index], config)
    return model


def _build(
    constructor: Callable[..., ResNet],
    weights: Any,
    progress: bool,
    se: SEConfig | None,
    settings: dict[str, Any],
) -> ResNet:
    if weights is not None:  # torchvision's deprecated ``pretrained`` stands in its place
        settings = {**settings, "weights": weights}
    model = constructor(progress=progress, **settings)
    return model if se is None else _plug(model, se)


def resnet18(
    *, weights: Any = None, progress: bool = True, se: SEConfig | None = None, **kwargs: Any
) -> ResNet:
    """Torchvision's ``resnet18``, with SE as ``se`` says."""
    return _build(torchvision_resnet.resnet18, weights, progress, se, kwargs)


def resnet34(
    *, weights: Any = None, progress: bool = True, se: SEConfig | None = None, **kwargs: Any
) -> ResNet:
    """Torchvision's ``resnet34``, with SE as ``se`` says."""
    return _build(torchvision_resnet.resnet34, weights, progress, se, kwargs)


def resnet50(
    *, weights: Any = None, progress: bool = True, se: SEConfig | None = None, **kwargs: Any
) -> ResNet:
    """Torchvision's ``resnet50``, with SE as ``se`` says."""
    return _build(torchvision_resnet.resnet50, weights, progress, se, kwargs)


def resnet101(
    *, weights: Any = None, progress: bool = True, se: SEConfig | None = None, **kwargs: Any
) -> ResNet:
    """Torchvision's ``resnet101``, with SE as ``se`` says."""
    return _build(torchvision_resnet.resnet101, weights, progress, se, kwargs)


def resnet152(
    *, weights: Any = None, progress: bool = True, se: SEConfig | None = None, **kwargs: Any
) -> ResNet:
    """Torchvision's ``resnet152``, with SE as ``se`` says."""
    return _build(torchvision_resnet.resnet152, weights, progress, se, kwargs)


def resnext50_32x4d(
    *, weights: Any = None, progress: bool = True, se: SEConfig | None = None, **kwargs: Any
) -> ResNet:
    """Torchvision's ``resnext50_32x4d``, with SE as ``se`` says."""
    return _build(torchvision_resnet.resnext50_32x4d, weights, progress, se, kwargs)


def resnext101_32x8d(
    *, weights: Any = None, progress: bool = True, se: SEConfig | None = None, **kwargs: Any
) -> ResNet:
    """Torchvision's ``resnext101_32x8d``, with SE as ``se`` says."""
    return _build(torchvision_resnet.resnext101_32x8d, weights, progress, se, kwargs)


def resnext101_64x4d(
    *, weights: Any = None, progress: bool = True, se: SEConfig | None = None, **kwargs: Any
) -> ResNet:
    """Torchvision's ``resnext101_64x4d``, with SE as ``se`` says."""
    return _build(torchvision_resnet.resnext101_64x4d, weights, progress, se, kwargs)


def wide_resnet50_2(
    *, weights: Any = None, progress: bool = True, se: SEConfig | None = None, **kwargs: Any
) -> ResNet:
    """Torchvision's ``wide_resnet50_2``, with SE as ``se`` says."""
    return _build(torchvision_resnet.wide_resnet50_2, weights, progress, se, kwargs)


def wide_resnet101_2(
    *, weights: Any = None, progress: bool = True, se: SEConfig | None = None, **kwargs: Any
) -> ResNet:
    """Torchvision's ``wide_resnet101_2``, with SE as ``se`` says."""
    return _build(torchvision_resnet.wide_resnet101_2, weights, progress, se, kwargs)
