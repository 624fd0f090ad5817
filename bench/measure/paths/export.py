"""ONNX files of trials: each is exported once, and kept for the runtimes that load it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path as FilePath
from tempfile import TemporaryDirectory

from torch import Tensor, nn

from bench.files import replacing
from bench.trial import ExecutorName, Trial
from se_models.export import to_onnx

# The executors that load an export.
RUNTIMES: tuple[ExecutorName, ...] = ("onnxruntime", "openvino")


class OnnxExport:
    """The ONNX file of one model, for the shape of its input.

    Args:
        file: where it is kept, or is to be; None keeps it only while it is loaded.

    Attributes:
        spared_s: how long it took to make the file that ``loadable`` found made.
    """

    def __init__(self, file: FilePath | None = None) -> None:
        self._file = file
        self.spared_s = 0.0

    @property
    def is_made(self) -> bool:
        return self._file is not None and self._file.exists()

    @contextmanager
    def loadable(self, model: nn.Module, example: Tensor) -> Iterator[FilePath]:
        """The file, exported unless it is there, and there as long as the context lasts."""
        if self._file is None:
            with TemporaryDirectory() as folder:
                file = FilePath(folder, "model.onnx")
                file.write_bytes(_exported(model, example))
                yield file
            return
        if self._file.exists():
            self.spared_s = float(self._seconds.read_text(encoding="ascii"))
        else:
            self.make(model, example)
        yield self._file

    def make(self, model: nn.Module, example: Tensor) -> None:
        """Export the model, and note how long that takes."""
        assert self._file is not None
        started = time.perf_counter()
        exported = _exported(model, example)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self._seconds) as draft:
            draft.write_text(repr(time.perf_counter() - started), encoding="ascii")
        with replacing(self._file) as draft:  # last, so that it is never without its time
            draft.write_bytes(exported)

    @property
    def _seconds(self) -> FilePath:
        assert self._file is not None
        return self._file.with_suffix(".seconds")


def export_of(trial: Trial, kept: FilePath | None) -> OnnxExport:
    """That of a trial, whatever runtime loads it; of a path that loads none it is never made.

    Args:
        trial: which is to run, with however many threads.
        kept: the folder in which files are kept, or None to keep none.
    """
    if kept is None or trial.path.executor not in RUNTIMES:
        return OnnxExport()
    name = hashlib.sha256(trial.plain.key.encode()).hexdigest()[:16]
    return OnnxExport(kept / f"{name}.onnx")


def _exported(model: nn.Module, example: Tensor) -> bytes:
    return to_onnx(model, example, any_batch=False)
