"""The select-all form: one call for all of a target, where it is safe.

It takes up to 10,000 enrollments on the screen (article); for the API that is assumed.

The filter might be ignored, so it is only used where the selection is every active enrollment of
the target: then an ignored filter can change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.target.lists import TargetLists
from lms_archive.archive.values.chunks import PlannedEnrollment, PlannedTarget
from lms_archive.client import Client
from lms_archive.records.status import ArchiveMode

__all__ = ["operation_of", "why_not"]


def operation_of(target: PlannedTarget) -> str:
    """The contract's row of the form."""
    return f"archive_{target.kind}_enrollments_select_all"


def why_not(
    client: Client, target: PlannedTarget, members: Sequence[PlannedEnrollment], terms: Terms
) -> str | None:
    """Why the form is not used in a target, or None where it is: a page and its swagger."""
    name = operation_of(target)
    if terms.mode is ArchiveMode.RE_ENROLL:
        return "whoever is re-enrolled first would be archived again by a call for all"
    if not client.verify_contract([name]).confirmed(name, str(terms.mode)):
        return "the platform's swagger does not confirm that call"
    if TargetLists(client, target).total() != len(members):
        return "it holds other enrollments too, which an ignored filter would archive"
    return None
