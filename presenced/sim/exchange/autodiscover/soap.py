"""The SOAP dialect: GetUserSettings, many users in one request ([MS-OXWSADISC] 3.1.4.2).

A WCF service answers it, so what is wrong with the envelope comes back as WCF's faults, what is wrong with
the request as an error code beside an empty list of users, what is wrong with one user as that user's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import NAMESPACE_DNS, uuid5

from lxml import etree

from presenced.sim.exchange.autodiscover.directory import Directory, Finding
from presenced.sim.exchange.autodiscover.reading import NotXml, escape, parse, text_at
from presenced.sim.exchange.organisation import SimulatedMailbox

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
ADDRESSING = "http://www.w3.org/2005/08/addressing"
AUTODISCOVER = "http://schemas.microsoft.com/exchange/2010/Autodiscover"
ACTION = f"{AUTODISCOVER}/Autodiscover/GetUserSettings"
VERSIONS = frozenset(
    {
        "Exchange2010",
        "Exchange2010_SP1",
        "Exchange2010_SP2",
        "Exchange2013",
        "Exchange2013_SP1",
        "Exchange2015",
        "Exchange2016",
    }
)
SCHEMAS = (
    "Exchange2007, Exchange2007_SP1, Exchange2010, Exchange2010_SP1, Exchange2010_SP2, Exchange2013, "
    "Exchange2013_SP1, Exchange2015, Exchange2016"
)

Setting = Callable[[SimulatedMailbox, Directory], str]
SETTINGS: dict[str, Setting] = {
    "UserDisplayName": lambda mailbox, _: mailbox.name,
    "UserDN": lambda mailbox, _: legacy_dn(mailbox),
    "UserDeploymentId": lambda mailbox, _: str(uuid5(NAMESPACE_DNS, mailbox.address.rpartition("@")[2])),
    "MailboxDN": lambda mailbox, _: legacy_dn(mailbox),
    "AutoDiscoverSMTPAddress": lambda mailbox, _: mailbox.address,
    "ExternalEwsUrl": lambda mailbox, directory: directory.ews_url(mailbox),
    "InternalEwsUrl": lambda mailbox, directory: directory.internal_ews_url(mailbox),
    "ExternalEwsVersion": lambda _, __: "15.02.1544.000",
    "CasVersion": lambda _, __: "15.02.1544.000",
    "EwsSupportedSchemas": lambda _, __: SCHEMAS,
    "GroupingInformation": lambda mailbox, directory: directory.grouping(mailbox),
}
"""settings this server has; one whose value is "" is not available"""
_OTHERS = """
    ActiveDirectoryServer AlternateMailboxes CrossOrganizationSharingEnabled EcpDeliveryReportUrlFragment
    EwsPartnerUrl ExternalEcpUrl ExternalMailboxServer ExternalMailboxServerAuthenticationMethods
    ExternalMailboxServerRequiresSSL ExternalOABUrl ExternalPop3Connections ExternalImap4Connections
    ExternalSmtpConnections ExternalUMUrl ExternalWebClientUrls InternalEcpUrl InternalMailboxServer
    InternalMailboxServerDN InternalOABUrl InternalRpcClientServer InternalUMUrl InternalWebClientUrls
    MobileMailboxPolicy PublicFolderServer ShowGalAsDefaultView UserMSOnline MapiHttpEnabled
"""
OTHER_SETTINGS = frozenset(_OTHERS.split())
"""settings an Exchange server may have and this one hasn't"""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer for the HTTP around it."""

    status: int
    body: bytes
    users: int = 0
    """how many users were asked for"""


@dataclass(frozen=True, slots=True)
class _Ask:
    users: tuple[str, ...]
    settings: tuple[str, ...]


class _Fault(Exception):
    """A SOAP fault: code without prefix, and reason."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class _Invalid(Exception):
    """An InvalidRequest for the request as a whole."""


def legacy_dn(mailbox: SimulatedMailbox) -> str:
    """The legacyExchangeDN, the name mailboxes had before they had addresses."""
    name, _, domain = mailbox.address.partition("@")
    return f"/o={domain}/ou=Exchange Administrative Group (FYDIBOHF23SPDLT)/cn=Recipients/cn={name}"


def answer(body: bytes, directory: Directory, *, soap_action: str = "", max_users: int = 100) -> Reply:
    """The reply to one request; `soap_action` is the HTTP header's value, "" where there was none."""
    try:
        envelope = parse(body)
    except NotXml:
        return Reply(400, b"")
    try:
        _check_envelope(envelope, soap_action.strip('"'))
        ask = _read(envelope, max_users)
    except _Fault as fault:
        return Reply(500, _fault(fault))
    except _Invalid as problem:
        return Reply(200, _response("InvalidRequest", str(problem), ""))
    users = "".join(_user(directory.find(user), ask.settings, directory) for user in ask.users)
    return Reply(200, _response("NoError", "", users), len(ask.users))


