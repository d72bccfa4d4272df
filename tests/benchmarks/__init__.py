"""How fast, how small, how few calls: `python -m tests.benchmarks`, from the repository's root."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # what the tests share, as virtual time
