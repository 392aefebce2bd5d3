"""What people write into calendars, in several languages: the words the generator and the scenario draw from.

Titles are the one thing of a calendar that users see again on their phones, so these hold what breaks
programs: umlauts, composed and decomposed letters, emoji of several code points, right-to-left words, `#tags`
that a client could take for its own, markup, and text that is too long.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Titles:
    """One language's titles; `{name}` stands for a colleague."""

    meetings: tuple[str, ...]
    reviews: tuple[str, ...]
    invitations: tuple[str, ...]
    private: tuple[str, ...]
    focus: tuple[str, ...]
    visits: tuple[str, ...]
    calls: tuple[str, ...]
    one_to_one: str
    stand_up: str
    weekly: str
    lunch: str
    home_office: str
    vacation: str
    training: str
    trip: str
    sick: str
    birthday: str
    on_call: str
    night: str
    reminder: str
    gone_home: str
    cancelled: str
    """what Outlook puts before the title of a cancelled appointment"""
    holidays: tuple[tuple[int, int, str], ...]
    """(month, day, name) of public holidays with a fixed date"""


_DE = Titles(
    meetings=(
        "Besprechung Angebot Müller & Söhne",
        "Jour fixe Vertrieb",
        "Abstimmung Umzug 3. OG",
        "Kick-off „Schöner telefonieren“",
        "Budgetrunde",
        "Prüfung Überstunden",
        "Vorstellungsgespräch",
    ),
    reviews=("Sprint-Review", "Rückblick", "Abnahme Release", "Planung nächste Woche"),
    invitations=("Optional: Brown-Bag-Vortrag", "Sommerfest-Planung", "Grillen im Hof?", "Infoveranstaltung"),
    private=("Zahnarzt", "Elternabend", "Steuerberater", "Abholung Kita", "Wohnungsbesichtigung"),
    focus=("Konzept schreiben", "Blocker", "Ruhige Stunde – bitte nicht stören"),
    visits=("Vor-Ort-Termin Großkunde", "Messebesuch", "Behördengang", "Inbetriebnahme Köln"),
    calls=("Kurzes Telefonat mit {name}", "Ad hoc: Störung", "Rückruf Kunde", "Schnelle Abstimmung"),
    one_to_one="1:1 {name}",
    stand_up="Stand-up",
    weekly="Teamrunde",
    lunch="Mittagspause",
    home_office="Homeoffice",
    vacation="Urlaub",
    training="Schulung (extern)",
    trip="Dienstreise",
    sick="Krank",
    birthday="Geburtstag {name} 🎂",
    on_call="Rufbereitschaft",
    night="Wartungsfenster Server",
    reminder="Erinnerung: Zeiten buchen",
    gone_home="Feierabend",
    cancelled="Abgesagt: ",
    holidays=(
        (1, 1, "Neujahr"),
        (5, 1, "Tag der Arbeit"),
        (10, 3, "Tag der Deutschen Einheit"),
        (12, 25, "1. Weihnachtstag"),
        (12, 26, "2. Weihnachtstag"),
    ),
)
_EN = Titles(
    meetings=(
        "Meeting with Caption Sparrow",
        "Quarterly numbers",
        "Vendor sync",
        "Roadmap",
        "Interview: systems engineer",
        "Office move",
        "Incident follow-up",
    ),
    reviews=("Sprint review", "Retrospective", "Design review", "Planning"),
    invitations=("Optional: brown bag", "Town hall?", "Summer party planning", "All hands (optional)"),
    private=("Dentist", "School run", "Bank appointment", "Physio", "Parents' evening"),
    focus=("Focus time", "Writing", "Do not book"),
    visits=("On site at customer", "Trade fair", "Site survey", "Data centre visit"),
    calls=("Quick call with {name}", "Ad hoc: outage", "Customer call-back", "Huddle"),
    one_to_one="{name} 1:1",
    stand_up="Stand-up",
    weekly="Team weekly",
    lunch="Lunch",
    home_office="Working from home",
    vacation="Vacation",
    training="Training (external)",
    trip="Business trip",
    sick="Sick",
    birthday="{name}'s birthday 🎉",
    on_call="On call",
    night="Server maintenance",
    reminder="Reminder: time sheets",
    gone_home="Gone home",
    cancelled="Canceled: ",
    holidays=((1, 1, "New Year's Day"), (12, 25, "Christmas"), (12, 26, "Boxing Day")),
)
_FR = Titles(
    meetings=("Réunion d'équipe élargie", "Point d'avancement", "Entretien d'embauche", "Réunion budgétaire"),
    reviews=("Revue de sprint", "Rétrospective", "Comité de pilotage"),
    invitations=("Présentation (facultatif)", "Pot de départ ?", "Séminaire"),
    private=("Médecin", "Rendez-vous à la banque", "École", "Notaire"),
    focus=("Rédaction", "Ne pas déranger"),
    visits=("Visite chez le client", "Salon", "Déplacement à Orléans"),
    calls=("Appel avec {name}", "Incident en cours", "Rappel client"),
    one_to_one="Tête-à-tête {name}",
    stand_up="Mêlée quotidienne",
    weekly="Hebdo équipe",
    lunch="Déjeuner",
    home_office="Télétravail",
    vacation="Congés",
    training="Formation (extérieur)",
    trip="Déplacement",
    sick="Arrêt maladie",
    birthday="Anniversaire de {name} 🎂",
    on_call="Astreinte",
    night="Maintenance nocturne",
    reminder="Rappel : feuilles de temps",
    gone_home="Fin de journée",
    cancelled="Annulé : ",
    holidays=((1, 1, "Jour de l'An"), (5, 1, "Fête du Travail"), (7, 14, "Fête nationale"), (12, 25, "Noël")),
)
_IT = Titles(
    meetings=("Riunione commerciale", "Allineamento progetto", "Colloquio", "Riunione qualità"),
    reviews=("Sprint review", "Retrospettiva", "Pianificazione"),
    invitations=("Presentazione (facoltativa)", "Aperitivo?", "Festa aziendale"),
    private=("Dentista", "Visita medica", "Commercialista"),
    focus=("Tempo di concentrazione", "Non disturbare"),
    visits=("Visita cliente", "Fiera", "Sopralluogo"),
    calls=("Chiamata veloce con {name}", "Guasto in corso", "Richiamare il cliente"),
    one_to_one="1:1 {name}",
    stand_up="Riunione giornaliera",
    weekly="Riunione settimanale",
    lunch="Pausa pranzo",
    home_office="Lavoro da casa",
    vacation="Ferie",
    training="Corso (esterno)",
    trip="Trasferta",
    sick="Malattia",
    birthday="Compleanno di {name} 🎂",
    on_call="Reperibilità",
    night="Manutenzione notturna",
    reminder="Promemoria: ore",
    gone_home="Uscito",
    cancelled="Annullato: ",
    holidays=((1, 1, "Capodanno"), (8, 15, "Ferragosto"), (12, 25, "Natale"), (12, 26, "Santo Stefano")),
)
_ES = Titles(
    meetings=("Reunión de dirección", "Seguimiento del proyecto", "Entrevista", "Revisión de campaña"),
    reviews=("Revisión del sprint", "Retrospectiva", "Planificación"),
    invitations=("Charla (opcional)", "¿Cena de equipo?", "Jornada abierta"),
    private=("Médico", "Gestoría", "Colegio de los niños"),
    focus=("Concentración", "No molestar"),
    visits=("Visita al cliente", "Feria", "Instalación en Logroño"),
    calls=("Llamada rápida con {name}", "Avería en curso", "Devolver llamada"),
    one_to_one="1:1 {name}",
    stand_up="Reunión diaria",
    weekly="Reunión semanal",
    lunch="Comida",
    home_office="Teletrabajo",
    vacation="Vacaciones",
    training="Formación (externa)",
    trip="Viaje de trabajo",
    sick="Baja médica",
    birthday="Cumpleaños de {name} 🎂",
    on_call="Guardia",
    night="Mantenimiento nocturno",
    reminder="Recordatorio: horas",
    gone_home="Fin de jornada",
    cancelled="Cancelado: ",
    holidays=(
        (1, 1, "Año Nuevo"),
        (5, 1, "Día del Trabajo"),
        (10, 12, "Fiesta Nacional"),
        (12, 25, "Navidad"),
    ),
)
_PL = Titles(
    meetings=("Spotkanie projektowe", "Narada sprzedaży", "Rozmowa kwalifikacyjna", "Przegląd kosztów"),
    reviews=("Przegląd sprintu", "Retrospektywa", "Planowanie"),
    invitations=("Prezentacja (opcjonalnie)", "Wyjście integracyjne?"),
    private=("Dentysta", "Urząd", "Wywiadówka"),
    focus=("Praca w skupieniu", "Nie przeszkadzać"),
    visits=("Wizyta u klienta", "Targi", "Wdrożenie w Łodzi"),
    calls=("Szybka rozmowa z {name}", "Awaria", "Oddzwonić do klienta"),
    one_to_one="1:1 {name}",
    stand_up="Codzienne spotkanie",
    weekly="Spotkanie zespołu",
    lunch="Obiad",
    home_office="Praca zdalna",
    vacation="Urlop",
    training="Szkolenie (zewnętrzne)",
    trip="Delegacja",
    sick="Zwolnienie lekarskie",
    birthday="Urodziny: {name} 🎂",
    on_call="Dyżur",
    night="Okno serwisowe",
    reminder="Przypomnienie: czas pracy",
    gone_home="Koniec pracy",
    cancelled="Odwołano: ",
    holidays=(
        (1, 1, "Nowy Rok"),
        (5, 3, "Święto Konstytucji"),
        (11, 11, "Niepodległości"),
        (12, 25, "Boże Narodzenie"),
    ),
)

