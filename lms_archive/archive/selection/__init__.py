"""The selection of a job: rows from a file or in memory, users of a target, and exclusions."""

from lms_archive.archive.selection.cells import IGNORED_IN_NAMES, comparable_name, is_id
from lms_archive.archive.selection.columns import column_word
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
    "IGNORED_IN_NAMES",
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
    "indexed",
    "is_id",
    "label_from",
    "plain_label",
    "to_label",
]
