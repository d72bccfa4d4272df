"""CSV text, read block by block: the same rows as csv gives, on the same lines."""

import csv
import io
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lms_archive.archive.csv_text import CsvText

HEADER = "username,course_code\n"
signs = st.sampled_from(
    ["a", "b", "é", ",", ",", '"', "\n", "\r", "\r\n", " ", "\0", "\x0b", "\u2028"]
)
texts = st.lists(signs | st.just("alice,SAFE\n"), max_size=30).map("".join)


class Taken:
    """What is given to it, row by row, with the line of each."""

    def __init__(self, width: int = 2) -> None:
        self.width = width
        self.rows: list[tuple[int, list[str]]] = []
        self.by_column = 0

    def add_texts(self, rows: Sequence[list[str]], lines: Sequence[int]) -> None:
        """Rows of any width."""
        self.rows += zip(lines, rows, strict=True)

    def add_columns(self, columns: Sequence[Sequence[str]], lines: Sequence[int]) -> None:
        """Whole rows by column."""
        assert len(columns) == self.width
        self.rows += zip(lines, map(list, zip(*columns, strict=True)), strict=True)
        self.by_column += len(lines)


def read(text: str, size: int = 2**14) -> tuple[Taken, CsvText, str | None]:
    """What a text gives, its reader, and with which error it breaks off."""
    file, taken = io.StringIO(text, newline=""), Taken()
    lines = CsvText(file.readline(), file, ",", size)
    assert lines.header() == ["username", "course_code"]
    sink: Any = taken
    try:
        lines.feed(sink)
    except csv.Error as error:
        return taken, lines, str(error)
    return taken, lines, None


def read_by_csv(text: str) -> tuple[list[tuple[int, list[str]]], int, str | None]:
    """What csv alone makes of it, and the line where it ends or breaks off."""
    text = text.replace("\0", "\N{SYMBOL FOR NULL}")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, line = [], 1
    try:
        for cells in reader:
            rows.append((line, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        return rows[1:], line, str(error)
    return rows[1:], line, None


@settings(max_examples=500, deadline=None)
@given(texts, st.integers(1, 40))
@example('a,b\n"c\n', 4)
@example('a,"b\r\nc"\r\nd,e', 1)
@example("a,b,c\nd\n", 40)
def test_same_rows_as_csv(text: str, size: int) -> None:
    """However the blocks fall, rows, lines and the place of an error are those that csv tells."""
    rows, line, broken = read_by_csv(HEADER + text)
    taken, lines, error = read(HEADER + text, size)
    assert (lines.line, error) == (line, broken)
    assert taken.rows == (rows if broken is None else rows[: len(taken.rows)])


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_text_without_quotes_is_only_split(end: str) -> None:
    """Whole rows without quotes come by column; a quote costs its own block that, no other."""
    plain = f"alice,SAFE{end}" * 10
    assert read(HEADER + plain)[0].by_column == 10
    taken, _, _ = read(HEADER + plain + f'"bob",SAFE{end}' + plain, size=20)
    assert len(taken.rows) == 21
    assert taken.by_column >= 15


def test_header_of_several_lines() -> None:
    """The header may go on over lines; the rows begin after it."""
    file, taken = io.StringIO('user,"course\ncode"\nalice,SAFE\n', newline=""), Taken()
    lines = CsvText(file.readline(), file, ",")
    assert lines.header() == ["user", "course\ncode"]
    sink: Any = taken
    lines.feed(sink)
    assert taken.rows == [(3, ["alice", "SAFE"])]
