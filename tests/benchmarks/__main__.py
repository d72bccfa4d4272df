"""Run the benchmarks: all of them, or those named.

Each prints ratios measured in one run: sides alternate, and medians of several rounds count.
"""

import sys
from importlib import import_module

from .common import say

NAMES = ("calls", "csv_rows", "structure", "importing", "ledger_share", "job")


def main(names: list[str]) -> int:
    """Run them one after the other; 2 where a name is unknown."""
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        say(f"no benchmark {', '.join(unknown)}; there are: {', '.join(NAMES)}")
        return 2
    for name in names or NAMES:
        module = import_module(f"{__package__}.{name}")
        say(f"{name}: {(module.__doc__ or name).splitlines()[0]}")
        module.main()
        say("")
    return 0


sys.exit(main(sys.argv[1:]))
