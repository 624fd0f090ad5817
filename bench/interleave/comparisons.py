"""Which benchmarks of a session are compared with which, and who rides along as control."""

from __future__ import annotations

from collections.abc import Sequence

from bench.interleave.job import Job


class Comparisons:
    """The benchmarks that named a baseline.

    Attributes:
        controls: a second copy of every baseline, to be measured beside it.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._named = [job for job in jobs if job.baseline]
        self._baselines = {id(job): _find(job, jobs) for job in self._named}
        baselines = {id(base): base for base in self._baselines.values() if base}
        self._controls = {key: base.twin() for key, base in baselines.items()}

    @property
    def controls(self) -> list[Job]:
        return list(self._controls.values())

    def conclude(self) -> list[str]:
        """Note what was found in each ``extra_info``; a line for each that has a baseline.

        Statistics are imported where there is something to compare.
        """
        if not self._named:
            return []
        from bench.interleave.overhead import Paired, overheads

        pairs: list[tuple[Job, Paired]] = []
        lines = []
        for job in self._named:
            base = self._baselines[id(job)]
            if base is None:
                lines.append(f"{job.item.name}: no benchmark {job.baseline!r} in this session")
            elif job.failure or base.failure:
                lines.append(f"{job.item.name}: it or its baseline failed")
            else:
                control = self._controls[id(base)]
                names = (job.item.name, base.item.name)
                turns = (_per_call(job), _per_call(base), _per_call(control))
                pairs.append((job, Paired(*names, *turns)))
        found = overheads([pair for _, pair in pairs])
        for (job, pair), overhead in zip(pairs, found, strict=True):
            if overhead is None:
                lines.append(f"{pair.name}: no round in which {pair.baseline} took a turn too")
                continue
            job.metadata.extra_info.update(overhead.as_extra_info())
            lines.append(str(overhead))
        return lines


def _per_call(job: Job) -> list[list[float] | None]:
    """Seconds of one call, where a sample is of many."""
    calls = job.metadata.iterations
    return [turn and [sample / calls for sample in turn] for turn in job.turns]


def _find(job: Job, jobs: Sequence[Job]) -> Job | None:
    """The baseline by its node id, or by its test's name: in the same file first."""
    named = [
        other
        for other in jobs
        if other is not job and job.baseline in (other.item.nodeid, other.item.name)
    ]
    near = [other for other in named if other.item.path == job.item.path]
    return next(iter([*near, *named]), None)
