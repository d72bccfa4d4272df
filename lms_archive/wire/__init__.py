"""The HTTP client: the table of calls, login, retries, the call limit, and lists in pages."""

from lms_archive.wire.auth import Auth, ClientCredentials, JwtBearer, PasswordGrant, StaticToken
from lms_archive.wire.calls import Call, OnCall
from lms_archive.wire.contract import Contract
from lms_archive.wire.operation import Operation
from lms_archive.wire.pages import Page
from lms_archive.wire.report import Candidate, ContractReport, OperationCheck
from lms_archive.wire.settings import ChangedOptions, ClientOptions
from lms_archive.wire.transport import (
    RequestNotSentError,
    RequestsTransport,
    Response,
    Transport,
    UnusableConnectionError,
)

__all__ = [
    "Auth",
    "Call",
    "Candidate",
    "ChangedOptions",
    "ClientCredentials",
    "ClientOptions",
    "Contract",
    "ContractReport",
    "JwtBearer",
    "OnCall",
    "Operation",
    "OperationCheck",
    "Page",
    "PasswordGrant",
    "RequestNotSentError",
    "RequestsTransport",
    "Response",
    "StaticToken",
    "Transport",
    "UnusableConnectionError",
]
