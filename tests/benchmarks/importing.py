"""Importing lms_archive, against importing requests: CPU time, in new processes by turns.

The front door loads what is behind a name when it is first asked for, so that the price of a
name is told too: that of a client, and that of every name at once.
"""

import subprocess
import sys
from collections.abc import Callable

from .common import ROOT, alternating, figure

_CODE = "import time; t = time.process_time(); {0}; print(time.process_time() - t)"
_ROUNDS = 21


def _seconds(names: str) -> Callable[[], float]:
    command = [sys.executable, "-c", _CODE.format(names)]
    return lambda: float(subprocess.check_output(command, cwd=ROOT, text=True))  # noqa: S603


def main() -> None:
    """Import by turns."""
    sides = {
        "requests": "import requests",
        "the four dependencies": "import requests, attrs, cattrs, backoff",
        "lms_archive": "import lms_archive",
        "a client": "from lms_archive import Client",
        "all names": "from lms_archive import *",
    }
    took = alternating({name: _seconds(names) for name, names in sides.items()}, _ROUNDS)
    for name, seconds in took.items():
        figure(f"{name}: CPU time", seconds * 1000, "ms")
    for name in list(sides)[1:]:
        goal = "<= 1.6" if name == "lms_archive" else ""
        figure(f"{name}, of import requests", took[name] / took["requests"], goal=goal)
