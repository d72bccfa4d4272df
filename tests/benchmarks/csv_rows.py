"""From a CSV file of a million rows to chunks of users, against pandas: CPU time and memory.

pandas reads the file, drops duplicates, groups by course and slices each group. We read it with a
reason for each row that cannot be used, sort it by target and cut it. Each side is a process of its
own. Needs the extra `bench`.
"""

import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .common import alternating, figure, in_child, peak

_COURSES, _USERS, _SIZE, _ROWS = 2_000, 300_000, 200, 1_000_000


def child(side: str, path: str) -> dict[str, Any]:
    """Measure one side."""
    read, cut = _pandas() if side == "pandas" else _ours()
    begun = time.process_time()
    chunks = cut(read(path))
    return {"seconds": time.process_time() - begun, "peak": peak(), "chunks": len(chunks)}


def _pandas() -> tuple[Callable[[str], Any], Callable[[Any], list[Any]]]:
    import pandas as pd  # noqa: PLC0415  only this side needs it

    def cut(frame: Any) -> list[Any]:
        return [
            (code, group.iloc[start : start + _SIZE].tolist())
            for code, group in frame.groupby("course_code", sort=False)["username"]
            for start in range(0, len(group), _SIZE)
        ]

    return lambda path: pd.read_csv(path, dtype=str).drop_duplicates(), cut


def _ours() -> tuple[Callable[[str], Any], Callable[[Any], list[Any]]]:
    from lms_archive.archive.planning.matching import merge_requested  # noqa: PLC0415  likewise
    from lms_archive.archive.selection.csv_file import read_csv  # noqa: PLC0415

    def cut(rows: Any) -> list[Any]:
        return [
            (target, users[start : start + _SIZE])
            for target, places in rows.by_target()
            for users in [list(dict.fromkeys(merge_requested([(0, rows, places)]).users))]
            for start in range(0, len(users), _SIZE)
        ]

    return read_csv, cut


def main() -> None:
    """Compare by turns."""
    rng = random.Random(8)  # noqa: S311  no secret
    last: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "million.csv")
        with path.open("w", encoding="utf-8") as file:
            file.write("username,course_code\n")
            file.writelines(
                f"learner{rng.randrange(_USERS):06d}@example.com,"
                f"COURSE-{rng.randrange(_COURSES):04d}\n"
                for _ in range(_ROWS)
            )

        def measure(side: str) -> Callable[[], float]:
            def once() -> float:
                last[side] = in_child("csv_rows", side, path)
                return float(last[side]["seconds"])

            return once

        took = alternating({side: measure(side) for side in ("pandas", "ours")}, rounds=3)
    if last["ours"]["chunks"] != last["pandas"]["chunks"]:
        raise RuntimeError(f"the sides do not cut alike: {last}")
    figure("a million rows: CPU time, of pandas'", took["ours"] / took["pandas"], goal="<= 1.2")
    figure("a million rows: peak memory", last["ours"]["peak"], "MiB", goal="<= 250")
