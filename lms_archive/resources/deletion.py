"""What a deletion of archived records is about: how many, how old, and as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import field, frozen

from lms_archive.records.archived import (
    ArchivedCourseEnrollment,
    ArchivedLearningPlanEnrollment,
    ArchivedRecord,
)
from lms_archive.tables.columns import Column, columns_of, rows_of
from lms_archive.tables.frames import Table

__all__ = ["Deletion"]


@frozen(kw_only=True, repr=False)
class Deletion(Table):
    """What `client.archived.delete` has deleted; of a dry run, what it would delete.

    `to_csv`, `to_pandas` and `to_arrow` give the records.

    Attributes:
        records: the records, each once.
        calls: how many calls delete them, 200 records of one course or learning plan a call.
        dry_run: whether it was a dry run: nothing was sent.
    """

    records: tuple[ArchivedRecord, ...]
    calls: int
    dry_run: bool = field(default=False)

    @property
    def counts(self) -> dict[str, int]:
        """The number of records by kind: `course`, `learning_plan`."""
        courses = sum(isinstance(record, ArchivedCourseEnrollment) for record in self.records)
        return {"course": courses, "learning_plan": len(self.records) - courses}

    @property
    def oldest(self) -> datetime | None:
        """When the first of the records was archived, as far as they say."""
        return min(self._times(), default=None)

    @property
    def newest(self) -> datetime | None:
        """When the last of the records was archived, as far as they say."""
        return max(self._times(), default=None)

    def _times(self) -> Iterator[datetime]:
        times = (record.archiving.archived_at for record in self.records)
        return (time for time in times if time is not None)

    def _table(self) -> tuple[Sequence[Column], Iterator[Mapping[str, Any]]]:
        kinds = (ArchivedCourseEnrollment, ArchivedLearningPlanEnrollment)
        classes_of_records = {type(record) for record in self.records}
        classes = [cls for cls in kinds if cls in classes_of_records]
        return columns_of(*(classes or kinds)), rows_of(self.records)

    def __str__(self) -> str:
        counts, total = self.counts, len(self.records)
        end = "This is a dry run: nothing was sent." if self.dry_run else "Deleted."
        return (
            f"{total:,} archived {'record' if total == 1 else 'records'}: "
            f"{counts['course']:,} of courses, {counts['learning_plan']:,} of learning plans\n"
            f"archived from {self.oldest or 'unknown'} to {self.newest or 'unknown'}\n"
            f"calls that delete: {self.calls:,}\n{end}"
        )

    def __repr__(self) -> str:
        verb = "would be deleted" if self.dry_run else "deleted"
        return f"<Deletion {self.counts} {verb}, calls: {self.calls:,}>"
