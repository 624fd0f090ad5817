"""What all rewritten ResNets have in common: they infer, and keep the state of their model."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import ResNet

from se_models.fused.eligibility import check
from se_models.fused.refusals import has_tangent


class Twin(nn.Module):
    """Computes what a ResNet does, up to rounding, from the ResNet's tensors as they are now.

    Its state dict is that of the model it was made from, by the same keys, and
    loading one rewrites anew, as do ``to`` and its kin. Parameters that train
    it has none. Later changes of the model do not reach it.

    Args:
        model: a ResNet of torchvision's or of this package, in eval mode, of
            float32, bfloat16, float16 or float64; it is untouched.
        keep_state: keep a copy of the model, so that the twin can tell its
            state dict, take another, and move. Without it the twin holds its
            own tensors alone, and of convolutions that it has laid out for
            inputs that came the plain weights no longer: it may still be
            copied and pickled, and take any input, but is to be compiled or
            exported before it runs.

    Attributes:
        fc: the classifier.

    Shape:
        ``(B, C, H, W)`` to ``(B, classes)``, C as the first convolution takes it, 3 as a rule.

    Raises:
        ValueError: naming the module that cannot be rewritten, its rule and
            what it is; when put into training mode; or when called on another shape.
        RuntimeError: when called for gradients, or on what has a tangent.
    """

    fc: nn.Module

    def __init__(self, model: ResNet, *, keep_state: bool) -> None:
        check(model)
        super().__init__()
        self._keeps_state = keep_state
        self._source: tuple[ResNet, ...] = ()
        self._adopt(copy.deepcopy(model) if keep_state else model)

    @abstractmethod
    def _rewritten(self, model: ResNet) -> nn.ModuleDict:
        """What computes what ``model`` does, on tensors of its own, by the names it has here."""

    def _begin_anew(self) -> None:
        """Forget what followed from other modules; nothing, unless a twin keeps something."""

    @abstractmethod
    def _infer(self, x: Tensor) -> Tensor:
        """The output for images that need no gradients."""

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            self._refuse_gradients(x)
        if has_tangent(x):
            raise RuntimeError(
                f"a {type(self).__name__} is for inference only: x must have no tangent"
            )
        if x.dim() != 4 or x.shape[1] != self._channels:
            raise ValueError(f"x must be (B, {self._channels}, H, W), got {tuple(x.shape)}")
        return self._infer(x)

    def _refuse_gradients(self, x: Tensor) -> None:
        """Of the input or of the classifier, whose training no state dict would tell.

        A module that holds this one switches them on without asking it.
        """
        if x.requires_grad:
            raise RuntimeError(
                f"a {type(self).__name__} is for inference only: x must not require gradients"
            )
        if any(parameter.requires_grad for parameter in self.fc.parameters()):
            raise RuntimeError(
                f"a {type(self).__name__} is for inference only: its fc must not require "
                "gradients; train the model, and make its twin anew"
            )

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """The model's own; its keys and values are those that went in.

        They are to be read: who changes them has to load them, for the twin to be rewritten.
        """
        return self._model().state_dict(*args, **kwargs)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Take another state of the same model, and rewrite it.

        Raises:
            RuntimeError: as the model's own ``load_state_dict``; the twin stays as it is.
            ValueError: as when a twin is made; likewise.
        """
        model = copy.deepcopy(self._model())
        keys = model.load_state_dict(state_dict, strict, assign)
        # What is assigned is the caller's, who may write to it.
        self._adopt(copy.deepcopy(model) if assign else model)
        return keys

    def __copy__(self) -> Twin:
        """One of its own: of a shallow one this twin's parts would be another model's by and by."""
        return copy.deepcopy(self)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        _local_metadata: object,
        _strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Behind ``load_state_dict`` of a module that holds this one, which asks each for its own.

        Its children, which are asked next, are given what they have.
        """
        own = {key: state_dict.pop(key) for key in list(state_dict) if key.startswith(prefix)}
        try:
            keys = self.load_state_dict(
                {key.removeprefix(prefix): value for key, value in own.items()}, strict=False
            )
        except (RuntimeError, ValueError) as error:
            error_msgs.append(str(error))
        else:
            missing_keys += [prefix + name for name in keys.missing_keys]
            unexpected_keys += [prefix + name for name in keys.unexpected_keys]
        state_dict.update(nn.Module.state_dict(self, prefix=prefix))

    def requires_grad_(self, requires_grad: bool = True) -> Twin:
        """Only off, as it always is."""
        if requires_grad:
            raise ValueError(
                f"requires_grad must be False: a {type(self).__name__} is for inference only"
            )
        return super().requires_grad_(False)

    def train(self, mode: bool = True) -> Twin:
        """Only into eval mode, in which it always is."""
        if mode:
            raise ValueError(f"mode must be False: a {type(self).__name__} is for inference only")
        return super().train(False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Twin:
        """Behind ``to`` and its kin: a copy of the model moves, and is rewritten there."""
        model = copy.deepcopy(self._model())
        model._apply(fn, recurse)
        self._adopt(model)
        return self

    def _model(self) -> ResNet:
        if not self._source:
            raise RuntimeError(
                "a twin made with keep_state=False has no state to tell, load or move: "
                "do so with the model, and make its twin anew"
            )
        return self._source[0]

    def _adopt(self, model: ResNet) -> None:
        """Become the twin of ``model``, which is then this twin's own if it keeps the state.

        Whatever is refused, or fails, does so before anything of this twin has changed.
        """
        check(model)
        parts = self._rewritten(model)
        _check_range(parts)
        for name, part in parts.items():
            self.add_module(name, part)
        self._channels = model.conv1.in_channels
        self._begin_anew()
        if self._keeps_state:
            self._source = (model,)  # in a tuple, or it would be a submodule
        self.requires_grad_(False)
        super().train(False)


def _check_range(parts: nn.ModuleDict) -> None:
    """Refuse what is not a number, and factors that a narrow dtype cannot hold in weights.

    A convolution that rectifies by itself would make 0 of it.
    """
    for name, tensor in parts.named_buffers():
        if not tensor.is_meta and not tensor.isfinite().all():
            advice = ": use bfloat16 or float32" if tensor.dtype == torch.float16 else ""
            raise ValueError(
                f"{name} must be finite once BatchNorm is folded into it, got NaN or a value "
                f"beyond {str(tensor.dtype).removeprefix('torch.')}{advice}"
            )
