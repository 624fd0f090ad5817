"""The fused operators keep what torch asks of operators, and refuse what does not fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils.flop_counter import FlopCounterMode

from se_models import SEConfig, with_se
from se_models.fused import fuse
from se_models.fused.operators import (
    REFERENCES,
    excite,
    excite_scale,
    scale,
    squeeze,
    squeeze_excite,
    squeeze_excite_tail_,
    tail_,
    tail_squeeze_,
)
from tests.se_models.fused.maps import (
    drawn,
    exact_tail,
    off,
    transposed,
)

pytestmark = pytest.mark.usefixtures("cpu_kernels")

NO_UNITS = "weight1 must have at least one hidden unit, got 0"


def asked_of(x: Tensor, gate: Tensor) -> list[tuple[str, tuple[Any, ...]]]:
    """Every operator that has kernels everywhere, on a map that none writes to, or on gates."""
    plain, layers = drawn(2, 6, 5, 4), (drawn(3, 6), None, drawn(6, 3), None, None)
    return [
        ("squeeze", (x, False)),
        ("excite", (gate, *layers)),
        ("squeeze_excite", (x, *layers)),
        ("squeeze_excite_tail_", (plain, *layers, x, None, gate)),
        ("excite_scale", (plain, gate, *layers)),
        ("tail_", (plain, None, gate, None, None)),
        ("tail_squeeze_", (plain, None, gate, None, None)),
        ("scale", (plain, gate, 1)),
    ]


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:FutureWarning")  # torch's own, of tangents
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize(
    "by", [lambda name: getattr(torch.ops.se_models, name), REFERENCES.get], ids=["kernel", "plain"]
)
def test_derivatives_are_refused(by: Callable[[str], Any]) -> None:
    """By every operator, since none has any, and by what runs where this library is not loaded.

    Without gradients enabled nobody asks for them; for tangents everybody does.
    """
    gate, x = torch.rand(2, 6, requires_grad=True), drawn(2, 6, 5, 4).requires_grad_()
    for name, arguments in asked_of(x, gate):
        with pytest.raises(RuntimeError, match="is for inference: no argument may require grad"):
            by(name)(*arguments)
        with torch.no_grad():
            by(name)(*arguments)
    with torch.no_grad(), forward_ad.dual_level():
        duals = (forward_ad.make_dual(each.detach(), each.detach()) for each in (x, gate))
        for name, arguments in asked_of(*duals):
            with pytest.raises(RuntimeError, match="is for inference: no argument may have a tan"):
                by(name)(*arguments)


def samples() -> list[tuple[Any, tuple[Any, ...]]]:
    x, gate = drawn(2, 6, 5, 4), torch.rand(2, 6)
    pixels = x.contiguous(memory_format=torch.channels_last)
    layers = (drawn(3, 6), drawn(3), drawn(6, 3), None, drawn(6))
    return [
        (squeeze, (x, True)),
        (squeeze, (pixels, False)),
        (excite, (drawn(2, 6), *layers)),
        (excite, (drawn(6, 2).T, *layers)),
        (squeeze_excite, (pixels, *layers)),
        (squeeze_excite_tail_, (x.clone(), *layers, drawn(2, 6, 5, 4), drawn(6), gate)),
        (squeeze_excite_tail_, (pixels.clone(), *layers, None, None, None)),
        (excite_scale, (x, drawn(2, 6), *layers)),
        (excite_scale, (pixels, drawn(2, 6), *layers)),
        (tail_, (x.clone(), drawn(2, 6, 5, 4), gate, None, None)),
        (tail_squeeze_, (x.clone(), drawn(2, 6, 5, 4), gate, drawn(6), gate)),
        (tail_squeeze_, (pixels.clone(), None, None, None, None)),
        (scale, (x, gate, 2)),
        (scale, (pixels, gate, 1)),
        (scale, (transposed(x), gate, 1)),
    ]


@pytest.mark.parametrize("place", range(len(samples())))
def test_torch_finds_no_fault(place: int) -> None:
    """Schema, shapes while tracing, and functionalisation are as torch wants them."""
    operator, arguments = samples()[place]
    torch.library.opcheck(operator, arguments)


def test_the_counter_knows_their_arithmetic() -> None:
    """Two per multiply-add of both layers of each excitation; nothing for the rest."""
    with FlopCounterMode(display=False) as counter:
        for operator, arguments in samples():
            operator(*arguments)
    assert counter.get_total_flops() == 7 * (2 * 2 * (2 * 6 * 3))


@pytest.mark.parametrize("placement", ["none", "post", "identity", "inner"])
@torch.no_grad()
def test_the_counter_knows_a_twins_arithmetic(placement: Any, trunk: Any) -> None:
    """It is the model's, of packed convolutions and of products, where no layers are joined."""
    model = with_se(trunk, SEConfig(placement)).eval()
    twin, images = fuse(model), torch.randn(1, 3, 64, 64)
    for batch in (images, images.expand(2, -1, -1, -1)):
        counted = []
        for each in (model, twin):
            with FlopCounterMode(display=False) as counter:
                each(batch)
            counted.append(counter.get_total_flops())
        assert counted[0] == counted[1]


