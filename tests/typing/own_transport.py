"""A transport and listeners of one's own. Checked, never run."""

from collections.abc import Mapping, Sequence
from http.client import HTTPSConnection
from urllib.parse import urlencode, urlsplit

from typing_extensions import assert_type

from lms_archive import ArchivePlan, Client, StaticToken
from lms_archive.archive import RunEvent
from lms_archive.wire import Response


def carry(
    method: str,
    url: str,
    headers: Mapping[str, str],
    params: Sequence[tuple[str, str]],
    body: bytes | None,
    timeout: tuple[float, float],
) -> Response:
    """A function is a transport."""
    place = urlsplit(url)
    connection = HTTPSConnection(place.netloc, timeout=timeout[1])
    connection.request(method, f"{place.path}?{urlencode(params)}", body, dict(headers))
    response = connection.getresponse()
    return Response(response.status, dict(response.headers), response.read())


class Counting:
    """So is an object that can be called; positional names are its own business."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(
        self,
        verb: str,
        address: str,
        fields: Mapping[str, str],
        query: Sequence[tuple[str, str]],
        content: bytes | None,
        seconds: tuple[float, float],
    ) -> Response:
        """Count, and carry."""
        self.count += 1
        return carry(verb, address, fields, query, content, seconds)


def told(event: RunEvent) -> None:
    """A function is a listener."""
    assert_type(event.kind, str)
    assert_type(event.outcomes, Mapping[str, int])
    assert_type(event.calls_left, int | None)


def listen(plan: ArchivePlan) -> None:
    """What a listener returns is not looked at."""
    client = Client("https://acme.example.com", StaticToken("t"), transport=carry)
    other = client.with_options(transport=Counting())
    plan.apply(other, ledger="a.sqlite", on_event=told)
    seen: list[RunEvent] = []
    plan.apply(client, ledger="b.sqlite", on_event=seen.append)
