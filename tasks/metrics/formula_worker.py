"""The process that ``formulas.py`` asks: a line ``["gold", "answer"]`` comes in, the byte 1 (equal) or 0 goes out."""

import json
import logging
import os
import resource
import signal
import sys

from tasks.core.process import end_with_parent

_MEMORY_BYTES = 4 << 30
_SECONDS = 5


class _TookTooLongError(BaseException):
    """Not an ``Exception``: computer algebra catches those."""


def _give_up(*_: object) -> None:
    raise _TookTooLongError


def main() -> None:
    """Say that it is ready, then answer until the other side closes the pipe."""
    replies = os.dup(1)
    os.dup2(2, 1)  # what a library prints is no reply
    end_with_parent()
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    from math_verify import LatexExtractionConfig, parse, verify

    logging.disable(logging.CRITICAL)  # it warns of every call without its own time-out

    def read(formula: str) -> list:
        # Only LaTeX: the other grammar, plain expressions, goes through Python's eval.
        return parse(f"${formula}$", [LatexExtractionConfig()], parsing_timeout=0)

    signal.signal(signal.SIGPROF, _give_up)  # after so much work, not time: what is equal must not depend on the machine's load
    os.write(replies, b"r")
    for line in sys.stdin:
        gold, answer = json.loads(line)
        try:
            signal.setitimer(signal.ITIMER_PROF, _SECONDS)
            equal = verify(read(gold), read(answer), timeout_seconds=None)
            signal.setitimer(signal.ITIMER_PROF, 0)
        except (Exception, _TookTooLongError):  # of any kind: a parser and computer algebra on a model's words
            signal.setitimer(signal.ITIMER_PROF, 0)
            equal = False
        os.write(replies, b"1" if equal else b"0")


if __name__ == "__main__":
    main()
