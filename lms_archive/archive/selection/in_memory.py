"""Read rows, users and exclusions from objects in memory."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from lms_archive.archive.selection.cells import (
    BadRow,
    is_blank,
    read_id,
    read_name,
    shown,
    to_cell,
    to_python,
)
from lms_archive.archive.selection.columns import Headings
from lms_archive.archive.selection.labels import Label, read_labels
from lms_archive.archive.selection.reader import RowReader
from lms_archive.archive.selection.rows import (
    KINDS,
    Fault,
    Rows,
    Target,
    UserEnrollments,
    UserKey,
)
from lms_archive.errors import InvalidInputError

_SOURCE = "rows"
_SEVERAL_OR_FILE = re.compile(r"[,;|/\\\s]|\.(?:csv|txt|tsv|json|xlsx?)$", re.IGNORECASE)
"""Matches a text that contains several names, or is the path of a file."""


def read_rows(rows: Iterable[Any], *, columns: Mapping[str, str] | None = None) -> Rows:
    """Read rows from mappings, a DataFrame, an Arrow table, or records of enrollments."""
    headings = Headings(_SOURCE, columns)
    table, records = _opened(rows)
    if table is not None:
        headings.columns(table)
    header = dict.fromkeys(table or ())
    dict_reader = rows if isinstance(rows, csv.DictReader) else None
    surplus_name = dict_reader.restkey if dict_reader else None
    parsed: list[tuple[dict[Any, Any], Sequence[Any]]] = []
    for number, row in enumerate(records, start=1):
        cells = _cells(row, number)
        surplus = cells.pop(surplus_name, None)
        header.update(dict.fromkeys(cells))
        if not isinstance(surplus, list):
            surplus = () if surplus is None else (surplus,)
        parsed.append((cells, surplus))
    if not parsed:
        return Rows(tuple(header))
    reader = RowReader(headings.columns(list(header)), _SOURCE)
    labels: list[Label] = []
    if hasattr(rows, "itertuples") and hasattr(rows, "index"):
        labels, note = read_labels(rows)
        reader.rows.notes += [] if note is None else [note]
    for number, (cells, surplus) in enumerate(parsed, start=1):
        values = [*map(cells.get, header), *surplus]
        while dict_reader and values and values[-1] is None:  # csv fills a short row with None
            values.pop()
        reader.add_values(values, number, labels[number - 1] if labels else None)
    return reader.rows


def _opened(rows: Any) -> tuple[list[str] | None, Iterable[Any]]:
    """Return the names of a table's columns, or None where this is not a table, and the rows."""
    if hasattr(rows, "schema") and hasattr(rows, "to_pylist"):  # Arrow
        return list(map(str, rows.schema.names)), rows.to_pylist()
    if hasattr(rows, "columns") and hasattr(rows, "itertuples"):  # pandas
        names = list(map(str, rows.columns))
        tuples = rows.itertuples(index=False, name=None)
        return names, (dict(zip(names, values, strict=True)) for values in tuples)
    if hasattr(rows, "columns") and hasattr(rows, "to_dicts"):  # polars
        return list(map(str, rows.columns)), rows.to_dicts()
    if isinstance(rows, (str, bytes, Mapping)) or not isinstance(rows, Iterable):
        raise InvalidInputError(
            f"expected an iterable of rows, not {_type_with_article(rows)}: put it in a list",
            source=_SOURCE,
        )
    return None, rows


def _cells(row: Any, number: int) -> dict[Any, Any]:
    """Return the cells of a row by column; surplus cells have the name None."""
    if isinstance(row, Mapping):
        cells = {name if name is None else str(name): value for name, value in row.items()}
        if len(cells) < len(row):
            raise InvalidInputError(
                f"row {number} has two columns with the same name as text", source=_SOURCE
            )
        return cells
    if attrs.has(type(row)) and hasattr(row, "user_id"):
        for kind in KINDS:
            if hasattr(row, f"{kind}_id"):
                # The ids in a record of another platform belong to others here: names must agree.
                columns = (f"{kind}_id", f"{kind}_code", "user_id", "username")
                cells = {column: getattr(row, column, None) for column in columns}
                return {name: value for name, value in cells.items() if value is not None}
    raise InvalidInputError(
        f"row {number} is {_type_with_article(row)}; expected a mapping of columns, or a record of "
        "client.enrollments",
        source=_SOURCE,
    )


