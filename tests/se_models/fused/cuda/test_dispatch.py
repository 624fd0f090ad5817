"""Which kernel does what, on how many blocks, and what is refused; nothing is computed here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from se_models.fused.cuda import dispatch as dispatch_module
from se_models.fused.cuda import maps as maps_module
from se_models.fused.cuda.dispatch import Operators
from se_models.fused.cuda.launch import Launch, LaunchError
from se_models.fused.cuda.packing import Packed
from tests.se_models.fused.cuda.emulator import Recorder, arrivals
from tests.se_models.fused.maps import LAYOUTS, tail_arguments, unaligned

pytestmark = pytest.mark.kernels


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def ours(recorder: Recorder) -> Operators:
    return Operators(recorder, arrivals)


def maps(*shape: int, layout: Any = torch.contiguous_format) -> Tensor:
    return torch.zeros(shape).contiguous(memory_format=layout)


def test_planes_have_a_warp_or_a_block(ours: Operators, recorder: Recorder) -> None:
    """By their size: eight small ones share a block."""
    ours.squeeze(maps(2, 20, 8, 8), False)
    ours.squeeze(maps(2, 20, 56, 56), False)
    small, large = recorder.launches
    assert (small.kernel, small.blocks) == ("squeeze_planes<false>", (5, 1))
    assert (large.kernel, large.blocks) == ("squeeze_planes<true>", (40, 1))


def test_channels_are_taken_several_at_a_time_where_they_are_aligned(
    ours: Operators, recorder: Recorder
) -> None:
    """Else one by one: a number of channels that four does not divide, or an odd address."""
    last = torch.channels_last
    room = torch.zeros(2 * 20 * 8 * 8 + 1)
    odd = room[1:].view(2, 8, 8, 20).permute(0, 3, 1, 2)
    for x in (maps(2, 20, 8, 8, layout=last), maps(2, 18, 8, 8, layout=last), odd):
        ours.squeeze(x, False)
    assert [launch.kernel for launch in recorder.launches] == [
        "squeeze_pixels<4>", "squeeze_pixels<1>", "squeeze_pixels<1>",
    ]  # fmt: skip
    assert [launch.blocks for launch in recorder.launches] == [(3, 2)] * 3


@pytest.mark.parametrize("odd", range(4), ids=("shortcut", "gate", "bias", "shortcut_gate"))
@pytest.mark.parametrize("name", ["tail_", "tail_squeeze_"])
def test_any_operand_at_an_odd_address_has_channels_taken_one_by_one(
    name: str, odd: int, ours: Operators, recorder: Recorder
) -> None:
    """Though the map is aligned: gates and biases are read sixteen bytes at a time, too."""
    shape = (2, 20, 8, 8)
    x = maps(*shape, layout=torch.channels_last)
    arguments = tail_arguments(shape, x.dtype, "sgbh", torch.channels_last)
    given = arguments[odd]
    assert given is not None
    for each in (given, unaligned(given)):
        arguments[odd] = each
        getattr(ours, name)(x, *arguments)
    kernel = "tail_pixels" if name == "tail_" else "tail_pixels_means"
    assert [launch.kernel for launch in recorder.launches] == [f"{kernel}<4>", f"{kernel}<1>"]


def test_a_gate_at_an_odd_address_scales_channels_one_by_one(
    ours: Operators, recorder: Recorder
) -> None:
    """As it does in a tail."""
    x = maps(2, 20, 8, 8, layout=torch.channels_last)
    for gate in (torch.ones(2, 20), unaligned(torch.ones(2, 20))):
        ours.scale(x, gate, 1)
    assert [launch.kernel for launch in recorder.launches] == ["scale_pixels<4>", "scale_pixels<1>"]


@pytest.mark.parametrize("gate", [None, torch.ones(2, 20)], ids=["run", "planes"])
def test_planes_that_lie_otherwise_than_their_shortcut_are_taken_value_by_value(
    gate: Tensor | None, ours: Operators, recorder: Recorder
) -> None:
    """An aligned map, too; the last argument says so."""
    x, shortcut = maps(2, 20, 8, 8), maps(2, 20, 8, 8)
    for beside in (shortcut, unaligned(shortcut)):
        ours.tail_(x, beside, gate, None, None)
    assert [launch.arguments[-1] for launch in recorder.launches] == [1, 0]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_no_launch_has_more_values_than_its_index_counts(
    layout: Any, ours: Operators, recorder: Recorder
) -> None:
    """Half of what 32 bits and a sign do, of maps and of means, for an index goes past the end."""
    x = torch.empty(40, 64, 1024, 1024, device="meta", memory_format=layout)
    gate = torch.empty(40, 64, device="meta")
    ours.squeeze(x, False)
    ours.tail_(x, None, None, None, None)
    ours.tail_(x, None, gate, None, None)
    ours.tail_squeeze_(x, None, gate, None, None)
    for stride in (1, 2):
        ours.scale(x, gate, stride)
    assert len(recorder.launches) == 6 * 3
    means, weight1, weight2 = (
        torch.empty(shape, device="meta") for shape in ((2**15, 2**16), (8, 2**16), (4, 8))
    )
    ours.excite(means, weight1, None, weight2, None, None)
    assert len(recorder.launches) == 6 * 3 + 2
    for launch in recorder.launches:
        sizes = [each.numel() for each in launch.arguments if isinstance(each, Tensor)]
        assert max(sizes) <= 2**30, launch.kernel


def test_a_map_that_one_launch_cannot_index_is_split(
    ours: Operators, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By images; one image that is too large is refused."""
    monkeypatch.setattr(maps_module, "MOST_VALUES", 100)
    x = maps(5, 4, 3, 3)
    ours.tail_(x, None, torch.ones(5, 4), None, None)
    starts = [launch.arguments[0] for launch in recorder.launches]
    assert [start.shape[0] for start in starts if isinstance(start, Tensor)] == [2, 2, 1]
    with pytest.raises(ValueError, match="at most 100 values an image, got 200"):
        ours.squeeze(maps(1, 2, 10, 10), False)


