"""Where keys come from, and that nothing shows them."""

from __future__ import annotations

import io
import logging
import pickle
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.trade.bourse import CREDENTIALS, KEY, PASSPHRASE, SECRET
from unitape.errors import ConfigError, InvalidRequest, WireError
from unitape.spi import Credentials, HttpRequest
from unitape.trade.secrets import (
    SecretFilter,
    added_by_signing,
    load_credentials,
    scrub,
    scrub_error,
)

TOML = '[bourse]\nkey = "file-key"\nsecret = "file-secret"\npassphrase = "file-pass"\n'


def keyfile(folder: Path, text: str | bytes = TOML, mode: int = 0o600) -> Path:
    path = folder / "keys.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def parts(found: Credentials | None) -> tuple[str, str, str | None]:
    assert found is not None
    return found.key, found.secret, found.passphrase


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    path = keyfile(tmp_path)
    environ = {"UNITAPE_BOURSE_KEY": "k", "UNITAPE_BOURSE_SECRET": "s", "UNITAPE_CREDENTIALS": str(path)}
    assert parts(load_credentials("bourse", environ=environ)) == ("k", "s", None)
    environ["UNITAPE_BOURSE_PASSPHRASE"] = "p"
    assert parts(load_credentials("bourse", environ=environ)) == ("k", "s", "p")
    only_file = {"UNITAPE_CREDENTIALS": str(path)}
    assert parts(load_credentials("bourse", environ=only_file)) == ("file-key", "file-secret", "file-pass")
    assert parts(load_credentials("bourse", file=path, environ={})) == ("file-key", "file-secret", "file-pass")
    assert load_credentials("other", file=path, environ={}) is None
    assert load_credentials("bourse", environ={}) is None


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601])
def test_a_file_that_others_may_use_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = keyfile(tmp_path, mode=mode)
    with pytest.raises(ConfigError, match="chmod 600") as refused:
        load_credentials("bourse", file=path, environ={})
    assert f"{mode:o}" in str(refused.value)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_private_file_is_read(tmp_path: Path, mode: int) -> None:
    assert parts(load_credentials("bourse", file=keyfile(tmp_path, mode=mode), environ={}))[0] == "file-key"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[bourse]\nkey = "hush-hush"\n', "secret of [bourse] is missing"),
        ('[bourse]\nsecret = "hush-hush"\n', "key of [bourse] is missing"),
        ('[bourse]\nkey = 5\nsecret = "hush-hush"\n', "key of [bourse] must be a string"),
        ('bourse = "hush-hush"\n', "must be a table"),
        ('[bourse]\nhush-hush = "x"\nkey = "a"\nsecret = "b"\n', "1 field(s)"),
        ("[bourse]\nkey = hush-hush\n", "not valid TOML"),
        (b'[bourse]\nkey = "hush-hush\xff"\n', "not UTF-8"),
    ],
)
def test_a_wrong_file_is_refused_without_being_quoted(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_credentials("bourse", file=keyfile(tmp_path, text), environ={})
    assert said in str(refused.value)
    assert "hush-hush" not in repr(refused.value)
    seen: BaseException | None = refused.value
    while seen is not None:
        assert "hush-hush" not in repr(seen) + repr(vars(seen))
        seen = seen.__cause__ or seen.__context__


def test_half_a_pair_in_the_environment_is_refused_by_name() -> None:
    for given, missing in (("KEY", "SECRET"), ("SECRET", "KEY"), ("PASSPHRASE", "KEY")):
        with pytest.raises(ConfigError, match=f"UNITAPE_BOURSE_{missing} is missing") as refused:
            load_credentials("bourse", environ={f"UNITAPE_BOURSE_{given}": "hush-hush"})
        assert "hush-hush" not in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_credentials("bourse", file=tmp_path / "none.toml", environ={})


def test_credentials_show_themselves_nowhere() -> None:
    texts = [repr(CREDENTIALS), str(CREDENTIALS), f"{CREDENTIALS}", repr([CREDENTIALS]), repr({"c": CREDENTIALS})]
    texts.append(repr(Credentials.__slots__))
    assert not any(hidden in text for text in texts for hidden in (KEY, SECRET, PASSPHRASE))
    with pytest.raises(TypeError):
        pickle.dumps(CREDENTIALS)
    with pytest.raises(TypeError):
        vars(CREDENTIALS)


@pytest.mark.parametrize("hidden", [KEY, SECRET, PASSPHRASE, quote(SECRET, safe=""), quote(PASSPHRASE, safe="")])
def test_texts_are_scrubbed_also_of_encoded_secrets(hidden: str) -> None:
    assert scrub(f"a {hidden} b {hidden}", CREDENTIALS) == "a *** b ***"


def test_a_secret_within_a_secret_leaves_no_rest() -> None:
    assert scrub("abcdefgh abcd", Credentials("abcd", "abcdefgh")) == "*** ***"


def test_errors_are_scrubbed_in_every_place() -> None:
    refused = InvalidRequest(f"bad {KEY}", venue="bourse", code=SECRET, status=400)
    broken = WireError(f"bad {KEY}", f'{{"k":"{KEY}"}}\xff'.encode("latin-1"))
    for error in (refused, broken):
        scrub_error(error, CREDENTIALS.hidden())
        assert not any(hidden in repr(error) + str(error) + repr(vars(error)) for hidden in CREDENTIALS.hidden())
    assert refused.status == 400
    assert broken.data == b'{"k":"***"}\xff'


def test_logs_are_scrubbed_with_their_tracebacks() -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(SecretFilter([CREDENTIALS]))
    log = logging.getLogger("tests.secrets.child")
    log.addHandler(handler)
    try:
        log.warning("key %s and %r", KEY, {"s": SECRET})
        try:
            raise ValueError(f"signing with {SECRET} failed")
        except ValueError:
            log.exception("failed for %(who)s", {"who": PASSPHRASE})
    finally:
        log.removeHandler(handler)
    said = out.getvalue()
    assert "key *** and {'s': '***'}" in said
    assert "ValueError: signing with *** failed" in said
    assert not any(hidden in said for hidden in CREDENTIALS.hidden())


def test_what_signing_adds_is_found_whatever_it_is_called() -> None:
    plain = HttpRequest("POST", "/order", "a=1", b"x=2", auth="signed")
    signature, token = "f" * 64, "QUJDREVGR0hJSktMTU5PUFFSU1RVVg=="
    signed = HttpRequest("POST", "/order", f"a=1&ts=1790000000000&zz={signature}", b"x=2", (("Q", token), ("W", "5")))
    assert sorted(added_by_signing(plain, signed)) == sorted([signature, token])


def test_a_private_request_hides_itself_also_from_rich() -> None:
    shown = HttpRequest("GET", "/order", f"sig={SECRET}", SECRET.encode(), (("X-KEY", KEY),), auth="signed")
    for text in (repr(shown), str(list(shown.__rich_repr__()))):
        assert "/order" in text
        assert SECRET not in text
        assert KEY not in text
    public = HttpRequest("GET", "/depth", "symbol=BTCEUR")
    assert "symbol=BTCEUR" in repr(public)
