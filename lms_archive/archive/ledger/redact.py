"""Redact a finished ledger: remove names; keep ids, counts, dates and codes as evidence."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from lms_archive.archive.ledger.codec import as_json
from lms_archive.archive.ledger.database import (
    Connection,
    connect,
    damage_reported,
    existing_ledger,
    ledger_at,
    new_file,
    transaction,
)
from lms_archive.archive.ledger.plan_store import StoredRows, checksum, meta_of, stored_digest
from lms_archive.archive.ledger.queries import read_progress
from lms_archive.archive.ledger.schema import APPEND_ONLY, MUTABLE
from lms_archive.archive.ledger.store import Ledger
from lms_archive.archive.selection import column_word, is_id
from lms_archive.errors import LedgerError, plural

_REDACTED: Final = "redacted"
_IDS: Final = {"user_id", "course_id", "learning_plan_id"}
_CODES: Final = {"course_code", "learning_plan_code"}

_NAMES: Final = {
    "archiving": ("archived_by",),
    "user": ("username", "first_name", "last_name"),
    "course": ("certificate_url",),
    "learning_plan": ("certificate_url",),
    "enrollment": ("enrolled_by",),
}
"""The fields of a record that are removed, unless the value is a number, which is an id."""

_UNNAMED: Final = {"bad_row", "unknown_course", "unknown_learning_plan"}

_UPDATES: Final = (
    # The code of a target that the platform does not have may be anything, for example a name.
    """UPDATE targets SET code = 'redacted' WHERE code IS NOT NULL AND target IN (
        SELECT rows.target FROM rows JOIN latest USING (row)
        WHERE latest.code IN ('unknown_course', 'unknown_learning_plan'))""",
    """UPDATE rows SET cells = redacted_cells(part, cells, (SELECT code FROM latest
        WHERE latest.row = rows.row))""",
    """UPDATE rows SET fault = 'redacted' WHERE fault IS NOT NULL""",
    """UPDATE rows SET username = NULL,
        user_id = coalesce(user_id, (SELECT latest.user_id FROM latest WHERE row = rows.row))
        WHERE username IS NOT NULL""",
    """UPDATE rows SET username = 'redacted' WHERE user_id IS NULL AND fault_code IS NULL""",
    """UPDATE rows SET label = NULL""",
    """UPDATE planned SET username = NULL""",
    """UPDATE outcomes SET username = NULL""",
    """UPDATE outcomes SET reason = 'redacted'""",
    """UPDATE outcomes SET record = redacted_record(record) WHERE record IS NOT NULL""",
    """UPDATE meta SET value = 'redacted' WHERE name LIKE 'warning/%'""",
    """UPDATE events SET text = 'redacted' WHERE text IS NOT NULL AND type <> 'proven'""",
    """UPDATE details SET value = 'redacted' WHERE typeof(value) = 'text'
        AND name NOT IN ('contract', 'trusted', 'jobs_before')""",
)


def redact(ledger: str | os.PathLike[str]) -> None:
    """Remove the names from a finished ledger, permanently.

    Removed are usernames, first and last names, all cells except ids and codes of targets, unknown
    fields, links to certificates, and every free text (reasons, warnings, notes). The evidence
    stays: ids of users, targets, records and background jobs, dates, statuses, scores, kinds,
    codes and counts. The id of a user is still personal data while the platform knows the user.

    A redacted copy replaces the ledger, so that no byte of a name is left in the file. Saved plans,
    outcome files, certificates and backups are not redacted: delete them yourself.

    Raises:
        LedgerError: the ledger is not finished (finishing needs the names), does not exist, is in
            use, or cannot be written.
    """
    ledger_at(existing_ledger(ledger), cure="delete it if you no longer need it").close()
    with Ledger.open(ledger) as book:
        _check_finished(book.path)
        new = book.path.with_name(f".{book.path.name}.redacted")
        try:
            new.unlink(missing_ok=True)  # left by an interrupted redaction
            new_file(new)
            book.copy_to(new)
            _redact_copy(new)
            book.replace_by(new)
        except OSError as error:
            raise LedgerError(f"{book.path}: cannot be replaced: {error}") from error
        finally:
            new.unlink(missing_ok=True)


def _check_finished(location: Path) -> None:
    status = read_progress(location)
    left = status.rows - status.decided
    if left:
        raise LedgerError(
            f"{location}: not finished: {left:,} of {plural(status.rows, 'row')} "
            f"{'has' if left == 1 else 'have'} no final outcome, and resume() needs the names to "
            "decide them. Call resume() first, then redact()"
        )


def _redact_copy(new: Path) -> None:
    with closing(connect(new)) as database, damage_reported(new):
        database.execute("PRAGMA journal_mode = DELETE")
        headers = StoredRows.of(database).headers

        def cells(part: int, text: str, code: str) -> str:
            return _cells(headers[part], text, named=code not in _UNNAMED)

        database.create_function("redacted_cells", 3, cells, deterministic=True)
        database.create_function("redacted_record", 1, _record, deterministic=True)
        with transaction(new, database):
            for statement in (*MUTABLE, *_UPDATES):
                database.execute(statement)
            _seal(database)
            for trigger in APPEND_ONLY:
                database.execute(trigger)
        database.execute("VACUUM")


def _seal(database: Connection) -> None:
    """Mark the ledger as redacted, and hash its plan without names; the digest stays unchanged."""
    database.execute("INSERT OR REPLACE INTO meta VALUES ('redacted', 'true')")
    meta = meta_of(database)
    meta["content"] = stored_digest(database, meta)
    meta["checksum"] = checksum(database, meta)
    for name in ("content", "checksum"):
        database.execute("UPDATE meta SET value = ? WHERE name = ?", (meta[name], name))


def _cells(header: tuple[str, ...], text: str, *, named: bool) -> str:
    cells = zip(header, json.loads(text), strict=False)  # a row may end before its header
    return as_json([_cell(name, value, named=named) for name, value in cells])


def _cell(name: str, value: Any, *, named: bool) -> Any:
    """Return a cell that is an id or the code of an existing target, or a placeholder."""
    word = column_word(name)
    number = int(value) if isinstance(value, str) and _is_number(value) else value
    kept = (word in _IDS and is_id(number)) or (word in _CODES and named)
    return value if kept or value is None else _REDACTED


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18  # noqa: PLR2004  as `is_id`


def _record(text: str) -> str:
    """Return an archived record without names and without fields that may contain names."""
    record = json.loads(text)
    for group, names in _NAMES.items():
        for name in names:
            if group in record and not isinstance(record[group].get(name), int):
                record[group].pop(name, None)
    return as_json({**record, "extra": {}})
