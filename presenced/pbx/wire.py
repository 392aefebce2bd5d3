"""JSON text <-> messages of the PBX link, and the digest of a login (pbx-link.md section 2).

Whatever a peer sends, `read` gives a message or raises WireError; nothing else comes out. It reads text
of peers that have not logged in, so sizes are bounded and no content is repeated in an error. Members
nobody needs are ignored, an unknown `mt` or `api` is a message of its own kind.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping

from presenced.pbx import messages as m

INCOMING_LIMIT = 1024 * 1024
"""bytes of a message a peer may send"""
OUTGOING_LIMIT = 64 * 1024
"""bytes a message of ours stays under: the vendor's socket code takes no more"""
FRAME_LIMIT = 16 * 1024
"""bytes a frame of ours stays under, header included"""
_HEADER_ROOM = 16
_TEXT_LIMIT = 1024
"""characters of one text member outside a table row"""

_COLUMNS = ("guid", "h323", "cn", "dn", "e164", "node", "loc", "hide", "h323-email", "emails")
_PSEUDO = ("", "executive")

Fields = Mapping[str, object]


class WireError(ValueError):
    """A text that is no message, or a message that can't be sent; says what is wrong with it."""


class _Float(float):
    """A number that remembers how it was written: the digest wants `1e2`, not `100.0`."""

    __slots__ = ("written",)

    def __new__(cls, written: str) -> _Float:
        number = super().__new__(cls, written)
        number.written = written
        return number

    written: str


def digest(login: m.AppLogin, challenge: str, password: str) -> str:
    """Lower-case hex SHA-256 of `app:domain:sip:guid:dn:info:challenge:password`.

    Without an `info` member that part and its colon are left out (pbx-link.md section 2).
    """
    parts = [login.app, login.domain, login.sip, login.guid, login.dn]
    if login.info is not None:
        parts.append(login.info)
    return _sha256([*parts, challenge, password])


def check_digests(check: m.AppCheckLogin, password: str) -> tuple[str, str]:
    """The digests that prove an AppCheckLogin.

    The page names its members but no formula: either the login's with the missing texts as "", or
    the members in their order. Both prove the same knowledge, so either will do.
    """
    login = m.AppLogin(app=check.app, domain=check.domain, digest="")
    short = _sha256([check.app, check.domain, check.challenge, password])
    return digest(login, check.challenge, password), short


def _sha256(parts: Iterable[str]) -> str:
    return hashlib.sha256(":".join(parts).encode()).hexdigest()


def read(data: str | bytes, limit: int = INCOMING_LIMIT) -> m.Incoming:
    """The message in a text (or in the bytes of a binary one) of at most `limit` bytes. Raises WireError."""
    fields = _parse(_decode(data, limit))
    mt = fields.get("mt")
    if not isinstance(mt, str):
        raise WireError("member mt is missing or not text")
    api = fields.get("api", "")
    reader, expected = _READERS.get(mt, (None, ""))
    if reader is None or (api != expected and "api" in fields):
        return m.Unknown(mt[:64], api[:64] if isinstance(api, str) else "")
    try:
        return reader(fields)
    except WireError as problem:
        raise WireError(f"{mt}: {problem}") from None


def write(message: m.Outgoing) -> str:
    """The message as JSON text without white space. Raises WireError where it would be too long."""
    text = _ENCODER.encode(_fields(message))
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise WireError(f"{type(message).__name__} holds half a surrogate pair, which is no text") from None
    if size >= OUTGOING_LIMIT:
        raise WireError(
            f"{type(message).__name__} has {size} bytes, the PBX takes less than {OUTGOING_LIMIT}"
        )
    return text


def frames(text: str) -> str | list[bytes]:
    """The text itself where one frame carries it, else the payloads of its frames."""
    data = text.encode()
    room = FRAME_LIMIT - _HEADER_ROOM
    if len(data) <= room:
        return text
    return [data[start : start + room] for start in range(0, len(data), room)]


