"""Cells understood together: the same users as one by one."""

from hypothesis import example, given
from hypothesis import strategies as st

from lms_archive.archive.columns import BadRow, user_named, users_named

cells = st.sampled_from(["alice", "7", "007", "", "é", "a\0", "x" * 500, "x" * 501, "9" * 18])
NAMES = ["alice", "x" * 500]
IDS = ["7", "9" * 18]


@given(st.sampled_from(["username", "user_id"]), st.lists(cells | st.text(max_size=3)))
@example("username", NAMES)
@example("user_id", IDS)
@example("user_id", ["٧"])  # noqa: RUF001  a digit elsewhere
def test_together_as_one_by_one(column: str, texts: list[str]) -> None:
    """Where users are told all at once, each is who it would be alone, and none is wrong."""
    together = users_named(column, texts)
    try:
        alone = [user_named({column: text}) for text in texts]
    except BadRow:
        assert together is None
    else:
        assert together is None or list(together) == alone


def test_plain_names_and_ids_are_told_together() -> None:
    """What is usual is told all at once."""
    assert users_named("username", NAMES) == NAMES
    assert users_named("user_id", IDS) == [7, 10**18 - 1]
