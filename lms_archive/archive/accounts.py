"""What a ledger tells of its rows, read as it is iterated, without holding the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lms_archive.archive.entries import row_to_outcome
from lms_archive.archive.ledger import LATEST, reading
from lms_archive.archive.outcomes import Outcome

__all__ = ["asked_in", "outcomes_in"]


def outcomes_in(path: Path, kind: str | None = None) -> Iterator[Outcome]:
    """The outcomes that a ledger holds, in input order, one in memory at a time."""
    where = "" if kind is None else " AND kind = ?"
    with reading(path) as database:
        rows = database.execute(
            f"{LATEST}{where} ORDER BY row",
            () if kind is None else (kind,),
        )
        for row in rows:
            yield row_to_outcome(row)


def asked_in(path: Path) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """The kind of target, and the row as given, of every row that the ledger accounts for."""
    with reading(path) as database:
        for (asked,) in database.execute("SELECT asked FROM outcomes ORDER BY row"):
            one = json.loads(asked)
            yield one["target"] and one["target"][0], one["row"]
