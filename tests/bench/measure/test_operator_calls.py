"""What twins call is noted with what it moves and computes, and beside what it is put."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torchvision.models.resnet import Bottleneck, ResNet

from bench.measure.controls import CONTROL, PRODUCT, Control, control_of
from bench.measure.operator_calls import Called, calls_of
from se_models import SEConfig, with_se
from se_models.config import Placement
from se_models.fused import fuse, operators
from se_models.fused.pointwise import can_take_along
from se_models.fused.rewrite import FusedResNet

BATCH, CHANNELS, UNITS, SIDE = 2, 32, 4, 6
MAP = 4 * BATCH * CHANNELS * SIDE * SIDE  # bytes
MEANS = 4 * BATCH * CHANNELS
LAYERS = 4 * (2 * CHANNELS * UNITS + UNITS + CHANNELS)
PIXELS = BATCH * SIDE * SIDE


def layers() -> tuple[Tensor | None, ...]:
    weight1, weight2 = torch.rand(UNITS, CHANNELS), torch.rand(CHANNELS, UNITS)
    return weight1, torch.rand(UNITS), weight2, torch.rand(CHANNELS), None


def noted(operator: Any, *arguments: Any) -> Called:
    """The only call of a forward that calls an operator, on a map first."""
    x = torch.rand(BATCH, CHANNELS, SIDE, SIDE)

    def forward(given: Tensor) -> Tensor:
        operator(given, *arguments)
        return given

    (called,) = calls_of([("none", forward)], x)
    return called


def drawn(*shape: int) -> Tensor:
    return torch.rand(shape)


SHORTCUT, GATE = (BATCH, CHANNELS, SIDE, SIDE), (BATCH, CHANNELS)
NOTHING = (None, None, None, None)


@pytest.mark.parametrize(
    ("operator", "arguments", "label", "moved"),
    [
        (operators.squeeze, (False,), "squeeze", MAP + MEANS),
        (operators.tail_, (drawn(*SHORTCUT), None, None, None), "tail_, shortcut", 3 * MAP),
        (operators.tail_, (None, drawn(*GATE), None, None), "tail_, gate", 2 * MAP + MEANS),
        (
            operators.tail_squeeze_, (drawn(*SHORTCUT), None, None, drawn(*GATE)),
            "tail_squeeze_, shortcut, shortcut_gate", 3 * MAP + 2 * MEANS,
        ),
        # Means come before the tail, which reads the map again.
        (
            operators.squeeze_excite_tail_, (*layers(), drawn(*SHORTCUT), None, None),
            "squeeze_excite_tail_, shortcut", 4 * MAP + LAYERS,
        ),
        (operators.squeeze_excite, layers(), "squeeze_excite", MAP + LAYERS + MEANS),
        (operators.scale, (drawn(*GATE), 1), "scale", 2 * MAP + MEANS),
        # Of every second row and column, a quarter.
        (operators.scale, (drawn(*GATE), 2), "scale", MAP // 2 + MEANS),
    ],
)  # fmt: skip
def test_what_must_move_is_counted_once(
    operator: Any, arguments: Any, label: str, moved: int
) -> None:
    """Maps, means, gates and weights, read or written; the control adds on a map as large."""
    call = noted(operator, *arguments).call
    assert (call.label, call.moved_bytes) == (label, moved)
    assert control_of(call) == Control(CONTROL, SHORTCUT)
    assert control_of(call).moved_bytes == 3 * MAP


@pytest.mark.parametrize(("stride", "pixels"), [(1, PIXELS), (2, PIXELS // 4)])
def test_a_convolution_is_put_beside_the_product_of_its_pixels(stride: int, pixels: int) -> None:
    """Of those that it takes; two operations for each multiply-add, and nothing for gates."""
    weight, gate = drawn(1, CHANNELS, 16), drawn(*GATE)
    call = noted(operators.pointwise, weight, None, gate, stride, *NOTHING, True).call
    assert call.label == "pointwise, x_gate"
    assert call.flops == 2 * pixels * CHANNELS * 16
    moved = 4 * (pixels * (CHANNELS + 16) + CHANNELS * 16)
    assert call.moved_bytes == moved + MEANS
    control = control_of(call)
    assert control == Control(PRODUCT, (pixels, CHANNELS, 16))
    assert control.moved_bytes == moved


def test_a_convolution_by_torch_has_the_arithmetic_of_its_groups() -> None:
    """Where oneDNN is missing, twins call it."""
    weight = drawn(6, 2, 3, 3)
    twins: Any = [("none", lambda x: functional.conv2d(x, weight, groups=2)), ("pre", torch.relu)]
    called = calls_of(twins, drawn(1, 4, 5, 5))
    (call,) = (each.call for each in called if each.call.name == "convolution")
    assert call.flops == 2 * 6 * 3 * 3 * 2 * 3 * 3


def test_an_excitation_is_put_beside_its_two_products() -> None:
    """Of means by the weights of either layer."""
    called = calls_of([("none", lambda means: operators.excite(means, *layers()))], drawn(*GATE))
    (call,) = (each.call for each in called)
    assert call.flops == 2 * BATCH * 2 * CHANNELS * UNITS
    assert control_of(call) == Control(PRODUCT, (BATCH, CHANNELS, UNITS, CHANNELS))


def test_controls_leave_their_tensors_as_they_are() -> None:
    """So that they can be called again and again; a second product takes what the first made."""
    added = Control(CONTROL, (1, 4, 3, 3)).prepared()
    first = result_of(added).clone()
    assert torch.equal(result_of(added), first)
    assert result_of(Control(PRODUCT, (2, 5, 3, 4)).prepared()).shape == (2, 4)


def result_of(call: Callable[[], object]) -> Tensor:
    result = call()
    assert isinstance(result, Tensor)
    return result


def test_a_call_can_be_made_again() -> None:
    """With the arguments that the forward gave it."""
    call = noted(operators.squeeze, False).call
    assert torch.allclose(result_of(call), call.first.mean((2, 3)))


def twins_of(*placements: Placement) -> Iterator[tuple[Placement, FusedResNet]]:
    """A network of one bottleneck per stage, plain and with SE."""
    torch.manual_seed(0)
    trunk = ResNet(Bottleneck, [1, 1, 1, 1], num_classes=10).eval()
    for placement in placements:
        model = with_se(trunk, SEConfig(placement)).eval()
        yield placement, fuse(model, keep_state=False)


def by_label(found: list[Called]) -> dict[str, list[int]]:
    """How often each twin makes calls of a label, whatever their shapes."""
    times: dict[str, list[int]] = {}
    for each in found:
        own = list(each.times.values())
        known = times.setdefault(each.call.label, [0] * len(own))
        times[each.call.label] = [one + other for one, other in zip(known, own, strict=True)]
    return times


TAKES_ALONG = pytest.mark.skipif(
    not can_take_along(torch.zeros(1, 1, 1, 1)), reason="this CPU has no products of matrices"
)


@TAKES_ALONG
def test_twins_are_asked_how_often_they_call_what() -> None:
    """Bottlenecks alone: SE looks at the narrow map, and the convolution takes the gate along."""
    found = calls_of(twins_of("none", "standard"), torch.rand(1, 3, 64, 64))
    assert by_label(found) == {
        "pointwise": [8, 8],
        "pointwise, shortcut": [3, 0],
        "pointwise_squeeze, shortcut": [1, 0],
        "squeeze_excite": [0, 4],
        "pointwise, shortcut, gate": [0, 3],
        "pointwise_squeeze, shortcut, gate": [0, 1],
    }
    looked_at = [each.call.first.shape[1] for each in found if each.call.name == "squeeze_excite"]
    assert looked_at == [64, 128, 256, 512]


@TAKES_ALONG
def test_convolutions_that_a_gate_displaces_are_seen_too() -> None:
    """For two images those with nothing to take along are oneDNN's; the others all twins call."""
    found = calls_of(twins_of("none", "pre"), torch.rand(2, 3, 64, 64))
    times = by_label(found)
    assert times["_convolution_pointwise"] == [4, 0]  # the first of each block
    assert times["pointwise, x_gate"] == [0, 4]
    first = next(each.call for each in found if each.call.name == "_convolution_pointwise")
    assert first.flops == 2 * 2 * 16 * 16 * 64 * 64
    assert first.moved_bytes == 4 * (2 * 2 * 16 * 16 * 64 + 64 * 64 + 64)
    assert control_of(first) == Control(PRODUCT, (2 * 16 * 16, 64, 64))
