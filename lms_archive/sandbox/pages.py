"""Answer lists in pages, from a SELECT."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from sqlite3 import Row
from typing import Any

from attrs import define, field

from lms_archive.sandbox.answers import invalid
from lms_archive.sandbox.request import ApiRequest, Parameter

MAX_PAGE_SIZE = 200

PAGING = (
    Parameter("page", "query", "integer", default=1),
    Parameter("page_size", "query", "integer", default=20),
    Parameter("get_total_count", "query", "boolean"),
)
CURSOR = (
    Parameter("get_cursor", "query", "boolean"),
    Parameter("cursor", "query", "string"),
)
"""The parameters of enrollment and archived lists: with `get_cursor=1` the answer has a cursor, to
be sent with the next page."""


@define
class Select:
    """A SELECT that can be counted and paged. Its SQL is the sandbox's own; values are bound."""

    columns: str
    source: str
    order: str
    _conditions: list[str] = field(factory=list, init=False)
    _values: list[Any] = field(factory=list, init=False)

    def where(self, condition: str, *values: Any) -> None:
        """Keep only rows that meet *condition*."""
        self._conditions.append(condition)
        self._values += values

    def where_in(self, column: str, values: Sequence[Any] | None) -> None:
        """Keep only rows whose *column* is among *values*; None keeps all."""
        if values is not None:
            condition = f"{column} IN (SELECT value FROM json_each(?))"  # noqa: S608  see above
            self.where(condition, json.dumps(values))

    def where_contains(self, text: str | None, *columns: str) -> None:
        """Keep only rows with *text* somewhere in one of *columns*; None keeps all."""
        if text:
            condition = " OR ".join(f"instr(lower({column}), lower(?))" for column in columns)
            self.where(f"({condition})", *[text] * len(columns))

    def count(self, request: ApiRequest) -> int:
        """Return the number of all rows."""
        (total,) = request.db.execute(self._sql("COUNT(*)"), self._values).fetchone()
        return int(total)

    def rows(self, request: ApiRequest, page: int, size: int) -> list[Row]:
        """Return the rows of one page."""
        sql = f"{self._sql(self.columns)} ORDER BY {self.order} LIMIT ? OFFSET ?"
        return request.db.execute(sql, [*self._values, size, (page - 1) * size]).fetchall()

    def _sql(self, columns: str) -> str:
        conditions = " AND ".join(self._conditions) or "1"
        return f"SELECT {columns} FROM {self.source} WHERE {conditions}"  # noqa: S608  see above


def read_page(
    request: ApiRequest,
    select: Select,
    shape: Callable[[Row], dict[str, Any]] = dict,
    *,
    key: str = "items",
) -> dict[str, Any]:
    """Return one page of *select*, its rows under *key*, with the paging keys."""
    page, size = request.args["page"], request.args["page_size"]
    if page < 1:
        raise invalid("page", "page must be 1 or more")
    if not 1 <= size <= MAX_PAGE_SIZE:
        raise invalid("page_size", f"page_size must be between 1 and {MAX_PAGE_SIZE}")
    total, settings = select.count(request), request.settings
    items = [shape(row) for row in select.rows(request, page, size)]
    answer = {
        key: items,
        "count": len(items),
        "has_more_data": page * size < total or (settings.more_data_lies and bool(items)),
        "cursor": _cursor(request),
        "current_page": page,
        "current_page_size": size,
        "total_page_count": -(-total // size),
    }
    totals = settings.variant.totals
    if totals == "always" or (totals == "on_request" and request.args["get_total_count"]):
        answer["total_count"] = total
    return answer


def _cursor(request: ApiRequest) -> str | None:
    """Return the cursor of a list: it only identifies path and filters, and freezes nothing."""
    paging = {parameter.name for parameter in PAGING + CURSOR} - {"page_size"}
    filters = sorted((name, v) for name, v in request.args.items() if name not in paging)
    cursor = hashlib.sha256(json.dumps([request.path, filters]).encode()).hexdigest()[:32]
    sent = request.args.get("cursor")
    if sent not in (None, cursor):
        raise invalid("cursor", "this cursor belongs to another list or to other filters")
    return cursor if sent or request.args.get("get_cursor") else None