_LANGUAGES = {"de": _DE, "en": _EN, "fr": _FR, "it": _IT, "es": _ES, "pl": _PL}

_LONG = (
    "Sehr langer Titel, weil jemand die ganze Tagesordnung in den Betreff geschrieben hat: Begrüßung, "
    "Protokoll, Zahlen des Quartals, Umzug, Verschiedenes, Termine, Schlüsselübergabe, Parkplätze und der "
    "Kaffeeautomat 👩🏽‍💻"
)
ODD = (
    "#whole-day Workshop #next-activity:away",
    "Release #2 #until:0",
    "## Überschrift ##",
    "#busy",
    "<script>alert('Besprechung')</script>",
    "<b>Fett</b> & \"quoted\" 'titles' ]]>",
    "Team-Frühstück 🥐☕ 👩🏽‍💻👨‍👩‍👧‍👦",
    "Cafe\u0301 mit Zoë (Buchstaben zerlegt)",
    "اجتماع مع العميل",
    "打ち合わせ(東京)",
    "  Leerzeichen\tund\u00a0Tabulator  ",
    "Price list $1 until $0 %s {name}",
    _LONG,
    "\u200b",
)


def titles(language: str) -> Titles:
    """The titles of a locale id ("de_AT" is "de"); English where we have none of that language."""
    return _LANGUAGES.get(language[:2].lower(), _EN)
