"""Tables for analysis: CSV row by row, and pandas and Arrow with typed columns.

pandas and Arrow are separate extras: neither needs the other.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timezone
from itertools import islice
from typing import Any, Final

from lms_archive.errors import LmsArchiveError
from lms_archive.tables.columns import Column, Kind, text_of
from lms_archive.tables.csv import Destination, write_csv

_BATCH: Final = 10_000
_TYPES: Final[Mapping[Kind, tuple[str, Callable[[Any], Any]]]] = {
    "text": ("string", lambda pa: pa.string()),
    "integer": ("Int64", lambda pa: pa.int64()),
    "number": ("Float64", lambda pa: pa.float64()),
    "flag": ("boolean", lambda pa: pa.bool_()),
    "time": ("datetime64[us, UTC]", lambda pa: pa.timestamp("us", tz="UTC")),
    "word": ("category", lambda pa: pa.dictionary(pa.int32(), pa.string())),
    "ids": ("object", lambda pa: pa.list_(pa.int64())),
}
"""For each kind of column its dtype in pandas, and its type in Arrow."""


class Table:
    """A table of rows with typed columns; an empty cell is null, never NaN; times are UTC."""

    __slots__ = ()

    def _table(self) -> tuple[Sequence[Column], Iterator[Mapping[str, Any]]]:
        """Return the columns, and an iterator over the rows."""
        raise NotImplementedError

    def to_csv(self, path: Destination) -> None:
        """Write the rows as CSV (UTF-8), one row in memory at a time.

        A cell that a spreadsheet would run as a formula begins with `'`, which `from_csv` removes.

        Args:
            path: the path of a file, or a file that is open for text.

        Raises:
            InvalidInputError: the file cannot be written; an existing file is left unchanged.
        """
        columns, rows = self._table()
        write_csv(path, [column.name for column in columns], rows)

    def to_pandas(self) -> Any:
        """Return the rows as a DataFrame; needs the extra `pandas`.

        Text columns have the dtype `string`, whole numbers `Int64`, numbers `Float64`, flags
        `boolean`, times `datetime64[us, UTC]`, and words are categories.

        Raises:
            LmsArchiveError: pandas is not installed.
        """
        pd = _extra("pandas", "pandas")
        columns, rows = self._table()
        values: list[list[Any]] = [[] for _ in columns]
        while batch := list(islice(rows, _BATCH)):
            for column, collected in zip(columns, values, strict=True):
                collected.extend(_cells(column, batch))
        series = {column.name: _series(pd, column, values.pop(0)) for column in columns}
        return pd.DataFrame(series, columns=list(series))

    def to_arrow(self) -> Any:
        """Return the rows as a `pyarrow.Table`, built batch by batch; needs the extra `arrow`.

        If the table is too large for memory, `pyarrow.RecordBatchReader.from_stream(this)` reads
        one batch of 10,000 rows at a time.

        Raises:
            LmsArchiveError: pyarrow is not installed.
        """
        return self._batches().read_all()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Stream the rows in batches to any library that reads Arrow (DuckDB, polars, ...)."""
        return self._batches().__arrow_c_stream__(requested_schema)

    def _batches(self) -> Any:
        pa = _extra("pyarrow", "arrow")
        columns, rows = self._table()
        schema = pa.schema([(column.name, _TYPES[column.kind][1](pa)) for column in columns])

        def batches() -> Iterator[Any]:
            while batch := list(islice(rows, _BATCH)):
                arrays = [
                    pa.array(_cells(column, batch), type=field.type)
                    for column, field in zip(columns, schema, strict=True)
                ]
                yield pa.record_batch(arrays, schema=schema)

        return pa.RecordBatchReader.from_batches(schema, batches())


def _extra(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        text = f"{module} is missing: pip install 'lms-archive[{extra}]'"
        raise LmsArchiveError(text) from None


def _cells(column: Column, rows: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Return the values of a column in the form that both libraries accept."""
    values = [row.get(column.name) for row in rows]
    if column.kind in ("text", "word"):
        return [text_of(value) for value in values]
    return values


def _series(pd: Any, column: Column, values: list[Any]) -> Any:
    if column.kind == "time":  # in microseconds: nanoseconds cannot hold the year 9999
        naive = [value and value.astimezone(timezone.utc).replace(tzinfo=None) for value in values]
        moments = _extra("numpy", "pandas").array(naive, dtype="datetime64[us]")
        return pd.Series(moments).dt.tz_localize("UTC")
    if column.kind != "word":
        return pd.Series(values, dtype=_TYPES[column.kind][0])
    others = sorted({value for value in values if value is not None} - {*column.words})
    return pd.Series(pd.Categorical(values, categories=[*column.words, *others]))
