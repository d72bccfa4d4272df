"""A refused request, and the body that says so."""

from collections.abc import Mapping
from http.client import responses
from typing import Any


class Refusal(Exception):
    """What a handler raises to answer with an error.

    Args:
        status: the HTTP status.
        message: text, or for validation errors an object: parameter -> list of texts.
        headers: headers besides the usual ones.
        body: replaces the usual body.
    """

    def __init__(
        self,
        status: int,
        message: str | Mapping[str, list[str]],
        *,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(status, message)
        self.status = status
        self.headers: dict[str, str] = dict(headers or {})
        self.body: dict[str, Any] = error_body(status, message) if body is None else dict(body)


def error_body(status: int, message: str | Mapping[str, list[str]]) -> dict[str, Any]:
    """Return the platform's form of an error: status, name, message (seen)."""
    return {"status": status, "name": responses.get(status, "Error"), "message": message}


def invalid(parameter: str, why: str) -> Refusal:
    """Return the 400 for one wrong parameter."""
    return Refusal(400, {parameter: [why]})
