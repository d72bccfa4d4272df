"""`python -m tests.crash [word ...]`: kill at every point of every scenario, or of those named."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from crash.kills import HEADING, Report, run


def main() -> int:
    """Print the counts of each scenario and of all; 1 where one that must be zero is not."""
    total = Report("all")
    print(HEADING, flush=True)  # noqa: T201  what this command is for
    for report in run(sys.argv[1:]):
        print(report, flush=True)  # noqa: T201
        for name in ("points", "kills", "resumes"):
            setattr(total, name, getattr(total, name) + getattr(report, name))
        total.tally.add(report.tally)
    print(total, *total.tally.words, sep="\n")  # noqa: T201
    return 1 if total.tally.words else 0


if __name__ == "__main__":
    sys.exit(main())
