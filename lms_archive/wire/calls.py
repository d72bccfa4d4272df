"""What is reported of each call: a DEBUG record of the log, and a value for `on_call`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from attrs import asdict, frozen

__all__ = ["Call", "OnCall", "report_call"]

log: logging.Logger = logging.getLogger(__name__)


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
