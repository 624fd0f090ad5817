"""A process that answers commands over its pipes, whatever it holds between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import BinaryIO

from bench.protocol import Command, Ready, Reply, decode_command, encode


def serve(
    greeting: Reply,
    answer: Callable[[Command], Iterable[Reply]],
    commands: BinaryIO,
    replies: BinaryIO,
) -> None:
    """Answer until the other side closes its end, as it does when it is killed.

    Args:
        greeting: what the process says of itself once it is ready.
        answer: to a command, each reply as soon as it is there; Ready follows the last.
        commands: the pipe from the other side.
        replies: the pipe to it.
    """
    replies.write(encode(greeting) + encode(Ready()))
    replies.flush()
    for line in commands:
        for reply in answer(decode_command(line)):
            replies.write(encode(reply))
            replies.flush()
        replies.write(encode(Ready()))
        replies.flush()
