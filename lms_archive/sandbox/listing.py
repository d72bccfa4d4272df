"""Lists: the platform's paging over one SELECT."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from sqlite3 import Row
from typing import Any

from lms_archive.sandbox.ask import Ask, Parameter
from lms_archive.sandbox.refusal import invalid

MAX_PAGE_SIZE = 200

PAGING = (
    Parameter("page", "query", "integer", default=1),
    Parameter("page_size", "query", "integer", default=20),
)
#: Of enrollment and archived lists: with `get_cursor=1` the answer carries a cursor, to be
#: passed with the next page (2017 + seen).
CURSOR = (
    Parameter("get_cursor", "query", "boolean"),
    Parameter("cursor", "query", "string"),
)


@dataclass(slots=True)
class Select:
    """A SELECT to be counted and paged. The texts are the sandbox's own, values are bound."""

    columns: str
    source: str
    order: str
    _where: list[str] = field(default_factory=list)
    _values: list[Any] = field(default_factory=list)

    def where(self, condition: str, *values: Any) -> None:
        """Keep only rows that meet `condition`."""
        self._where.append(condition)
        self._values += values

    def where_in(self, column: str, values: list[Any] | None) -> None:
        """Keep only rows whose `column` is one of `values`; None keeps all."""
        if values is not None:
            one_of = f"{column} IN (SELECT value FROM json_each(?))"  # noqa: S608  # see above
            self.where(one_of, json.dumps(values))

    def where_found(self, text: str | None, *columns: str) -> None:
        """Keep only rows with `text` somewhere in one of `columns`; None keeps all."""
        if text:
            found = " OR ".join(f"instr(lower({column}), lower(?))" for column in columns)
            self.where(f"({found})", *[text] * len(columns))

    def count(self, ask: Ask) -> int:
        """Return how many rows there are in all."""
        (total,) = ask.db.execute(self._sql("COUNT(*)"), self._values).fetchone()
        return int(total)

    def rows(self, ask: Ask, page: int, size: int) -> list[Row]:
        """Return the rows of one page."""
        sql = f"{self._sql(self.columns)} ORDER BY {self.order} LIMIT ? OFFSET ?"
        return ask.db.execute(sql, [*self._values, size, (page - 1) * size]).fetchall()

    def _sql(self, columns: str) -> str:
        where = " AND ".join(self._where) or "1"
        return f"SELECT {columns} FROM {self.source} WHERE {where}"  # noqa: S608  # see above


def listing(
    ask: Ask, select: Select, shape: Callable[[Row], dict[str, Any]] = dict, *, key: str = "items"
) -> dict[str, Any]:
    """Answer one page of `select`, its rows under `key`, with the paging keys (2017 + seen)."""
    page, size = ask.args["page"], ask.args["page_size"]
    if page < 1:
        raise invalid("page", "page must be 1 or more")
    if not 1 <= size <= MAX_PAGE_SIZE:
        raise invalid("page_size", f"page_size must be between 1 and {MAX_PAGE_SIZE}")
    total = select.count(ask)
    items = [shape(row) for row in select.rows(ask, page, size)]
    more = page * size < total or (ask.settings.more_data_lies and bool(items))
    return {
        key: items,
        "count": len(items),
        "has_more_data": more,
        "cursor": _cursor(ask),
        "current_page": page,
        "current_page_size": size,
        "total_page_count": -(-total // size),
        "total_count": total,
    }


def _cursor(ask: Ask) -> str | None:
    """Return the cursor of this walk: it only names path and filters, and freezes nothing."""
    paging = {parameter.name for parameter in PAGING + CURSOR} - {"page_size"}
    walk = [ask.path, sorted((k, v) for k, v in ask.args.items() if k not in paging)]
    cursor = hashlib.sha256(json.dumps(walk).encode()).hexdigest()[:32]
    given = ask.args.get("cursor")
    if given not in (None, cursor):
        raise invalid("cursor", "this cursor is not of this list with these filters")
    return cursor if given or ask.args.get("get_cursor") else None