def read_users(target: Target, users: Iterable[Any]) -> Rows:
    """Build a row for each user of a target: an `int` is an id, a `str` a username."""
    column = f"{target.kind}_{'id' if target.code is None else 'code'}"
    key = target.target_id if target.code is None else target.code
    rows = Rows((column, "user_id", "username"), str(target))
    numbers, count = 0, 0
    for item in _listed(users, "users"):
        value, name = _id_and_name(item)
        count += value is not None  # a missing one in a column of whole numbers
        numbers += isinstance(value, (int, float)) and not hasattr(item, "user_id")
        cells = (key, None, value) if isinstance(value, str) else (key, _cell(value), name)
        try:
            rows.add(cells, None, target, _user(value, name))
        except BadRow as error:
            rows.add(cells, None, None, None, Fault("bad_row", str(error)))
    if numbers and numbers == count:
        rows.notes.append(f"{target}: {numbers_note(count)}")
    return rows


def numbers_note(count: int, noun: str = "user", name: str = "username") -> str:
    """Return the warning that all users, or other things, were given as numbers."""
    if count == 1:
        return (
            f"the {noun} is a number, so it is read as a {noun} id; if it is a {name}, give it as "
            "text (str)"
        )
    return (
        f"all {count:,} {noun}s are numbers, so they are read as {noun} ids; if they are {name}s, "
        "give them as text (str)"
    )


def read_people(users: Any, argument: str = "users") -> tuple[UserKey, ...]:
    """Return ids, usernames, and both of records, each once, in their order."""
    try:
        people = [_user(*_id_and_name(user)) for user in _listed(users, argument)]
    except BadRow as error:
        raise InvalidInputError(
            f"{argument} takes ids (int) and usernames (str), but an item cannot be used: {error}"
        ) from None
    return tuple(dict.fromkeys(people))


def read_exclusions(exclude: Any) -> frozenset[UserKey]:
    """Return the ids and usernames to leave alone."""
    exclude = to_python(exclude)
    if isinstance(exclude, str) and _SEVERAL_OR_FILE.search(exclude.strip()):
        raise InvalidInputError(
            f"exclude is one text, {shown(exclude)}: give ids and usernames in a list"
        )
    if isinstance(exclude, (str, int)) and not isinstance(exclude, bool):
        exclude = [exclude]
    people = read_people(exclude, "exclude")
    return frozenset(user.strip() if isinstance(user, str) else user for user in people)


def read_scope(
    targets: object, courses: Iterable[int | str] | None, exclude_courses: Iterable[int | str]
) -> UserEnrollments:
    """Return where the enrollments of users are looked for, without the users."""
    if not isinstance(targets, str) or targets not in ("courses", "learning_plans"):
        raise InvalidInputError(f"targets is 'courses' or 'learning_plans', not {shown(targets)}")
    only = None if courses is None else _courses(courses, "courses")
    left_out = _courses(exclude_courses, "exclude_courses")
    if targets == "courses":
        return UserEnrollments("course", targets=only, left_out=left_out)
    if only is not None or left_out:
        raise InvalidInputError("courses and exclude_courses need targets='courses'")
    return UserEnrollments("learning_plan")


def _courses(courses: Any, argument: str) -> tuple[Target, ...]:
    listed = _listed(courses, argument, "codes")
    return tuple(dict.fromkeys(Target.of("course", course) for course in listed))


def _cell(value: Any) -> Any:
    try:
        return to_cell(value)
    except ValueError:
        return shown(value)


def _id_and_name(item: Any) -> tuple[Any, str | None]:
    """Return an item of a list, or the id and the username of a record of a user."""
    name = to_python(getattr(item, "username", None)) if hasattr(item, "user_id") else None
    is_name = isinstance(name, str) and not is_blank(name)
    return to_python(getattr(item, "user_id", item)), name if is_name else None


def _user(value: Any, username: str | None = None) -> UserKey:
    """Return the user that a value names, who must also have the username of its record."""
    name = read_name(value, "username") if isinstance(value, str) else None
    if name is not None:
        return name
    user_id = read_id(value, "user_id")
    if user_id is None:
        raise BadRow("no user: the value is blank")
    return user_id if username is None else (user_id, username)


def _listed(items: Any, argument: str, names: str = "usernames") -> Iterable[Any]:
    """Return the items, or refuse what is not a list: a text, a table, an open file, a mapping."""
    expected = f"{argument} takes a list of ids (int) and {names} (str)"
    if hasattr(items, "columns") or hasattr(items, "column_names"):
        raise InvalidInputError(f"{expected}, not a table: give one of its columns")
    if hasattr(items, "read"):
        raise InvalidInputError(f"{expected}, not an open file: give file.read().splitlines()")
    if isinstance(items, Mapping):
        raise InvalidInputError(
            f"{expected}, not {_type_with_article(items)}: give list(...) of it"
        )
    if items is None:
        raise InvalidInputError(f"{expected}, not None")
    if isinstance(items, (str, bytes, bytearray)) or not isinstance(items, Iterable):
        raise InvalidInputError(f"{expected}, not {shown(items)}: put it in a list")
    return items


def _type_with_article(value: object) -> str:
    """Return the type of a value with its article."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
