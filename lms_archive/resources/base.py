"""The base class of resources with list, get and find."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from lms_archive.errors import InvalidInputError, NotFoundError, UnexpectedResponseError
from lms_archive.records.structure import StructureError
from lms_archive.resources.arguments import checked_filters, checked_text
from lms_archive.resources.listing import Listing
from lms_archive.wire.pages import Page, pages
from lms_archive.wire.session import Session

T = TypeVar("T")


class OfSession:
    """A group of calls that are made through one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._session.settings.base_url}>"


class Resource(OfSession, Generic[T]):
    """A kind of record on the platform. Subclasses name and document its calls."""

    _record: ClassVar[type]
    _noun: ClassVar[str]
    _id: ClassVar[str]
    _list: ClassVar[str]
    _get: ClassVar[str]

    def _listing(self, **filters: str | None) -> Listing[T]:
        checked = checked_filters(**filters)
        return Listing(self._record, lambda: self._pages(**checked))

    def _pages(self, **filters: str | None) -> Iterator[Page[T]]:
        return pages(self._session, self._list, self._record, **checked_filters(**filters))

    def _fetch(self, identity: int | str) -> T:
        record: T
        record, _ = fetch(self._session, self._get, self._record, self._id, identity)
        return record

    def _find_exact(self, attribute: str, name: str, **filters: Any) -> T:
        """Return the only record whose *attribute* is exactly *name*; a search is not exact."""
        checked_text(attribute, name)
        records = {
            getattr(record, self._id): record
            for record in self._listing(**filters)
            if getattr(record, attribute) == name
        }
        if not records:
            row = self._session.operation(self._list)
            message = f"no {self._noun} with the {attribute} {name!r}"
            raise NotFoundError(row.method, row.path, message=message)
        if len(records) > 1:
            ids = ", ".join(map(str, records))
            raise InvalidInputError(
                f"{len(records)} {self._noun}s have the {attribute} {name!r} (ids {ids}): "
                "use the id"
            )
        return next(iter(records.values()))


def fetch(
    session: Session, operation: str, cls: type[T], word: str, identity: int | str
) -> tuple[T, Any]:
    """Return the record whose *word* is this id, and the whole answer that holds it."""
    row = session.operation(operation)
    request = row.request(**{word: identity})
    answer = session.send(request, operation).data
    where = f"$.{row.answer.get('item', 'item')}"
    try:
        record = session.structure(cls, row.find(answer, "item"), where)
        answered = getattr(record, word)
        if str(answered) == str(identity):
            return record, answer
        faults: Sequence[str] = [f"asked for {word} {identity}, but the answer is about {answered}"]
    except StructureError as error:
        faults = error.faults
    raise UnexpectedResponseError(request.method, request.path, status=200, faults=faults)
