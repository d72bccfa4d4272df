"""The selection of a job: rows from a file or in memory, users of a target, and exclusions."""

from lms_archive.archive.selection.cells import comparable_name, is_id
from lms_archive.archive.selection.columns import column_word, contradicted_terms
from lms_archive.archive.selection.in_memory import (
    read_exclusions,
    read_people,
    read_rows,
    read_scope,
    read_users,
)
from lms_archive.archive.selection.labels import Label, indexed, label_from, plain_label, to_label
from lms_archive.archive.selection.rows import (
    KINDS,
    Fault,
    Form,
    Row,
    Rows,
    Selection,
    Target,
    TargetKind,
    Targets,
    UserEnrollments,
    UserKey,
    WholeTarget,
)

__all__ = [
    "KINDS",
    "Fault",
    "Form",
    "Label",
    "Row",
    "Rows",
    "Selection",
    "Target",
    "TargetKind",
    "Targets",
    "UserEnrollments",
    "UserKey",
    "WholeTarget",
    "column_word",
    "comparable_name",
    "contradicted_terms",
    "indexed",
    "is_id",
    "label_from",
    "plain_label",
    "read_exclusions",
    "read_people",
    "read_rows",
    "read_scope",
    "read_users",
    "to_label",
]
