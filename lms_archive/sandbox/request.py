"""Authenticated calls, and their parameters as the route table declares them."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

from attrs import field, frozen
from werkzeug.datastructures import MultiDict

from lms_archive.sandbox.answers import Refusal, invalid
from lms_archive.sandbox.faults import Faults
from lms_archive.sandbox.oauth import Account
from lms_archive.sandbox.variant import PlatformVariant

Location = Literal["path", "query", "body", "nowhere"]
ValueType = Literal["integer", "string", "boolean", "moment", "integers", "strings", "filters"]
SharedReading = Literal["A", "B"]
NeverLoggedIn = Literal["first", "last"]

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?")
_FLAGS = {"1": True, "true": True, "0": False, "false": False}


@frozen
class Parameter:
    """A parameter of a call, as its swagger describes it.

    A `moment` is a time or a date; `filters` is an object of lists of words, with the names in
    `enum`. Handlers use `name`, callers `sent_as` (empty: the same name); `meanings` maps the
    values of callers to those of handlers. A parameter that is `nowhere` has its default.
    """

    name: str
    location: Location
    type: ValueType
    enum: tuple[str, ...] = ()
    default: Any = None
    sent_as: str = ""
    meanings: Mapping[str, str] = field(factory=dict)

    @property
    def shown(self) -> str:
        """The name that callers use."""
        return self.sent_as or self.name

    @property
    def is_list(self) -> bool:
        """Whether it takes several values; in a path it takes one of them."""
        return self.type in ("integers", "strings")


@frozen
class Settings:
    """The behaviour of the platform: see `Sandbox`."""

    job_seconds: float
    more_data_lies: bool
    calls_per_hour: int | None
    shared_courses_rule: SharedReading
    ignores_filters: bool
    never_logged_in: NeverLoggedIn
    variant: PlatformVariant


@frozen
class ApiRequest:
    """An authenticated call: account, parameters, time, and what the handler may use.

    `args` holds each declared parameter, None where it was not sent; undeclared parameters are
    ignored, because the platform ignores unknown filters (inferred).
    """

    operation: str
    method: str
    path: str
    args: Mapping[str, Any]
    account: Account
    now: datetime
    db: sqlite3.Connection
    settings: Settings
    faults: Faults

    def list_filter(self, name: str) -> Any:
        """Return the value of a filter of a list, None on a platform that ignores filters."""
        return None if self.settings.ignores_filters else self.args[name]

    def faults_of_work(self, *kinds: str) -> dict[str, dict[str, Any]]:
        """Return the details of the faults of these *kinds* in the work that this call starts."""
        return self.faults.of_work(kinds, self.operation, self.method, self.now)


def read_parameters(
    parameters: Iterable[Parameter],
    path: Mapping[str, Any],
    query: MultiDict[str, str],
    body: bytes,
) -> dict[str, Any]:
    """Return the converted values of *parameters*; refuse a wrong value with 400."""
    content = _read_body(body) if any(p.location == "body" for p in parameters) else {}
    args: dict[str, Any] = {}
    for parameter in parameters:
        name, value = parameter.shown, None
        if parameter.location == "path":
            value = [path[name]] if parameter.is_list else path[name]
        elif parameter.location == "body":
            value = content.get(name)
        elif parameter.location == "query":
            value = (query.getlist(name) or None) if parameter.is_list else query.get(name)
        is_sent = value not in (None, "")
        args[parameter.name] = _convert(parameter, value) if is_sent else parameter.default
    return args


def _read_body(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body or b"{}")
    except ValueError:
        raise Refusal(400, "The body is not valid JSON.") from None
    if not isinstance(content, dict):
        raise Refusal(400, "The body is not a JSON object.")
    return content


def _convert(parameter: Parameter, value: Any) -> Any:
    convert, expected = _CONVERTERS[parameter.type]
    try:
        converted = convert(value)
    except (TypeError, ValueError):
        raise invalid(parameter.shown, f"{parameter.shown} must be {expected}") from None
    if parameter.type == "filters":
        return {name: converted.get(name) for name in parameter.enum}
    if parameter.enum and converted not in parameter.enum:
        raise invalid(parameter.shown, f"must be one of: {', '.join(parameter.enum)}")
    return parameter.meanings[converted] if parameter.meanings else converted


def _integer(value: Any) -> int:
    """Accept an int or a digit string (ids come as both: seen)."""
    if isinstance(value, bool) or not re.fullmatch(r"-?\d{1,18}", str(value), re.ASCII):
        raise ValueError(value)
    return int(value)


def _boolean(value: Any) -> bool:
    flag = _FLAGS.get(str(value).lower())
    if flag is None:
        raise ValueError(value)
    return flag


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _time(value: Any) -> str:
    if not _MOMENT.fullmatch(_string(value)):
        raise ValueError(value)
    return str(value)


def _list(convert: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    def converter(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise TypeError(value)
        return [convert(item) for item in value]

    return converter


def _filters(value: Any) -> dict[str, list[str]]:
    if not isinstance(value, dict):
        raise TypeError(value)
    return {name: _list(_string)(words) for name, words in value.items()}


_CONVERTERS: Mapping[ValueType, tuple[Callable[[Any], Any], str]] = {
    "integer": (_integer, "an integer"),
    "string": (_string, "a string"),
    "boolean": (_boolean, "a boolean"),
    "moment": (_time, "a time, YYYY-MM-DD HH:MM:SS"),
    "integers": (_list(_integer), "a list of integers"),
    "strings": (_list(_string), "a list of strings"),
    "filters": (_filters, "an object of lists of strings"),
}
