"""References to secrets: where they are found, what is refused, and that they are never repeated."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogsync import secretrefs
from catalogsync.errors import NoAccount
from tests.accounts import fake_keyring

SECRET = "a-secret-that-nobody-may-see"
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")


def refusal(reference: str, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(NoAccount) as caught:
        secretrefs.resolve(reference, environment or {})
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert caught.value.exit_code == 7
    return str(caught.value)


def kept(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "token"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_secret_comes_from_the_environment() -> None:
    assert secretrefs.resolve("env:SHOP", {"SHOP": f" {SECRET}\n"}) == SECRET
    assert refusal("env:SHOP") == "the token is to come from the environment's SHOP, which is not set"
    assert refusal("env:SHOP", {"SHOP": " "}) == "the token is to come from the environment's SHOP, which is not set"
    assert refusal("env:SHOP", {"SHOP": f"{SECRET}é"}) == "SHOP holds characters that no token has; copy it again"


@pytest.mark.parametrize("content", [b"%s", b"%s\n", b"\xef\xbb\xbf%s\r\n", b"\n %s \n\n"])
def test_a_secret_comes_from_a_file(tmp_path: Path, content: bytes) -> None:
    path = kept(tmp_path, content.replace(b"%s", SECRET.encode()))
    assert secretrefs.resolve(f"file:{path}", {}) == SECRET


def test_a_file_that_holds_no_secret_is_told(tmp_path: Path) -> None:
    missing = tmp_path / "none"
    assert refusal(f"file:{missing}") == (
        f"the token is to come from {missing}, which cannot be read (No such file or directory)"
    )
    assert f"the token is to come from {tmp_path}, which cannot be read" in refusal(f"file:{tmp_path}")
    assert refusal(f"file:{kept(tmp_path, b'')}") == f"{tmp_path / 'token'} is empty"
    for content in (f"{SECRET}\n{SECRET}".encode(), SECRET.encode("utf-16"), f"{SECRET}\x00".encode()):
        assert refusal(f"file:{kept(tmp_path, content)}").endswith(" holds characters that no token has; copy it again")
    assert refusal(f"file:{kept(tmp_path, b'x' * 100_000)}").endswith(" is too large to be a token")


@posix
@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644, 0o660, 0o666, 0o602])
def test_a_file_that_others_may_read_is_refused_with_the_command_that_mends_it(tmp_path: Path, mode: int) -> None:
    path = kept(tmp_path, SECRET.encode(), mode)
    assert refusal(f"file:{path}") == f"{path} holds a secret and others may read it: chmod 600 {path}"


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_a_file_that_somebody_else_gave_us_is_read_as_it_is(tmp_path: Path) -> None:
    path = kept(tmp_path, SECRET.encode(), 0o444)
    os.chown(path, 12345, 12345)
    assert secretrefs.resolve(f"file:{path}", {}) == SECRET


@pytest.mark.parametrize("text", [SECRET, "", "env:", "vault:x", "ENV:X", f"token:{SECRET}", f"https://x/{SECRET}"])
def test_what_is_no_reference_is_refused_and_not_repeated(text: str) -> None:
    assert not secretrefs.is_reference(text)
    words = "the token is not env:NAME, file:PATH or keyring:NAME; the secret itself does not belong there"
    assert refusal(text) == words


def test_a_relative_path_is_kept_as_an_absolute_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert secretrefs.checked("file:here/token", "--client-secret") == f"file:{tmp_path / 'here' / 'token'}"
    assert secretrefs.checked(" env: NAME ", "--client-secret") == "env:NAME"


@given(st.text(max_size=40))
def test_whatever_the_environment_holds_is_a_token_or_a_refusal_that_does_not_repeat_it(text: str) -> None:
    try:
        found = secretrefs.resolve("env:X_Y_Z", {"X_Y_Z": text})
    except NoAccount as refused:
        message = str(refused)
        assert len(text.strip()) < 5 or text.strip() not in message
    else:
        assert found == text.strip()
        assert found.isascii()
        assert found.isprintable()


# --- the keyring: a module of that name that keeps a file, because the tests leave the person's own alone ---


def test_a_secret_comes_from_the_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_keyring(tmp_path, monkeypatch)
    assert refusal("keyring:shop") == (
        "the token is to come from the keyring's shop, which holds nothing:"
        " put it there with `keyring set catalogsync shop`"
    )
    secretrefs.keyring_set("shop", SECRET)
    assert secretrefs.resolve("keyring:shop", {}) == SECRET
    secretrefs.keyring_forget("shop")
    secretrefs.keyring_forget("shop")
    assert secretrefs.keyring_get("shop") is None


def test_without_the_library_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert refusal("keyring:shop") == (
        "a keyring is asked for, and the library is not installed:"
        ' pip install "catalogsync[keyring]", or use env:NAME or file:PATH'
    )


@pytest.mark.parametrize(
    ("error", "why"), [("NoKeyringError", "this machine has none"), ("KeyringLocked", "it refused (KeyringLocked)")]
)
def test_a_keyring_that_cannot_be_used_is_told_without_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str, why: str
) -> None:
    fake_keyring(tmp_path, monkeypatch)
    failure = type(error, (RuntimeError,), {})

    def fail(*_: object) -> None:
        raise failure(f"cannot give {SECRET}")

    monkeypatch.setattr("keyring.get_password", fail)
    assert refusal("keyring:shop") == (
        f"keyring:shop: the keyring cannot be used, {why}. On a machine without one use env:NAME or file:PATH"
    )


def test_a_keyring_that_waits_for_nobody_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_keyring(tmp_path, monkeypatch)
    answered = threading.Event()
    monkeypatch.setattr("keyring.get_password", lambda *_: answered.wait(60))
    monkeypatch.setattr(secretrefs, "KEYRING_S", 0.01)
    assert "the keyring did not answer in 0 s; is it locked?" in refusal("keyring:shop")
    answered.set()
