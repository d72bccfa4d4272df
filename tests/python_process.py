"""Another Python, for what only a whole process shows."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


def run_python(
    *arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python, where warnings are errors; return how it ended and what it printed.

    None of our own variables is in its environment, unless *env* has it.
    """
    inherited = {name: x for name, x in os.environ.items() if not name.startswith("LMS_ARCHIVE_")}
    return subprocess.run(  # noqa: S603  our own words
        [sys.executable, "-W", "error", *arguments],
        env={**inherited, **(env or {})},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