# --- reading -------------------------------------------------------------------------------------


def _decode(data: str | bytes, limit: int) -> str:
    try:
        size = len(data if isinstance(data, bytes) else data.encode())
        text = data.decode() if isinstance(data, bytes) else data
    except UnicodeError:
        raise WireError("not UTF-8") from None
    if size > limit:
        raise WireError(f"{size} bytes, more than {limit}")
    return text


def _constant(name: str) -> object:
    """NaN and its like are no JSON, whatever the library thinks."""
    raise ValueError(name)


_DECODER = json.JSONDecoder(parse_float=_Float, parse_constant=_constant)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def _parse(text: str) -> Fields:
    try:
        fields = _DECODER.decode(text)
        if "\\ud" in text.lower():
            _ENCODER.encode(fields).encode()
    except UnicodeEncodeError:
        raise WireError("half a surrogate pair, which is no text") from None
    except (ValueError, RecursionError):
        raise WireError("not JSON (or nested too deep)") from None
    if not isinstance(fields, dict):
        raise WireError("not a JSON object")
    return fields


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise WireError(f"member {name} is not text")
    if len(value) > _TEXT_LIMIT:
        raise WireError(f"member {name} has more than {_TEXT_LIMIT} characters")
    return value


def _word(fields: Fields, name: str) -> str:
    """A text that some send as a number (version, build)."""
    value = fields.get(name)
    if isinstance(value, int | float):
        return str(value)
    return _text(fields, name)


def _src(fields: Fields) -> object:
    """Whatever it is, it is sent back, so it must be short and have a JSON form."""
    src = fields.get("src")
    if isinstance(src, str):
        return _text(fields, "src")
    try:
        length = len(json.dumps(src, allow_nan=False))
    except (ValueError, RecursionError):
        raise WireError("member src can't be sent back") from None
    if length > _TEXT_LIMIT:
        raise WireError(f"member src has more than {_TEXT_LIMIT} characters")
    return src


def _error(fields: Fields) -> str:
    """ "" without an error; a member `error` of 0 is none (pbx-link.md section 4)."""
    error = fields.get("error")
    if error is None or (isinstance(error, int | float | str) and not error):
        return ""
    text = fields.get("errorText")
    words = f": {text[:200]}" if isinstance(text, str) and text else ""
    number = str(error)[:32] if isinstance(error, int | float | str) else "of an unknown kind"
    return f"error {number}{words}"


def _columns(fields: Fields) -> m.Columns:
    columns = fields.get("columns")
    if not isinstance(columns, dict):
        raise WireError("member columns is missing or not an object")
    return columns


def _login(fields: Fields) -> m.AppLogin:
    info = fields.get("info")
    try:
        compact = _compact(info) if "info" in fields else None
    except RecursionError:
        raise WireError("member info is nested too deep") from None
    return m.AppLogin(
        app=_text(fields, "app"),
        domain=_text(fields, "domain"),
        sip=_text(fields, "sip"),
        guid=_text(fields, "guid"),
        dn=_text(fields, "dn"),
        info=compact,
        app_object=_text(info, "appobj") if isinstance(info, dict) else "",
        digest=_text(fields, "digest"),
        src=_src(fields),
    )


def _compact(value: object) -> str:
    """JSON without white space or needless escapes, keys in the order received, numbers as written."""
    if isinstance(value, _Float):
        return value.written
    if isinstance(value, dict):
        return "{" + ",".join(f"{_compact(key)}:{_compact(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_compact, value)) + "]"
    return _ENCODER.encode(value)


def _check_login(fields: Fields) -> m.AppCheckLogin:
    return m.AppCheckLogin(
        app=_text(fields, "app"),
        domain=_text(fields, "domain"),
        challenge=_text(fields, "challenge"),
        digest=_text(fields, "digest"),
        src=_src(fields),
    )


