"""Seeded people: who works in a simulated organisation, as a PBX and as an Exchange would know them.

Every person is worked out from (seed, number) alone, so that fifty thousand of them need no list, and any one
can be made again in another process. PBX rows are as untidy as real ones: addresses in `;` lists, without
"@", as aliases, missing, or wrong (pbx-link.md section 3 says how a candidate address is made of them).
"""

from __future__ import annotations

import math
import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

DEFAULT_DOMAIN = "example.com"

_GIVEN = """
    Ägidius Alena Amélie Anders Aylin Beatriz Björn Bożena Călin Caption Charlotte Chiara Clément Dagmar
    Daniel Dörte Eirik Élodie Emre Fátima Finn Françoise Giorgos Grace Günther Hanna Héctor Ilse İpek Jana
    Jörg José Jürgen Karolína Kilian Lærke Léon Lucía Łukasz Maëlle Marek Matteo Mónica Murat Nele Niamh Ola
    Oona Paola Petra Quentin Rafał René Rüdiger Sabine Søren Tereza Thomas Ulrike Václav Wiebke Xenia
    Yusuf Zoë
"""
_FAMILY = """
    Åkesson Albrecht Almeida Arslan Bäcker Bauer Bianchi Böhm Bouvier Brandão Çelik Černý Conti Dąbrowski
    Delacroix Demir Dijkstra Dvořák Ekström Engel Fernández Ferrari Fuchs Gärtner García Gauthier Großmann
    Günay Haas Hansen Héroux Hofmann Horák Ibáñez Jensen Kaya Keller Kowalski Krämer Krüger Lange Lefèvre
    López Łuczak Maihoff Marchetti Mayer Möller Müller Nakamura Novák Núñez O'Brien Özdemir Peeters Pohl
    Quispe Reuß Ricci Rivière Romano Sánchez Schäfer Schröder Schulz Silva Smith Sørensen Sparrow Šimek
    Štěpán Taylor Thiele Tóth Ünal Vogel Wagner Wąsik Weiß Wiśniewski Yılmaz Zhang Ziegler Žák
"""
GIVEN, FAMILY = tuple(_GIVEN.split()), tuple(_FAMILY.split())
_COMBINATIONS = len(GIVEN) * len(FAMILY)
# without a common factor every combination is visited once before any comes again
_STRIDE = next(n for n in range(2 * _COMBINATIONS // 5, _COMBINATIONS) if math.gcd(n, _COMBINATIONS) == 1)

_FOLDED = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ø": "oe", "æ": "ae", "å": "aa", "ł": "l", "ı": "i", "'": ""}
)

# (language, zone, how many of a hundred)
_PLACES = (
    ("de", "Europe/Berlin", 58),
    ("de_AT", "Europe/Vienna", 8),
    ("en_GB", "Europe/London", 8),
    ("fr", "Europe/Paris", 6),
    ("it", "Europe/Rome", 5),
    ("es", "Europe/Madrid", 4),
    ("pl", "Europe/Warsaw", 4),
    ("en", "America/New_York", 3),
    ("pt_BR", "America/Sao_Paulo", 2),
    ("en", "Asia/Kolkata", 1),
    ("en", "Pacific/Auckland", 1),
)
_PLACE_NAMES = tuple((language, zone) for language, zone, _ in _PLACES)
_PLACE_WEIGHTS = tuple(weight for _, _, weight in _PLACES)


@dataclass(frozen=True, slots=True)
class Person:
    """One user: a row of the PBX's table and, mostly, a mailbox."""

    number: int
    given: str
    family: str
    guid: str
    """32 hexadecimal digits"""
    h323: str
    """the name on the PBX, unique"""
    e164: str
    """extension, "" for a few"""
    emails: tuple[str, ...]
    """the PBX's `emails[].email` as somebody typed them"""
    h323_email: bool
    """the PBX's check mark "h323 is the e-mail address" """
    mailbox: str
    """primary SMTP address, "" for who has none"""
    aliases: tuple[str, ...]
    """further SMTP addresses of the mailbox"""
    language: str
    """locale id"""
    zone: str
    """IANA name of where the person sits"""

    @property
    def cn(self) -> str:
        """Display name on the PBX."""
        return f"{self.given} {self.family}"

    @property
    def dn(self) -> str:
        """Name as directories sort it."""
        return f"{self.family}, {self.given}"


def people(count: int, *, seed: int = 0, domain: str = DEFAULT_DOMAIN) -> Iterator[Person]:
    """The first `count` people of this seed."""
    return (person(number, seed=seed, domain=domain) for number in range(count))


def person(number: int, *, seed: int = 0, domain: str = DEFAULT_DOMAIN) -> Person:
    """Person `number` of this seed, the same whenever asked; names and addresses are unique in a seed."""
    given, family, local = _name(number, seed)
    rng = random.Random(f"person|{seed}|{number}")  # noqa: S311 - plausible, not secret
    language, zone = rng.choices(_PLACE_NAMES, _PLACE_WEIGHTS)[0]
    h323, emails, h323_email, mailbox, aliases = _addresses(rng.randrange(100), local, domain)
    return Person(
        number=number,
        given=given,
        family=family,
        guid=f"{rng.getrandbits(128):032x}",
        h323=h323,
        e164="" if rng.random() < 0.02 else str(100 + number),
        emails=emails,
        h323_email=h323_email,
        mailbox=mailbox,
        aliases=aliases,
        language=language,
        zone=zone,
    )


@lru_cache(maxsize=1024)
def folded(name: str) -> str:
    """A name in the letters of a mail address: lower case ASCII, "ä" as "ae"."""
    # "İ" lowers to "i" and a combining dot: the second pass takes such marks away
    spelled = unicodedata.normalize("NFC", name).lower().translate(_FOLDED)
    return "".join(c for c in unicodedata.normalize("NFKD", spelled) if c.isascii())


def _name(number: int, seed: int) -> tuple[str, str, str]:
    """Given name, family name and a local part no other number has."""
    lap, place = divmod(number, _COMBINATIONS)
    combination = (place * _STRIDE + seed * 7919) % _COMBINATIONS
    given, family = GIVEN[combination % len(GIVEN)], FAMILY[combination // len(GIVEN)]
    local = f"{folded(given)}.{folded(family)}"
    return given, family, f"{local}{lap + 1}" if lap else local


def _addresses(draw: int, local: str, domain: str) -> tuple[str, tuple[str, ...], bool, str, tuple[str, ...]]:
    """PBX name, typed addresses, check mark, mailbox and aliases; `draw` is 0…99."""
    primary, alias = f"{local}@{domain}", f"{local.replace('.', '_')}@{domain}"
    plain = local.replace(".", "")
    table: tuple[tuple[int, tuple[str, tuple[str, ...], bool, str, tuple[str, ...]]], ...] = (
        (62, (plain, (primary,), False, primary, ())),
        (70, (plain, (alias,), False, primary, (alias,))),
        (76, (plain, (f"{alias}; {primary}",), False, primary, (alias,))),
        (81, (plain, (local,), False, primary, ())),
        (87, (local, (), False, primary, ())),
        (91, (primary, (), True, primary, ())),
        (95, (plain, (f"{plain}@old.{domain}", primary), False, primary, ())),
        (98, (plain, (f"{plain}@{domain}",), False, "", ())),
        (100, (plain, (), False, "", ())),
    )
    return next(row for bound, row in table if draw < bound)
