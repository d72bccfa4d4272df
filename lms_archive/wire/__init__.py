"""HTTP: the table of calls, and how one call is made, repeated, paced and paged."""

from lms_archive.wire.transport import (
    RequestNotSentError,
    RequestsTransport,
    Response,
    Transport,
    UnusableConnectionError,
)

__all__ = [
    "RequestNotSentError",
    "RequestsTransport",
    "Response",
    "Transport",
    "UnusableConnectionError",
]
