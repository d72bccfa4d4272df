"""`python -m tests.model`: schedules of faults, played and judged."""

import sys
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
sys.exit(import_module("command").main())
