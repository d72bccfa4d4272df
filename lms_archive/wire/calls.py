"""A call that is ready, and what is reported of it: a DEBUG record, and a value for `on_call`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from attrs import asdict, field, frozen

from lms_archive.wire.masking import Secret

log: logging.Logger = logging.getLogger(__name__)


@frozen
class Request:
    """A call that is ready to be sent: a complete path, and query, form or JSON."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    json: Mapping[str, Any] | None = None
    form: tuple[tuple[str, str | Secret], ...] | None = field(default=None, repr=False)
    raw: bool = False  # return the answer without reading JSON from it
    headers: Mapping[str, str] = field(factory=dict, hash=False)  # beside those of every call
    with_token: bool = True

    @property
    def is_write(self) -> bool:
        """Whether the call changes something, so that it must not be sent twice."""
        return self.method not in ("GET", "HEAD")


@frozen(kw_only=True)
class Call:
    """A call that was made, without query, body and headers: they may hold personal data.

    Attributes:
        method: the HTTP method.
        path: the path, without host and query.
        status: the HTTP status, or None where no answer came.
        seconds: how long the exchange took, the body included.
        attempt: 1 for the first exchange of this call, 2 for the next one, and so on.
    """

    method: str
    path: str
    status: int | None
    seconds: float
    attempt: int


OnCall = Callable[[Call], Any]


def report_call(call: Call, on_call: OnCall | None) -> None:
    """Log a call at DEBUG, its fields as `extra`, and pass it to the listener."""
    if log.isEnabledFor(logging.DEBUG):
        result = "no answer" if call.status is None else call.status
        text = "%s %s: %s after %.3f s, attempt %d"
        values = call.method, call.path, result, call.seconds, call.attempt
        log.debug(text, *values, extra=asdict(call))
    if on_call is not None:
        on_call(call)
