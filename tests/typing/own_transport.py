"""A transport and listeners of one's own. Checked, never run."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from http.client import HTTPSConnection
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import requests
from typing_extensions import Unpack, assert_type

from lms_archive import ArchivePlan, Client, StaticToken
from lms_archive.archive import OutcomeKind, RunEvent
from lms_archive.records import CourseEnrollment, EnrollmentStatus
from lms_archive.resources import Deletion, Listing
from lms_archive.wire import Call, ClientOptions, RequestsTransport, Response


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
    kind: str = event.kind
    assert kind
    assert_type(event.outcomes, Mapping[OutcomeKind, int])
    assert_type(event.calls_left, int | None)


def listen(plan: ArchivePlan) -> None:
    """What a listener returns is not looked at."""
    client = Client("https://acme.example.com", StaticToken("t"), transport=carry)
    other = client.with_options(transport=Counting())
    plan.apply(other, ledger="a.sqlite", on_event=told)
    seen: list[RunEvent] = []
    plan.apply(client, ledger="b.sqlite", on_event=seen.append)


class Company(requests.Session):
    """A session class is a factory."""


def measured(call: Call) -> None:
    """A function is a listener of calls."""
    assert_type(call.status, int | None)
    assert_type(call.seconds, float)


def connect(prefix: str, **options: Unpack[ClientOptions]) -> Client:
    """A wrapper passes the options on, and its callers have them checked."""
    options.setdefault("timeout", (5, 60))
    transport = RequestsTransport(Company, verify=Path("ca.pem"), cert=("a.pem", "a.key"))
    return Client.from_env(prefix=prefix, **options).with_options(transport=transport)


def read() -> None:
    """Lists by code, raw answers, and a deletion."""
    client = connect("ACME_", on_call=measured, calls_per_hour=None)
    listing = client.enrollments.in_course("SAFE", status=["completed", EnrollmentStatus.ENROLLED])
    assert_type(listing, Listing[CourseEnrollment])
    client.enrollments.in_learning_plan(7, status="completed")
    assert_type(client.request("GET", "/x", raw=True), Response)
    deletion = client.archived.delete(client.archived.in_course(7, user_status="1"), dry_run=True)
    assert_type(deletion, Deletion)
    assert_type(deletion.oldest, datetime | None)
