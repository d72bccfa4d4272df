"""Tables for analysis: CSV row by row, pandas and Arrow with the types of the columns."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timezone
from itertools import islice
from typing import Any, Final

from lms_archive.errors import LmsArchiveError
from lms_archive.records.columns import Column
from lms_archive.records.spreadsheet import write_csv

__all__ = ["Table"]

_BATCH: Final = 10_000
_PANDAS: Final = {
    "text": "string",
    "integer": "Int64",
    "number": "Float64",
    "flag": "boolean",
    "ids": "object",
}


class Table:
    """Rows of named, typed columns; what is empty is null, never NaN, and times are in UTC."""

    __slots__ = ()

    def _columns(self) -> Sequence[Column]:
        raise NotImplementedError

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        raise NotImplementedError

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the rows as CSV (UTF-8), one row in memory at a time.

        Cells that a spreadsheet would run are written with a `'` before them; `from_csv` takes
        it off the file of outcomes again.
        """
        columns = self._columns()
        lists = [column.name for column in columns if column.kind == "ids"]
        write_csv(path, [column.name for column in columns], _joined(self._rows(), lists))

    def to_pandas(self) -> Any:
        """The rows as a DataFrame; needs the extra `pandas`.

        Texts are `string`, whole numbers `Int64`, numbers `Float64`, flags `boolean`, times
        `datetime64[us, UTC]`, words of which there are few categories.

        Raises:
            LmsArchiveError: pandas is not installed.
        """
        pd = _extra("pandas", "pandas")
        columns = self._columns()
        cells: dict[str, list[Any]] = {column.name: [] for column in columns}
        filled = tuple(cells.items())
        for row in self._rows():
            for name, into in filled:
                into.append(row.get(name))
        made = {column.name: _series(pd, column, cells.pop(column.name)) for column in columns}
        return pd.DataFrame(made, columns=list(made))

    def to_arrow(self) -> Any:
        """The rows as a `pyarrow.Table`, made batch by batch; needs the extra `arrow`.

        Where even that is too large, `pyarrow.RecordBatchReader.from_stream(this)` gives one
        batch of 10,000 rows at a time.

        Raises:
            LmsArchiveError: pyarrow is not installed.
        """
        return self._batches().read_all()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The rows as a stream of batches, for whatever speaks Arrow (DuckDB, polars, ...)."""
        return self._batches().__arrow_c_stream__(requested_schema)

    def _batches(self) -> Any:
        pa = _extra("pyarrow", "arrow")
        columns = self._columns()
        types = [_arrow_type(pa, column) for column in columns]
        names = [column.name for column in columns]
        schema = pa.schema(list(zip(names, types, strict=True)))

        def batches() -> Iterator[Any]:
            rows = iter(self._rows())
            while part := list(islice(rows, _BATCH)):
                arrays = [
                    _array(pa, column, kind, [row.get(column.name) for row in part])
                    for column, kind in zip(columns, types, strict=True)
                ]
                yield pa.record_batch(arrays, schema=schema)

        return pa.RecordBatchReader.from_batches(schema, batches())


def _extra(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        text = f"{module} is missing: pip install 'lms-archive[{extra}]'"
        raise LmsArchiveError(text) from None


def _joined(rows: Iterable[Mapping[str, Any]], lists: Sequence[str]) -> Iterable[Mapping[str, Any]]:
    if not lists:
        return rows
    return ({**row, **{name: _ids(row.get(name)) for name in lists}} for row in rows)


def _ids(value: Any) -> str | None:
    return None if value is None else ",".join(map(str, value))


def _text(value: Any) -> str | None:
    """The text as UTF-8 can hold it: half a character is shown escaped."""
    if value is None:
        return None
    text = str(value)
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _series(pd: Any, column: Column, values: list[Any]) -> Any:
    if column.kind == "time":  # by way of microseconds, which hold the year 9999
        naive = [value and value.astimezone(timezone.utc).replace(tzinfo=None) for value in values]
        moments = _extra("numpy", "pandas").array(naive, dtype="datetime64[us]")
        return pd.Series(moments).dt.tz_localize("UTC")
    if column.kind in ("text", "word"):
        values = [_text(value) for value in values]
    if column.kind != "word":
        return pd.Series(values, dtype=_PANDAS[column.kind])
    more = sorted({value for value in values if value is not None} - {*column.words})
    return pd.Series(pd.Categorical(values, categories=[*column.words, *more]))


def _arrow_type(pa: Any, column: Column) -> Any:
    types = {
        "text": pa.string(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "flag": pa.bool_(),
        "time": pa.timestamp("us", tz="UTC"),
        "word": pa.dictionary(pa.int32(), pa.string()),
        "ids": pa.list_(pa.int64()),
    }
    return types[column.kind]


def _array(pa: Any, column: Column, kind: Any, values: list[Any]) -> Any:
    if column.kind == "text":
        return pa.array([_text(value) for value in values], type=kind)
    if column.kind == "word":
        words = pa.array([_text(value) for value in values], type=pa.string())
        return words.dictionary_encode()
    return pa.array(values, type=kind)
