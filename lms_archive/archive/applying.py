"""Before and after a run: what is refused beforehand, and what can only be told afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import Attribute, field, frozen

from lms_archive.archive.cutting import Chunk
from lms_archive.archive.estimate import affected
from lms_archive.archive.events import OnEvent, bar_class
from lms_archive.archive.ledger import Ledger
from lms_archive.archive.ledger_rows import outcomes_in
from lms_archive.archive.outcomes import AS_ASKED, Outcome, Skip
from lms_archive.archive.selection import Selection
from lms_archive.client import Client
from lms_archive.errors import InvalidInputError, TooManyAffectedError

__all__ = ["Options", "check_ceiling", "check_platform", "tell_carried"]


def _is_number(_: object, name: Attribute[int], value: object) -> None:
    check_number(name.name, value)


@frozen(kw_only=True)
class Options:
    """How a job is run: the arguments that `apply` and `resume` share, as `apply` tells them."""

    canary: int = field(default=1, validator=_is_number)
    progress: bool = False
    on_event: OnEvent | None = None
    trust_contract: bool = False
    allow_changes: bool = False
    note: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.progress:
            bar_class()  # before anything is sent
        if not isinstance(self.note, (str, type(None))):
            raise InvalidInputError(f"note is a text, not {self.note!r}")


def check_platform(platform: str, client: Client) -> None:
    """Refuse a client of another platform than the plan's."""
    if client.base_url != platform:
        raise InvalidInputError(
            f"the plan was read from {platform}, and this client is {client.base_url}'s"
        )


def check_number(name: str, value: object) -> None:
    """Refuse what is no number of enrollments."""
    if type(value) is not int or value < 0:
        raise InvalidInputError(f"{name} is a whole number of enrollments, not {value!r}")


def check_ceiling(chunks: Sequence[Chunk], max_affected: int | None) -> None:
    """Refuse a plan that may archive more than is allowed."""
    if max_affected is None:
        return
    check_number("max_affected", max_affected)
    count = affected(chunks)
    if count > max_affected:
        raise TooManyAffectedError(count, max_affected)


def tell_carried(book: Ledger, skips: Iterable[Skip], selection: Selection) -> None:
    """Course rows that were to be carried along by a plan's row, and were not after all."""
    codes = book.codes()
    waiting = [
        skip for skip in skips if skip.along is not None and codes.get(skip.row) == "carried_along"
    ]
    if not waiting:
        return
    carrying = {skip.along for skip in waiting}
    outcomes = {row: one for row, one in enumerate(outcomes_in(book.path)) if row in carrying}
    told: list[tuple[int, Outcome]] = []
    for skip in waiting:
        plan = outcomes[skip.along or 0]
        courses = {one.course_id: one for one in plan.courses}
        along = courses.get(skip.course_id or 0)
        if along is not None and along.record_id is not None:
            continue  # archived along, whatever became of the plan's own enrollment
        if plan.kind == "archived" and (along is None or along.status in AS_ASKED):
            continue
        where = f"line {plan.line}" if plan.line else f"row {(skip.along or 0) + 1}"
        reason = f"not carried along: {where} is {plan.kind} ({plan.reason}); plan this again"
        row = selection[skip.row]
        told.append((skip.row, Outcome.of(row, "not_carried", reason, user_id=skip.user_id)))
    if told:
        book.commit(told)