def _pbx_info(fields: Fields) -> m.PbxInfo:
    apis = fields.get("apis")
    if apis is None:
        apis = []
    if not isinstance(apis, list) or not all(isinstance(api, str) for api in apis):
        raise WireError("member apis is not a list of names")
    return m.PbxInfo(
        pbx=_text(fields, "pbx"),
        domain=_text(fields, "domain"),
        dns=_text(fields, "pbxDns"),
        apis=frozenset(apis),
        version=_word(fields, "version"),
        build=_word(fields, "build"),
    )


def _next_result(fields: Fields) -> m.ReplicateNextResult:
    error = _error(fields)
    row = _columns(fields) if "columns" in fields else None
    return m.ReplicateNextResult(row, error)


_READERS: dict[str, tuple[Callable[[Fields], m.Incoming], str]] = {
    "AppChallenge": (lambda f: m.AppChallenge(_src(f)), ""),
    "AppChallengeResult": (lambda f: m.AppChallengeResult(_text(f, "challenge"), _src(f)), ""),
    "AppLogin": (_login, ""),
    "AppLoginResult": (lambda f: m.AppLoginResult(f.get("ok") is True, _src(f)), ""),
    "AppCheckLogin": (_check_login, ""),
    "PbxInfo": (_pbx_info, ""),
    "AppInfo": (lambda f: m.AppInfo(_text(f, "app"), _src(f)), ""),
    "KeepAlive": (lambda f: m.KeepAlive(_src(f)), ""),
    "ReplicateStartResult": (lambda f: m.ReplicateStartResult(_error(f)), m.USERS_API),
    "ReplicateNextResult": (_next_result, m.USERS_API),
    "ReplicateAdd": (lambda f: m.ReplicateAdd(_columns(f)), m.USERS_API),
    "ReplicateUpdate": (lambda f: m.ReplicateUpdate(_columns(f)), m.USERS_API),
    "ReplicateDel": (lambda f: m.ReplicateDel(_columns(f)), m.USERS_API),
    "SetPresenceResult": (lambda f: m.SetPresenceResult(_src(f), _error(f)), m.PRESENCE_API),
}


# --- writing -------------------------------------------------------------------------------------


def _fields(message: m.Outgoing) -> dict[str, object]:
    match message:
        case m.ReplicateStart(src):
            return {
                "api": m.USERS_API,
                "mt": "ReplicateStart",
                "add": True,
                "del": True,
                "columns": {name: {} for name in _COLUMNS},
                "pseudo": list(_PSEUDO),
                "src": src,
            }
        case m.ReplicateNext(src):
            return {"api": m.USERS_API, "mt": "ReplicateNext", "src": src}
        case m.SetPresence(src, guid, contact, activity, note):
            return {
                "api": m.PRESENCE_API,
                "mt": "SetPresence",
                "src": src,
                "guid": guid,
                "contact": contact,
                "activity": activity,
                "note": note,
            }
        case _:
            fields = _answer(message)
            return fields if message.src is None else {**fields, "src": message.src}


def _answer(
    message: m.AppChallenge
    | m.AppChallengeResult
    | m.AppLogin
    | m.AppLoginResult
    | m.AppCheckLoginResult
    | m.AppInfoResult
    | m.KeepAlive,
) -> dict[str, object]:
    fields: dict[str, object] = {"mt": type(message).__name__}
    match message:
        case m.AppChallengeResult():
            fields["challenge"] = message.challenge
        case m.AppLogin():
            for name in ("app", "domain", "sip", "guid", "dn", "digest"):
                fields[name] = getattr(message, name)
        case m.AppLoginResult(ok=True):
            fields["ok"] = True
        case m.AppCheckLoginResult():
            fields["ok"] = message.ok
        case m.AppInfoResult():
            fields |= {"app": message.app, "info": {"hidden": True, "apis": {}}, "serviceInfo": {"apis": {}}}
        case _:
            pass
    return fields
