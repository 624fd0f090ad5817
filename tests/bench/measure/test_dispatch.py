"""The calls of a forward: what they move, what is alive meanwhile, the same on CPU and meta."""

from __future__ import annotations

from contextlib import nullcontext
from itertools import chain

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from bench.measure.dispatch import Call, Watch, blank_twin, meta_twin, on_meta
from bench.measure.liveness import LiveBytes
from bench.measure.traffic import Traffic
from se_models import PLACEMENTS, SEConfig, SqueezeExcitation, with_se
from se_models.config import Placement
from se_models.fused import fold

FLOAT = 4  # bytes
LONG = 8


class Names:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def see(self, call: Call) -> None:
        self.seen.append(str(call.operator))


def watch(model: nn.Module, example: Tensor, *others: Tensor) -> tuple[Traffic, LiveBytes]:
    """One forward, on the device where model and example are."""
    traffic = Traffic()
    live = LiveBytes(chain(model.parameters(), model.buffers(), (example, *others)))
    with (
        on_meta(model) if example.is_meta else nullcontext(),
        torch.no_grad(),
        Watch(traffic, live),
    ):
        model(example)
    return traffic, live


def tiny_network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * 8 * 8, 5),
    ).eval()


def both_devices(model: nn.Module, example: Tensor) -> list[tuple[nn.Module, Tensor]]:
    return [(model, example), (meta_twin(model), example.to("meta"))]


def test_convolution_network_by_hand() -> None:
    """Each operator reads its inputs and weights once and writes its output; views do nothing."""
    pixels = 2 * 4 * 8 * 8
    convolution = 2 * 3 * 8 * 8 + 4 * 3 * 9 + pixels
    batch_norm = pixels + 4 * 4 + pixels
    relu = pixels + pixels
    linear = 5 + pixels + 4 * 8 * 8 * 5 + 2 * 5
    weights = (4 * 3 * 9 + 4 * 4 + 4 * 8 * 8 * 5 + 5) * FLOAT + LONG
    for model, example in both_devices(tiny_network(), torch.zeros(2, 3, 8, 8)):
        traffic, live = watch(model, example)
        assert traffic.operators == 4
        assert traffic.ideal_bytes == (convolution + batch_norm + relu + linear) * FLOAT
        assert traffic.elementwise_outputs == pixels + pixels
        # An operator's input and output are alive at once, and nothing else of the activations.
        assert live.peak_bytes == weights + (2 * 3 * 8 * 8 + 2 * pixels) * FLOAT


def test_squeeze_excitation_by_hand() -> None:
    """An SE module is six operators, and at its peak input, gate and output are alive."""
    pixels, squeezed, hidden, weights = 2 * 8 * 4 * 4, 2 * 8, 2 * 4, 8 * 4
    moved = (
        (pixels + squeezed)
        + (4 + squeezed + weights + hidden)
        + (hidden + hidden)
        + (8 + hidden + weights + squeezed)
        + (squeezed + squeezed)
        + (pixels + squeezed + pixels)
    )
    module = SqueezeExcitation(8, 2).eval()
    for model, example in both_devices(module, torch.zeros(2, 8, 4, 4)):
        traffic, live = watch(model, example)
        assert traffic.operators == 6
        assert traffic.ideal_bytes == moved * FLOAT
        assert traffic.elementwise_outputs == squeezed + hidden + squeezed + pixels
        assert live.peak_bytes == (2 * weights + 4 + 8 + pixels + squeezed + pixels) * FLOAT


def test_in_place_operator_reads_and_writes() -> None:
    """An in-place operator moves its tensor twice and adds nothing to what is alive."""
    traffic, live = watch(nn.ReLU(inplace=True), torch.zeros(10))
    assert traffic.ideal_bytes == (10 + 10) * FLOAT
    assert live.peak_bytes == 10 * FLOAT


