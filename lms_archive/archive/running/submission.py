"""The one write of the library."""

from __future__ import annotations

from attrs import frozen

from lms_archive.archive.planning.select_all import operation_of
from lms_archive.archive.running.state import Members
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.values.chunks import Chunk
from lms_archive.client import Client

__all__ = ["Accepted", "submit"]


@frozen
class Accepted:
    """What a 2xx answer says.

    Attributes:
        job_id: the background job that does the work, where one is named.
        is_done: whether the platform says that all is done already.
    """

    job_id: str | None
    is_done: bool


def submit(client: Client, terms: Terms, chunk: Chunk, members: Members) -> Accepted:
    """Archive these members of a chunk; never repeated unless the call surely did not start.

    Raises:
        ApiError: it was refused, or its answer was lost (`in_doubt`).
    """
    contract, target = client.session.settings.contract, chunk.target
    whom: dict[str, list[str] | list[int]]
    if chunk.form == "select_all":
        name, whom = operation_of(target), {"status": [str(status) for status in terms.only]}
    else:
        name = f"archive_{target.kind}_enrollments"
        whom = {"user_ids": [member.user_id for member in members]}
    reply = client.session.call(
        name,
        **{f"{target.kind}_id": target.target_id},
        **whom,
        mode=contract.enrollment_mode[str(terms.mode)],
        reset_tracking=terms.reset_tracking,
    )
    operation = contract.operations[name]
    job_id = operation.find(reply.data, "job_id")
    is_named = isinstance(job_id, (str, int)) and bool(job_id)
    return Accepted(
        str(job_id) if is_named else None,
        is_done=operation.find(reply.data, "background") is False,
    )