def test_many_images_are_excited_in_turns(ours: Operators, recorder: Recorder) -> None:
    """As many at a time as there are counters, two here, two images each."""
    ours.excite(torch.zeros(11, 8), torch.zeros(9, 8), None, torch.zeros(8, 9), None, None)
    assert [launch.blocks for launch in recorder.launches] == [(2, 2)] * 3
    assert [launch.arguments[9] for launch in recorder.launches] == [4, 4, 3]


def test_an_excitation_by_one_block_needs_no_counters(recorder: Recorder) -> None:
    """In a capture they may have to be cleared first; and no number of them parts the images."""

    def refuse(_device: torch.device) -> Tensor:
        raise AssertionError("counters were asked for")

    ours = Operators(recorder, refuse)
    ours.excite(torch.zeros(11, 8), torch.zeros(8, 8), None, torch.zeros(8, 8), None, None)
    (launch,) = recorder.launches
    assert launch.blocks == (1, 6)
    assert launch.arguments[6:8] == (None, None)


def test_a_second_layer_is_read_as_it_lies(ours: Operators, recorder: Recorder) -> None:
    """Gate by gate or unit by unit, without a copy of either; the strides say which."""
    for weight2 in (torch.zeros(8, 9), torch.zeros(9, 8).t()):
        ours.excite(torch.zeros(1, 4), torch.zeros(9, 4), None, weight2, None, None)
        launch = recorder.launches[-1]
        assert launch.arguments[3] is weight2
        assert launch.arguments[-2:] == (weight2.stride(1), weight2.stride(0))


