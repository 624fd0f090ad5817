"""The command line of the models: ``python -m se_models export``.

A command imports what it needs when it runs, so that ``--help`` is instant.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from se_models import flags
from se_models.config import ARCHITECTURES, PLACEMENTS, STAGES, SEConfig, check_positive

if TYPE_CHECKING:
    from torchvision.models import ResNet

_EXPORT = """\
Write a ResNet, or one of its stages alone, as an ONNX file.

The file's input is `input`, its output `output`, and the batch is dynamic. It
is run in onnxruntime and compared with PyTorch at three batch sizes before it
is kept: the largest difference is printed. One that fails is not kept, and what
lay in its place stays as it was.
"""
_EXAMPLES = """\
examples:
  %(prog)s se_resnet18.onnx                              SE as published
  %(prog)s post.onnx --architecture resnet50 --placement post --reduction 8
  %(prog)s layer3.onnx --part layer3 --stages 3          one stage alone
  %(prog)s last.onnx --stages 3+4 --blocks last --min-hidden 32
  %(prog)s mine.onnx --state-dict trained.pt --classes 10
  %(prog)s pretrained.onnx --placement none --weights DEFAULT

exit codes: 0 the file is there; 1 it could not be made, or was wrong; 2 wrong usage
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0, 1 (it failed), 2 (wrong usage) or 130 (Ctrl-C)."""
    parser = _parser()
    options = parser.parse_args(arguments)
    named = f"{parser.prog} {options.name}"
    try:
        return _export(options)
    except ValueError as error:
        print(f"{named}: error: {_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        print(f"{named}: {_noted('interrupted; no file was written', error)}", file=sys.stderr)
        return 130
    except ImportError as error:
        print(f"{named}: {error}: pip install 'se-bench[onnx]'", file=sys.stderr)
        return 1
    except (RuntimeError, OSError) as error:
        print(f"{named}: {_noted(_line(error), error)}", file=sys.stderr)
        return 1


def _line(error: Exception) -> str:
    """What an error says, in a line; PyTorch's may list hundreds of names."""
    return textwrap.shorten(str(error), 300, placeholder=" ...")


def _noted(line: str, error: BaseException) -> str:
    """With what is noted of the error, whole."""
    return "; ".join((line, *getattr(error, "__notes__", ())))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m se_models",
        description="ResNets with Squeeze-and-Excitation in every placement.",
    )
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")
    export = commands.add_parser(
        "export",
        help="write an ONNX file, checked by running it",
        description=_EXPORT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    export.add_argument("file", type=Path, help="where to write; is overwritten")
    export.add_argument(
        "--architecture", choices=ARCHITECTURES, default="resnet18", metavar="NAME",
        help=f"from {', '.join(ARCHITECTURES)} (default: %(default)s)",
    )  # fmt: skip
    export.add_argument(
        "--placement", choices=PLACEMENTS, default="standard", metavar="NAME",
        help=f"from {', '.join(PLACEMENTS)} (default: %(default)s)",
    )  # fmt: skip
    export.add_argument("--reduction", type=int, default=16, help="(default: %(default)s)")
    export.add_argument(
        "--stages", type=flags.stages, default=STAGES, metavar="LIST",
        help="which stages carry SE: all, or layer numbers joined by + (default: all)",
    )  # fmt: skip
    export.add_argument(
        "--blocks", type=flags.blocks, default="all", metavar="LIST",
        help="which blocks of a stage: all, last, or indices joined by +, as in 0+1 (default: all)",
    )  # fmt: skip
    export.add_argument(
        "--min-hidden", type=int, default=1, metavar="WIDTH",
        help="least width of SE's bottleneck (default: %(default)s)",
    )  # fmt: skip
    export.add_argument(
        "--no-bias", dest="bias", action="store_false", help="SE's layers have no biases"
    )
    export.add_argument(
        "--part", choices=("model", *(f"layer{stage}" for stage in STAGES)), default="model",
        metavar="NAME", help="model, or one stage alone: layer1 to layer4 (default: %(default)s)",
    )  # fmt: skip
    export.add_argument(
        "--size", type=int, default=224, metavar="PX",
        help="of the images (default: %(default)s); a stage's input follows from it",
    )  # fmt: skip
    export.add_argument("--classes", type=int, default=1000, help="(default: %(default)s)")
    values = export.add_mutually_exclusive_group()
    values.add_argument(
        "--weights", metavar="NAME",
        help="torchvision's weights for the trunk, such as DEFAULT (default: random ones)",
    )  # fmt: skip
    values.add_argument(
        "--state-dict", type=Path, metavar="FILE", help="a state dict of the whole model"
    )
    return parser


def _export(options: argparse.Namespace) -> int:
    from se_models.export import check_file, check_size, export

    check_file(options.file)  # before time goes into a model
    check_size(options.size)
    model = _model(options)
    stage = None if options.part == "model" else options.part
    check = export(model, options.file, stage=stage, size=options.size)
    told = ", ".join(f"{off:.1e} at {batch}" for batch, off in check.differences.items())
    print(f"{check.path}: input (batch, {', '.join(map(str, check.shape))})")
    print(
        f"onnxruntime differs from PyTorch by {check.largest:.1e} at most, as max|a-b| / max|b| "
        f"({told} images)"
    )
    return 0


def _model(options: argparse.Namespace) -> ResNet:
    import torch

    import se_models
    from se_models.untrained import settle

    config = SEConfig(
        options.placement, options.reduction, options.stages, options.blocks, options.min_hidden,
        options.bias,
    )  # fmt: skip
    constructor = getattr(se_models, options.architecture)
    check_positive("classes", options.classes)
    torch.manual_seed(0)
    try:
        model: ResNet = constructor(weights=options.weights, se=config, num_classes=options.classes)
    except KeyError:
        raise ValueError(
            f"weights must be a name of torchvision's for {options.architecture}, "
            f"got {options.weights!r}"
        ) from None
    if options.state_dict is not None:
        _load(model, options.state_dict)
    elif options.weights is None:
        print(
            "no weights were asked for: they are random, and calm, so that the file can be checked"
        )
        settle(model, torch.randn(4, 3, options.size, options.size))
    return model.eval()


def _load(model: ResNet, path: Path) -> None:
    """Load a file's state dict.

    Raises:
        ValueError: if it holds none, or that of another model.
        OSError: if it cannot be read.
    """
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception:
        # Bytes that are no such file raise anything, as the unpickler stumbles over them. What
        # it says of others is a page on how to trust them all the same.
        raise ValueError(
            f"state-dict must be a file of tensors alone that torch.save wrote, got {path}"
        ) from None
    try:
        model.load_state_dict(state)
    except (TypeError, RuntimeError) as error:
        raise ValueError(f"state-dict must be of the model that is asked for: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
