"""Secrets: never printed, and removed from what the platform quotes, and nothing else is."""

import json
import pickle
from html import escape
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wire_tools import answer, scripted

from lms_archive import InvalidInputError, PasswordGrant
from lms_archive.errors import AuthenticationError
from lms_archive.wire.masking import Mask, Secret, secret

REFUSED = "Invalid username and password combination"


def test_a_secret_prints_only_on_request() -> None:
    """A secret shows itself only when it is asked to."""
    value = Secret("hush-hush-1")
    assert value.reveal() == "hush-hush-1"
    for text in (repr(value), str(value), f"{value}", repr([value]), repr({"a": value})):
        assert "hush" not in text
    assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301  our own
    assert secret(value) is value
    with pytest.raises(InvalidInputError, match="a secret must be a str, not bytes"):
        secret(b"hush-hush-1")  # type: ignore[arg-type]


PASSWORDS = [
    "pass-word-1",
    "Invalid",
    "and",
    "username and",
    "p",
    "Zx9$kkq!",
]


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_sentence_of_the_platform_stays_whole(password: str) -> None:
    """The platform's own sentence is shown as it is, even where a password is one of its words."""
    body = answer({"error": "invalid_grant", "error_description": REFUSED}, 400)
    auth = PasswordGrant("app", "app-secret-1", "ada", password)
    client, _ = scripted(auth=auth, tokens=[body])
    with pytest.raises(AuthenticationError) as caught:
        client.request("GET", "/x")
    if password == "username and":  # not one word: taken for the secret that it is
        assert "Invalid [secret] password combination" in str(caught.value)
    else:
        assert REFUSED in str(caught.value)


SENTENCES = [
    REFUSED,
    "The password expired.",
    "The client_secret is wrong: look it up",
    "Invalid refresh_token: expired",
    "password: too short",
    'no field "password": required',
]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_sentences_about_secrets_are_not_masked(sentence: str) -> None:
    """What merely speaks of passwords and tokens is shown."""
    assert Mask([Secret("app-secret-1"), Secret("abc"), Secret("hunter2")])(sentence) == sentence


QUOTED = [
    "password={0}&x=1",
    '{{"password": "{0}"}}',
    r"{{\"password\":\"{0}\"}}",
    "grant_type=password&password={0}",
]


@pytest.mark.parametrize("text", QUOTED)
@pytest.mark.parametrize("value", ["hunter2", "combination", "1234", "Zx9$kkq!"])
def test_the_value_of_a_field_is_masked(text: str, value: str) -> None:
    """Where a field is named as a secret, even an ordinary word is removed, if it is ours."""
    masked = Mask([Secret(value)])(text.format(value))
    assert value not in masked
    assert "[secret]" in masked


@pytest.mark.parametrize("name", ["access_token", "refresh_token", "id_token", "client_secret"])
def test_an_unknown_token_is_masked(name: str) -> None:
    """A token that the platform made and that we do not know yet is removed by its name."""
    token = "eyJhbGciOiJIUzI1NiJ9.e30.ZRrHA1JJJW8"
    assert Mask()(json.dumps({name: token})) == json.dumps({name: "[secret]"})
    assert Mask()(f"{name}={token}&a=b") == f"{name}=[secret]&a=b"


@settings(max_examples=30)
@given(
    st.text(min_size=8, max_size=30).filter(lambda text: not text.isalnum() and text.strip()),
    st.sampled_from(["{}", "got {}!", "x{}x", '"{}"', "a\n{}"]),
)
@example("s3cret&\"<'\xe9 +/%", "got {}!")
def test_a_strong_secret_is_masked_wherever_it_stands(value: str, around: str) -> None:
    """A secret that no sentence holds by chance is removed in every encoding."""
    encodings = {
        value,
        json.dumps(value)[1:-1],
        escape(value),
        quote(value.encode(errors="replace")),
        quote_plus(value.encode(errors="replace")),
    }
    for encoding in encodings if value.isprintable() else [value]:
        text = around.replace("{}", encoding)
        assert encoding not in Mask([Secret(value)])(text).replace("[secret]", "")