def _check_envelope(envelope: etree._Element, soap_action: str) -> None:
    """What WCF checks before Exchange sees anything."""
    if envelope.tag != f"{{{SOAP}}}Envelope":
        raise _Fault("VersionMismatch", "The envelope is not one of SOAP 1.1.")
    header = envelope.find(f"{{{SOAP}}}Header")
    for name in ("Action", "To"):
        if not text_at(header, f"{{{ADDRESSING}}}{name}"):
            raise _Fault(
                "MessageAddressingHeaderRequired",
                f"No {name} header was found with namespace '{ADDRESSING}' for the given message.",
            )
    action = text_at(header, f"{{{ADDRESSING}}}Action")
    if soap_action and soap_action != action:
        raise _Fault(
            "ActionMismatch",
            f"The SOAP action specified on the message, '{action}', does not match the HTTP SOAP Action, "
            f"'{soap_action}'.",
        )
    if action != ACTION:
        raise _Fault(
            "ActionNotSupported",
            f"The message with Action '{action}' cannot be processed at the receiver, due to a "
            "ContractFilter mismatch at the EndpointDispatcher.",
        )


def _read(envelope: etree._Element, max_users: int) -> _Ask:
    def name(local: str) -> str:
        return f"{{{AUTODISCOVER}}}{local}"

    version = text_at(envelope, f"{{{SOAP}}}Header", name("RequestedServerVersion"))
    if version not in VERSIONS:
        raise _Invalid("The RequestedServerVersion header is missing or invalid.")
    request = envelope.find(
        "/".join((f"{{{SOAP}}}Body", name("GetUserSettingsRequestMessage"), name("Request")))
    )
    if request is None:
        raise _Invalid("The request is missing.")
    users = tuple(
        text_at(user, name("Mailbox")) for user in request.iterfind(f"{name('Users')}/{name('User')}")
    )
    settings = request.iterfind(f"{name('RequestedSettings')}/{name('Setting')}")
    wanted = tuple(dict.fromkeys((setting.text or "").strip() for setting in settings))
    if not users:
        raise _Invalid("No users were specified.")
    if len(users) > max_users:
        raise _Invalid(f"The number of users exceeds the maximum of {max_users}.")
    if not wanted:
        raise _Invalid("No settings were requested.")
    return _Ask(users, wanted)


def _user(finding: Finding, settings: Sequence[str], directory: Directory) -> str:
    target = f"<RedirectTarget>{escape(finding.target)}</RedirectTarget>" if finding.target else _NO_TARGET
    found, errors = "", ""
    if finding.mailbox is not None:
        found, errors = _settings(finding.mailbox, settings, directory)
    return (
        f"<UserResponse><ErrorCode>{finding.code}</ErrorCode>"
        f"<ErrorMessage>{escape(finding.message)}</ErrorMessage>{target}"
        f"<UserSettingErrors>{errors}</UserSettingErrors><UserSettings>{found}</UserSettings></UserResponse>"
    )


def _settings(mailbox: SimulatedMailbox, settings: Sequence[str], directory: Directory) -> tuple[str, str]:
    """The settings asked for, and errors for those that can't be had."""
    found, errors = "", ""
    for setting in settings:
        value = SETTINGS[setting](mailbox, directory) if setting in SETTINGS else ""
        name = escape(setting)
        if value:
            found += _FOUND.format(name, escape(value))
        elif setting in SETTINGS or setting in OTHER_SETTINGS:
            errors += _ERROR.format("SettingIsNotAvailable", f"The setting '{name}' is not available.", name)
        else:
            errors += _ERROR.format("InvalidSetting", f"The setting '{name}' is not valid.", name)
    return found, errors


_NO_TARGET = '<RedirectTarget i:nil="true"/>'
_FOUND = '<UserSetting i:type="StringSetting"><Name>{}</Name><Value>{}</Value></UserSetting>'
_ERROR = (
    "<UserSettingError><ErrorCode>{}</ErrorCode><ErrorMessage>{}</ErrorMessage><SettingName>{}</SettingName>"
    "</UserSettingError>"
)


def _response(code: str, message: str, users: str) -> bytes:
    return (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{ADDRESSING}"><s:Header>'
        f'<a:Action s:mustUnderstand="1">{ACTION}Response</a:Action>'
        f'<h:ServerVersionInfo xmlns:h="{AUTODISCOVER}" xmlns:i="http://www.w3.org/2001/XMLSchema-instance">'
        "<h:MajorVersion>15</h:MajorVersion><h:MinorVersion>2</h:MinorVersion>"
        "<h:MajorBuildNumber>1544</h:MajorBuildNumber><h:MinorBuildNumber>4</h:MinorBuildNumber>"
        "<h:Version>Exchange2016</h:Version></h:ServerVersionInfo></s:Header><s:Body>"
        f'<GetUserSettingsResponseMessage xmlns="{AUTODISCOVER}">'
        '<Response xmlns:i="http://www.w3.org/2001/XMLSchema-instance">'
        f"<ErrorCode>{code}</ErrorCode><ErrorMessage>{escape(message)}</ErrorMessage>"
        f"<UserResponses>{users}</UserResponses></Response></GetUserSettingsResponseMessage></s:Body></s:Envelope>"
    ).encode()


def _fault(fault: _Fault) -> bytes:
    prefix = "s" if fault.code == "VersionMismatch" else "a"
    return (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{ADDRESSING}"><s:Header>'
        f'<a:Action s:mustUnderstand="1">{ADDRESSING}/fault</a:Action></s:Header><s:Body><s:Fault>'
        f"<faultcode>{prefix}:{fault.code}</faultcode>"
        f'<faultstring xml:lang="en-US">{escape(str(fault))}</faultstring>'
        "</s:Fault></s:Body></s:Envelope>"
    ).encode()
