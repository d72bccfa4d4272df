"""Download files by a link in an answer, without sending the token to another host."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qsl, unquote, urljoin, urlsplit

from lms_archive.errors import UnexpectedResponseError
from lms_archive.wire.contract import Request
from lms_archive.wire.session import Session
from lms_archive.wire.transport import Response

__all__ = ["download"]


def download(session: Session, link: str, name: str) -> bytes:
    """Download the file behind a link of the platform; the call is counted as *name*.

    The link may be absolute or relative.

    Raises:
        UnexpectedResponseError: the link leads to another host, which is sent neither a call nor
            the token; or the file is larger than an answer may be.
        ApiError: the call failed.
    """
    base = urlsplit(session.settings.base_url)
    try:
        parts = urlsplit(urljoin(f"{session.settings.base_url}/", link))
        same = _origin(parts) == _origin(base) and parts.username is None
    except ValueError:  # not an address
        parts, same = base, False
    inside = parts.path.startswith(f"{base.path}/") and ".." not in unquote(parts.path).split("/")
    if not (same and inside):
        faults = [f"the link {link[:200]!r} leads outside the platform; it was not followed"]
        raise UnexpectedResponseError("GET", f"the link of {name}", faults=faults)
    query = tuple(parse_qsl(parts.query, keep_blank_values=True))
    path = parts.path.removeprefix(base.path)
    response: Response = session.send(Request("GET", path, query=query, raw=True), name).data
    return response.body


def _origin(parts: SplitResult) -> tuple[str, str | None, int]:
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