def test_layers_that_an_index_cannot_count_are_refused(
    ours: Operators, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either of them; means that are too many are taken in turns."""
    monkeypatch.setattr(dispatch_module, "MOST_VALUES", 100)
    squeezed, few = torch.zeros(3, 40), torch.zeros(2, 40)
    with pytest.raises(ValueError, match="weight1 must have at most 100 values, got 120"):
        ours.excite(squeezed, torch.zeros(3, 40), None, torch.zeros(2, 3), None, None)
    with pytest.raises(ValueError, match="weight2 must have at most 100 values, got 102"):
        ours.excite(squeezed, few, None, torch.zeros(51, 2), None, None)
    assert recorder.launches == []
    ours.excite(squeezed, few, None, torch.zeros(4, 2), None, None)
    parts = [launch.arguments[0] for launch in recorder.launches]
    assert [part.shape[0] for part in parts if isinstance(part, Tensor)] == [2, 1]


def test_a_map_in_no_layout_is_worked_on_in_a_copy(ours: Operators, recorder: Recorder) -> None:
    """Whose values come back."""
    x = torch.full((2, 3, 4, 5), 2.0).transpose(2, 3)
    ours.tail_(x, None, torch.ones(2, 3), None, None)
    (launch,) = recorder.launches
    worked_on = launch.arguments[0]
    assert isinstance(worked_on, Tensor)
    assert worked_on.data_ptr() != x.data_ptr()
    assert worked_on.is_contiguous()


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda ours: ours.squeeze(torch.ones(2, 3), False), r"x must have the shape \(B, C, H, W"),
        (lambda ours: ours.squeeze(torch.ones(1, 2, 3, 3).double(), False), "x must be of torch.f"),
        (lambda ours: ours.tail_(maps(1, 2, 3, 3), maps(1, 2, 3, 4), None, None, None),
         "shortcut must be like x"),
        (lambda ours: ours.tail_(maps(1, 2, 3, 3), None, torch.ones(2), None, None),
         r"gate must have the shape \(1, 2\)"),
        (lambda ours: ours.tail_(maps(1, 2, 3, 3), maps(1, 2, 3, 3).to("meta"), None, None, None),
         r"shortcut must be like x, .* on cpu, got .* on meta"),
        (lambda ours: ours.scale(maps(1, 2, 3, 3), torch.ones(1, 2, device="meta"), 1),
         r"gate must .* on cpu, got .* on meta"),
        (lambda ours: ours.excite(torch.ones(1, 4), torch.ones(2, 4), None, torch.ones(4, 2), None,
                                  torch.ones(4, device="meta")),
         r"factor must .* on cpu, got .* on meta"),
        (lambda ours: ours.tail_(maps(1, 2, 3, 3), None, None, None, torch.ones(1, 2)),
         "shortcut must be given where shortcut_gate is"),
        (lambda ours: ours.tail_(*[maps(1, 2, 3, 3)] * 2, None, None, None),
         "shortcut must not overlap with x"),
        (lambda ours: ours.scale(maps(1, 2, 3, 3), torch.ones(1, 2), 0), "stride must be a posit"),
        (lambda ours: ours.excite(torch.ones(1, 4), torch.ones(2, 3), None, torch.ones(4, 2), None,
                                  None), r"weight1 must have the shape \(2, 4\)"),
        (lambda ours: ours.excite(torch.ones(1, 4), torch.ones(0, 4), None, torch.ones(4, 0), None,
                                  None), "weight1 must have at least one hidden unit, got 0"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    call: Callable[[Operators], object], told: str, ours: Operators, recorder: Recorder
) -> None:
    """By the name of what it is, and the rule it breaks; and nothing is launched."""
    with pytest.raises(ValueError, match=told):
        call(ours)
    assert recorder.launches == []


@pytest.mark.parametrize(("blocks", "told"), [((0, 1), "in x"), ((1, 65536), "in y")])
def test_a_grid_that_cuda_does_not_have_is_refused(blocks: tuple[int, int], told: str) -> None:
    """By the name of its kernel."""
    with pytest.raises(ValueError, match=f"tail_run: blocks {told} must be from 1 to"):
        Launch("tail_run", torch.float32, blocks, ())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((torch.zeros(1),), "takes 2 arguments, got 1"),
        ((torch.zeros(1), torch.zeros(1)), "argument 1 must be a u32, got a tensor"),
        ((3, 3), "argument 0 must be a u64, got the integer 3"),
        ((None, 2**31), "argument 1 must fit into 32 bits, got 2147483648"),
    ],
)
def test_arguments_that_a_kernel_does_not_take_are_refused(
    arguments: tuple[Any, ...], told: str
) -> None:
    """Before a driver reads them as something else."""
    with pytest.raises(LaunchError, match=f"some_kernel.*{told}"):
        Packed(Launch("some_kernel", torch.float32, (1, 1), arguments), ("u64", "u32"))
