"""What docs/gpu.md shows: the kernels' resources, and predictions beside what others publish."""

from __future__ import annotations

import pandas as pd

from bench.documents.markdown import table

# What timm calls its runs of inference on GPUs, and the path that each takes as far as it can be
# told. None stands for one that is not predicted.
_SETUPS = {
    ("RTX 3090", "amp nchw torch 2.4"): "eager",
    ("RTX 3090", "amp nhwc torch 2.4"): "eager",
    ("RTX 4090", "amp nchw eager torch 2.9"): "eager",
    ("RTX 4090", "amp nchw torch.compile torch 2.9"): None,
    ("RTX 5090", "torch.compile"): None,
}
_NETWORKS = ("resnet18", "resnet50", "resnet101")
BATCH = 256
_OVERHEADS = ("predicted_overhead_pct", "predicted_overhead_low_pct", "predicted_overhead_high_pct")


def cubins(frame: pd.DataFrame) -> str:
    """A line per kernel: registers by architecture and dtype, shared memory, wide accesses.

    Args:
        frame: rows of ``cubins.csv``, as `bench.measure.cubins` writes them.
    """
    names = frame["kernel"].str.replace(r"_(pixels\w*)<(4|8)>", r"_\1<wide>", regex=True)
    frame = frame.assign(kernel=names)
    dtypes = list(frame["dtype"].drop_duplicates())
    lines = []
    for kernel, rows in frame.groupby("kernel", sort=False):
        registers = rows.groupby("architecture", sort=False)["registers"].agg(
            lambda values: "/".join(map(str, values))
        )
        lines.append(
            {
                "kernel": f"`{kernel}`",
                **registers.to_dict(),
                "shared bytes": str(rows["shared_bytes"].max()),
                "LDG.128": _span(rows["wide_loads"]),
                "STG.128": _span(rows["wide_stores"]),
            }
        )
    spilt = int(frame["spill_bytes"].sum() + frame["local_accesses"].sum())
    divisions = int(frame["divides_64_bits"].sum())
    kernels = pd.DataFrame(lines)
    versions = ", ".join(frame["nvrtc"].drop_duplicates())
    return (
        f"By NVRTC {versions}: registers a thread, for maps of {'/'.join(dtypes)}; "
        "shared memory is the most of all, and accesses of sixteen bytes are counted as "
        "instructions, least to most over dtypes and architectures. Over all "
        f"{len(frame)} compiled kernels {spilt} bytes or instructions "
        f"of spills and local memory, {divisions} divisions of 64 bits.\n\n"
        f"{table(kernels)}\n"
    )


def emulated(frame: pd.DataFrame) -> str:
    """The most that each operator's results are off float64, a column for each dtype.

    Args:
        frame: rows of ``emulated.csv``, as the tests' emulator leaves them.
    """
    lines = [
        {
            "operator": f"`{operator}`",
            **{str(row["dtype"]): _error(row) for _, row in rows.iterrows()},
        }
        for operator, rows in frame.groupby("operator", sort=False)
    ]
    worst = frame.groupby("dtype", sort=False)["error"].max()
    most = ", ".join(f"{error:.1e} of {dtype}" for dtype, error in worst.items())
    return (
        "Off float64 at most on the CPU, as max|a - b| over a unit that is told below, beside what "
        f"is allowed; over shapes, layouts, epilogues and alignments. Of all operators {most}.\n\n"
        f"{table(pd.DataFrame(lines))}\n"
    )


def predicted(frame: pd.DataFrame, published: pd.DataFrame) -> str:
    """Predicted SE overheads beside those that timm publishes.

    Args:
        frame: rows of ``predicted.csv``, as `bench.measure.predict` writes them.
        published: extra time of SE-ResNets by device and setup, in percent.
    """
    lines = []
    for (gpu, setup), path in _SETUPS.items():
        row = published[(published["device"] == gpu) & (published["setup"] == setup)].iloc[0]
        for network in _NETWORKS:
            measured = float(row[f"{network}_pct"])
            line = {"GPU": gpu, "setup": setup, "network": network}
            line["published, %"] = f"{measured:.1f}"
            if path is not None:
                ours = frame[
                    (frame["gpu"] == gpu)
                    & (frame["architecture"] == network)
                    & (frame["batch"] == BATCH)
                    & (frame["placement"] == "standard")
                ].set_index("path")
                said, least, most = (float(ours[name][path]) for name in _OVERHEADS)
                line["predicted, %"] = f"{said:.1f}"
                line["least to most"] = f"{least:.1f} to {most:.1f}"
                line["off by"] = f"{said - measured:+.1f}"
                line["fused, predicted, %"] = (
                    f"{float(ours['predicted_overhead_pct']['fused']):.1f}"
                )
            lines.append(line)
    rows = table(pd.DataFrame(lines).fillna("–"))
    return f"At batch {BATCH}, all of it predicted but what is published:\n\n{rows}\n"


def _error(row: pd.Series) -> str:
    return f"{row['error']:.1e} of {row['limit']:.0e}"


def _span(values: pd.Series) -> str:
    least, most = int(values.min()), int(values.max())
    return str(least) if least == most else f"{least} to {most}"
