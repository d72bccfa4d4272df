"""Background jobs of the platform."""

from __future__ import annotations

from collections.abc import Iterator

from lms_archive.records.active import BackgroundJob
from lms_archive.resources.base import Resource
from lms_archive.resources.listing import Listing
from lms_archive.wire.pages import Page
from lms_archive.wire.tracebacks import short_tracebacks


@short_tracebacks
class BackgroundJobs(Resource[BackgroundJob]):
    """`client.background_jobs`: the background jobs of the platform."""

    _record = BackgroundJob
    _noun = "background job"
    _id = "job_id"
    _list = "list_jobs"
    _get = "get_job"

    def list(self) -> Listing[BackgroundJob]:
        """List the background jobs of this account, reading page by page.

        Ended background jobs stay listed for 13 days (doc). Calls `GET /manage/v1/job` (2017).

        Raises:
            ApiError: a call failed.
        """
        return self._listing()

    def pages(self) -> Iterator[Page[BackgroundJob]]:
        """Yield `Page` objects with the platform's totals."""
        return self._pages()

    def get(self, job_id: str) -> BackgroundJob:
        """Get a background job by its hash.

        Calls `GET /manage/v1/job/{hash}` (2017).

        Raises:
            NotFoundError: the job does not exist, or is no longer listed.
            UnexpectedResponseError: the answer is about another job.
        """
        return self._fetch(job_id)