def test_repeated_input_is_read_once() -> None:
    """A tensor that is given twice is one read, and so is another view of the same memory."""

    class Double(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + x[:]

    traffic, _ = watch(Double(), torch.zeros(10))
    assert traffic.ideal_bytes == (10 + 10) * FLOAT


def test_bytes_follow_the_dtype() -> None:
    """A tensor's bytes are its elements times their size."""
    traffic, live = watch(nn.Sigmoid(), torch.zeros(10, dtype=torch.bfloat16, device="meta"))
    assert (traffic.ideal_bytes, live.peak_bytes) == ((10 + 10) * 2, (10 + 10) * 2)


def test_freed_memory_is_no_longer_alive() -> None:
    """A chain of layers needs two activations at a time, however long it is."""
    _, live = watch(nn.Sequential(*(nn.Sigmoid() for _ in range(9))), torch.zeros(10))
    assert live.peak_bytes == (10 + 2 * 10) * FLOAT
    assert live.now_bytes == 0  # the input too is gone by now


def test_what_nobody_has_made_was_there_all_along() -> None:
    """A weight that no module tells of counts once, and from the start, not from its first use."""

    class Late(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kept = [torch.zeros(4)]

        def forward(self, x: Tensor) -> Tensor:
            large = x.repeat(3).sum()
            return self.kept[0] + large + self.kept[0]

    _, live = watch(Late(), torch.zeros(10))
    assert live.peak_bytes == (4 + 10 + 30 + 1) * FLOAT


def test_weights_in_layouts_of_onednn_are_read_and_alive() -> None:
    """Their storage is oneDNN's own; each value has as many bytes as ever."""

    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.zeros(16, 16).to_mkldnn()

        def forward(self, x: Tensor) -> Tensor:
            return x + self.weight.to_dense()

    traffic, live = watch(Packed(), torch.zeros(16, 16))
    assert traffic.ideal_bytes == (2 + 3) * 256 * FLOAT
    assert live.peak_bytes == 4 * 256 * FLOAT


def test_resnet18_peak_is_what_memtracker_says() -> None:
    """ResNet-18 at batch 2 has 60,845,888 live bytes on both devices, and a label is 8 more."""
    model = models.resnet18().eval()
    for twin, example in both_devices(model, torch.zeros(2, 3, 224, 224)):
        labels = torch.zeros(2, dtype=torch.int64, device=example.device)
        assert watch(twin, example)[1].peak_bytes == 60_845_888
        assert watch(twin, example, labels)[1].peak_bytes == 60_845_904


HALF, LAST = torch.bfloat16, torch.channels_last


@pytest.mark.parametrize(
    ("placement", "dtype", "memory_format"),
    [
        *((placement, torch.float32, torch.contiguous_format) for placement in PLACEMENTS),
        ("standard", torch.float32, LAST),
        ("standard", HALF, torch.contiguous_format),
        ("pre", HALF, LAST),
    ],
)
def test_meta_is_as_the_cpu(
    placement: Placement, dtype: torch.dtype, memory_format: torch.memory_format
) -> None:
    """In every placement, dtype and layout meta tensors show what the CPU does, byte for byte.

    Whether BatchNorm is folded or not.
    """
    trunk = models.resnet18(num_classes=10)
    model = with_se(trunk, SEConfig(placement, reduction=4)).eval()
    twin = meta_twin(model, dtype=dtype, memory_format=memory_format)
    model = model.to(dtype=dtype).to(memory_format=memory_format)
    example = torch.zeros(2, 3, 33, 33, dtype=dtype).to(memory_format=memory_format)
    for either in (lambda each: each, lambda each: fold(each, keep_state=False)):
        on_cpu, on_twin = watch(either(model), example), watch(either(twin), example.to("meta"))
        assert vars(on_cpu[0]) == vars(on_twin[0])
        assert on_cpu[1].peak_bytes == on_twin[1].peak_bytes


def test_modules_are_called_as_ever_afterwards() -> None:
    """A hook does not run in a forward on meta, and runs again after it."""
    twin, example = meta_twin(tiny_network()), torch.zeros(2, 3, 8, 8, device="meta")
    seen: list[nn.Module] = []
    first = twin.get_submodule("0")
    first.register_forward_hook(lambda module, args, output: seen.append(module))
    with on_meta(twin):
        twin(example)
    assert not seen
    twin(example)
    assert seen == [first]


def test_a_bare_module_as_a_container_leaves_all_others_callable() -> None:
    """Patching nn.Module itself would take the calls from every module there is."""

    class Boxed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.box = nn.Module()
            self.box.inner = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            inner: Tensor = self.box.get_submodule("inner")(x)
            return inner

    with on_meta(Boxed()):
        assert Boxed()(torch.zeros(2, device="meta")).shape == (2,)
    assert nn.Linear(2, 3)(torch.zeros(1, 2)).shape == (1, 3)


def test_remembered_answers_change_nothing() -> None:
    """A forward whose shapes were seen before makes the same calls as the first."""
    twin, example = meta_twin(tiny_network()), torch.zeros(7, 3, 8, 8, device="meta")
    first, second = Names(), Names()
    for names in (first, second):
        with on_meta(twin), Watch(names):
            twin(example)
    assert first.seen == second.seen
    assert "aten.convolution.default" in first.seen


def test_remembered_answer_is_a_tensor_of_its_own() -> None:
    """Two calls alike return two tensors: one may be overwritten without the other."""
    x = torch.zeros(3, device="meta")
    with on_meta(nn.Identity()):
        first, second = x.sigmoid(), x.sigmoid()
    assert first.untyped_storage()._cdata != second.untyped_storage()._cdata


def test_remembered_answers_tell_numbers_apart() -> None:
    """One and one point nought are the same key of a dictionary and not the same operand."""
    x = torch.zeros(3, dtype=torch.int64, device="meta")
    with on_meta(nn.Identity()):
        assert torch.add(x, 1).dtype == torch.int64
        assert torch.add(x, 1.0).dtype == torch.float32


def test_twin_takes_dtype_and_layout() -> None:
    """The twin is what ``to`` would make of the model, and has no storage on the CPU."""
    model = tiny_network()
    twin = meta_twin(model, dtype=torch.float16, memory_format=torch.channels_last)
    moved = tiny_network().to(dtype=torch.float16).to(memory_format=torch.channels_last)
    for name, tensor in moved.state_dict().items():
        like = twin.state_dict()[name]
        assert like.is_meta
        assert (like.shape, like.dtype) == (tensor.shape, tensor.dtype)
        assert like.stride() == tensor.stride()


def test_twin_leaves_the_model_alone() -> None:
    """Making a twin moves and shares nothing of the model."""
    model = tiny_network()
    meta_twin(model)
    assert all(parameter.device.type == "cpu" for parameter in model.parameters())
    assert next(model.parameters()).requires_grad


def test_a_twin_on_the_cpu_is_all_zeros() -> None:
    """Of meta tensors, too, in their dtype; what is there already is left as it is."""
    model = tiny_network()
    blank = blank_twin(meta_twin(model), "cpu")
    assert {name: (tensor.shape, tensor.dtype) for name, tensor in blank.state_dict().items()} == {
        name: (tensor.shape, tensor.dtype) for name, tensor in model.state_dict().items()
    }
    assert not any(tensor.any() for tensor in blank.state_dict().values())
    assert blank_twin(model, "cpu") is model
