"""What ``--help`` teaches of each command."""

from __future__ import annotations

DESCRIPTION = """\
What Squeeze-and-Excitation costs on this machine, and which way of it to choose.

Counts parameters, arithmetic, bytes and operators of ResNets with SE in every
placement and at every reduction ratio, and measures their memory and their
latency, each in pairs against the same network without SE.
"""
RUN = """\
Measure the grid; leave records, tables and plots in --out.

A run that was stopped goes on where it stood when started again with the same
flags. Overheads are measured in rounds that run each variant, the plain trunk
and a control (a second trunk) once, by several worker processes, until the
intervals are narrow enough or the budget ends.
"""
RUN_EXAMPLES = """\
examples:
  %(prog)s                                     ResNet-18, all placements and ratios
  %(prog)s --architectures resnet50 --placements standard,inner --batch 1,8
  %(prog)s --stages all,4,3+4 --reductions 16  SE late in the network, or everywhere
  %(prog)s --precision 0.5 --budget 30m        narrower intervals
  %(prog)s --reductions 16 --paths eager,folded,fused,compile,openvino
"""
LIST_EXAMPLES = """\
examples:
  %(prog)s                                    what `run` measures if not told otherwise
  %(prog)s --architectures resnet50 --batch 1,8
"""
READ_EXAMPLES = """\
examples:
  %(prog)s                                    from the latest records
  %(prog)s --out results/cpu                  from others
"""
COMPARE = """\
Compare B with A: two trials of the run in --out, or two runs.

Two trials that were measured in one block met in the same rounds, and are
compared there. All else is compared by its overhead over the plain trunk, never
by absolute times. What would not mean anything is refused, and the reason names
what differs: two trials of different settings, two runs on different machines.
Counts (parameters, multiply-adds, bytes, operators, memory) are exact, and are
shown for any two trials.

The verdict is slower, not slower or undecided, of B against A: to ask whether A
is the slower one, swap them.
"""
COMPARE_EXAMPLES = """\
examples:
  %(prog)s none standard-r16                   what SE adds to the plain trunk
  %(prog)s standard-r16 post-r16               two placements
  %(prog)s standard-r16 standard-r16-layer4 --out results/cpu
  %(prog)s none@fused standard-r16@fused       the same by another path
  %(prog)s resnet50/standard-r16 resnet50/inner-r16 --json change.json
  %(prog)s results/before results/after        two versions, on one machine
  %(prog)s results/local/records.1.jsonl results/local --csv change.csv

exit codes: 0 compared, whatever the verdict; 2 refused, or wrong usage
"""
EXPORT = """\
Write the run in --out as JSON that another tool reads.

pytest-benchmark: its own JSON, every trial by its raw times, with the paired
overhead in extra_info; for `pytest-benchmark compare` and services that read it.
github-action-benchmark: tool customSmallerIsBetter; latency and time over the trunk
with their intervals, memory and multiply-adds, each in its own unit.
"""
EXPORT_EXAMPLES = """\
examples:
  %(prog)s --to pytest-benchmark
  %(prog)s --to github-action-benchmark --out results/cpu --file bench.json
"""
HISTORY = """\
Follow every variant from run to run, and find where its numbers changed.

Gathers all runs below some folders, or the versions of one that git holds, into
one table, and draws a picture per quantity. A change is a new level that two runs
or more agree on, larger than their intervals and what neighbours differ by; of
counts it is any difference. Where the machine or a package changed the line
breaks, and absolute times are drawn but never judged: compare overheads.
"""
HISTORY_EXAMPLES = """\
examples:
  %(prog)s                                     all that lies below results
  %(prog)s nightly --trials standard-r16,inner-r16
  %(prog)s --git results/cpu --quantities overhead,macs
"""
SELFCHECK = """\
Check the fast path on a device, then measure it there.

Versions, every kernel against float64, fused networks of every placement, a
stream of its own, a captured forward replayed with changing inputs, two of either
at once, NVIDIA's compute-sanitizer where it is installed: the first check that
fails ends all. Only then ResNet-18 and -50 are measured into --out, ready to be
committed: eager and fused, each also as a CUDA graph, in both layouts, float16 at
batch 1 and 256.

The checks are expected to take minutes, most of them compute-sanitizer's, and are
ended after 75. Measuring latency takes about 37 minutes, or what --budget allows;
counting and weighing come on top. On the CPU it is less: float32 at batch 1 and 8.
"""
SELFCHECK_EXAMPLES = """\
examples:
  %(prog)s                                     on the CUDA device that is there
  %(prog)s --device cpu --checks-only

exit codes: 0 all is right; 1 something is wrong; 2 there is no such device, or wrong
usage
"""
EXACT = """\
Hold what can be counted against a committed baseline: an exact gate.

Parameters, multiply-adds, element-wise operations, ideal bytes, operators and
live bytes of ResNet-18 and -50 in every placement, as written and fused, and the
graphs that torch's compiler makes of them. They follow from shapes alone, so
that any machine will do and any difference is real. A variant that vanished or
appeared is a difference too.
"""
EXACT_EXAMPLES = """\
examples:
  %(prog)s                                     compare with results/baseline
  %(prog)s --update                            make the baseline anew, to be committed

exit codes: 0 all is as it was; 1 something differs, and nothing else; 2 it could not
be counted, there is no baseline, or wrong usage
"""
GATE = """\
Hold the times of this source against another revision's: a gate for CI.

Processes of the base and of this source take turns in random order, on the same
machine in the same minutes, beside second processes of the base, the control: what
two processes of the same source differ by fails no build. Several such triples
are started, and what looks slower by more than the threshold is measured again
by fresh ones before it counts. The base is where this branch left --base.
"""
GATE_EXAMPLES = """\
examples:
  %(prog)s --base origin/main                  every placement, as written and fused
  %(prog)s --base HEAD~3 --placements standard,inner --paths eager --budget 3m
  %(prog)s --base v1.2 --threshold 5           only what is 5 %% slower counts
  %(prog)s --base main --factory my_models.speed:small --factory my_models.speed:large

Your own: a factory is called without arguments, and returns a tuple of a model and
its inputs, or a callable without arguments that runs one forward. Its package is
taken from both revisions.

exit codes: 0 nothing has regressed; 1 something has, or no longer runs; 2 it could
not be compared, and a line says why; 130 interrupted
"""