@pytest.mark.parametrize(
    ("operator", "arguments", "told"),
    [
        (squeeze, (torch.ones(2, 3), False), r"x must have the shape \(B, C, H, W\)"),
        (squeeze, (torch.ones(2, 3, 0, 4), False), "x must have channels and pixels"),
        (tail_, (torch.ones(1, 2, 3, 3), torch.ones(1, 2, 3, 4), *[None] * 3), "shortcut must be"),
        (tail_, (torch.ones(1, 2, 3, 3), None, torch.ones(2), None, None), "gate must have the"),
        (tail_, (torch.ones(1, 2, 3, 3), None, torch.ones(1, 2).double(), None, None),
         "gate must be of Float, got Double"),
        (tail_, (torch.ones(1, 2, 3, 3), None, None, None, torch.ones(1, 2)),
         "shortcut_gate must come with a shortcut"),
        (scale, (torch.ones(1, 2, 3, 3), torch.ones(1, 2), 0), "stride must be a positive"),
        (excite, (torch.ones(1, 4), torch.ones(2, 3), None, torch.ones(4, 2), None, None),
         "weight of the first layer must have the shape"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(operator: Any, arguments: Any, told: str) -> None:
    """By the name of what it is, and the rule it breaks."""
    with pytest.raises(RuntimeError, match=told):
        operator(*arguments)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"x": torch.ones(2, 3)}, "x must have the shape"),
        ({"shortcut": torch.ones(2, 3, 1, 1)}, "shortcut must"),
        ({"shortcut": torch.ones(2, 3, 4, 4).double()}, "shortcut must"),
        ({"gate": torch.ones(1, 3)}, "gate must have the shape"),
        ({"gate": torch.ones(2, 3).double()}, "gate must"),
        ({"bias": torch.ones(1)}, "bias must have the shape"),
        ({"shortcut_gate": torch.ones(2, 3)}, "shortcut_gate must come with a shortcut"),
    ],
)
@pytest.mark.parametrize(
    "by", [lambda name: getattr(torch.ops.se_models, name), REFERENCES.get], ids=["kernel", "plain"]
)
def test_what_torch_would_stretch_is_refused(
    by: Callable[[str], Any], given: dict[str, Tensor], told: str
) -> None:
    """By kernels, and by what runs in their place, which would broadcast or cast."""
    tail = {"x": torch.ones(2, 3, 4, 4)} | dict.fromkeys(["shortcut", "gate", "bias"]) | given
    arguments = (
        tail["x"],
        tail["shortcut"],
        tail["gate"],
        tail["bias"],
        given.get("shortcut_gate"),
    )
    with pytest.raises((RuntimeError, ValueError), match=told):
        by("tail_")(*arguments)
    weight = torch.ones(1, 5, 3)
    if "x" not in given:
        with pytest.raises((RuntimeError, ValueError), match=told.replace("bias", "shift")):
            by("pointwise")(torch.ones(2, 5, 4, 4), weight, None, None, 1, *arguments[1:], True)


@pytest.mark.parametrize(
    "by", [lambda name: getattr(torch.ops.se_models, name), REFERENCES.get], ids=["kernel", "plain"]
)
def test_layers_without_hidden_units_are_refused(by: Callable[[str], Any]) -> None:
    """By the name of the weight, whatever else is done at the same call."""
    x, gate, layers = drawn(2, 6, 5, 4), torch.rand(2, 6), (drawn(0, 6), None, drawn(6, 0))
    for name, arguments in (
        ("excite", (gate, *layers, None, None)),
        ("squeeze_excite", (x, *layers, None, None)),
        ("excite_scale", (x, gate, *layers, None, None)),
    ):
        with pytest.raises((RuntimeError, ValueError), match=NO_UNITS):
            by(name)(*arguments)


@pytest.mark.parametrize(
    "by", [lambda name: getattr(torch.ops.se_models, name), REFERENCES.get], ids=["kernel", "plain"]
)
def test_a_shortcut_that_is_written_over_is_refused(by: Callable[[str], Any]) -> None:
    """Be it x itself, the same by another view, or a part; neighbours in memory may be added."""
    room = drawn(3, 2, 3, 3)
    beside = room[:, :1]
    for x, shortcut in (
        (room, room),
        (room, room.view(-1).view(room.shape)),
        (room[:2], room[1:]),
        (beside, room[:, :1]),
    ):
        kept = room.clone()
        for name in ("tail_", "tail_squeeze_"):
            with pytest.raises(
                (RuntimeError, ValueError), match="shortcut must not overlap with x"
            ):
                by(name)(x, shortcut, None, None, None)
        assert torch.equal(room, kept)
    wide = drawn(2, 17, 6, 7)
    for x, shortcut in (
        (room[:1], room[1:2]),
        (beside, room[:, 1:]),
        (wide[:, 1:], wide[:, :-1]),  # which no dense part of memory tells from neighbours
    ):
        exact = exact_tail(x, shortcut, None, None, None)
        by("tail_")(x, shortcut, None, None, None)
        assert off(x, exact) <= 2e-6
    empty = room[:0]
    by("tail_")(empty, empty, None, None, None)


def test_no_image_is_no_error() -> None:
    """Of an empty batch come empty means."""
    x = torch.empty(0, 4, 3, 3)
    assert squeeze(x, False).shape == (0, 4)
    assert tail_squeeze_(x, None, None, None, None).shape == (0, 4)
