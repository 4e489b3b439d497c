"""Names of columns in the languages of common exports, by what they mean."""

from __future__ import annotations

import re
from functools import lru_cache

from .dates import plain

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

ROLES = ("item_id", "date", "sales", "price", "in_stock", "availability", "listed", "promotion", "holiday")
"""Columns of a history that are looked for by name."""

_NUMBER = r"(?: ?(?:id|no|nr|num|number|nummer|code|key|kod|cod|codigo|numero|ref|kennung|schlussel))"
_ARTICLE = (
    r"(?:item|sku|article|artikel|product|produkt|prod|material|part|teile?|ware|stock|upc|ean|gtin|asin|plu|"
    r"producto|articulo|produit|prodotto|articolo|towar|asortyment|indeks|produto)"
)
_WORDS: dict[str, tuple[tuple[int, str], ...]] = {
    "item_id": (
        (100, r"item id|unique id"),
        (95, r"sku(?: id| no| nr| code| number)?|ean(?: ?13)?|gtin|upc|asin|stock code|artikel ?nr|artikelnummer|"),
        (95, rf"{_ARTICLE}{_NUMBER}|(?:code|codigo|cod|codice|numero|kod|nr|ref|reference|referencia|id)(?: de| del)? "
             rf"?{_ARTICLE}|reference|referencia|materialnummer|artikelcode|produktnummer|indeks"),
        (85, rf"{_ARTICLE}s?|series(?: id)?"),
        (60, rf"{_ARTICLE} ?(?:name|bezeichnung|description|desc|nom|nombre|nome|naam|nazwa|text)|bezeichnung|nazwa|"
             r"(?:name|nom|nombre|nome|descripcion|description|designation|libelle|descrizione|omschrijving)"),
        (88, r"id"),
    ),
    "date": (
        (100, r"date|ds"),
        (95, r"datum|fecha|data|dato|datetime|date time|timestamp|ts|time stamp|dzien|day|tag|jour|giorno|dia|dag"),
        (92, r"week|woche|kw|kalenderwoche|isoweek|iso week|year week|week start|week of|week beginning|semaine|semana|"
             r"week end(?:ing|ed)?|"
             r"settimana|tydzien|week starting|wochenbeginn|jahr ?woche|yearweek"),
        (92, r"month|monat|mois|mes|mese|miesiac|maand|year month|yearmonth|period|periode|periodo|okres|zeitraum"),
        (90, r"(?:sales?|sale|invoice|order|transaction|trans|posting|booking|verkaufs|beleg|buchungs|rechnungs|"
             r"bestell|kauf|bon|report) ?(?:date|datum|day|tag|time)"),
        (90, r"(?:fecha|data|date) (?:de |della |di |du )?(?:venta|vente|vendita|sprzedazy|factura|facture|venda)"),
        (70, r"zeit|time|zeitpunkt|uhrzeit|hora|heure"),
        (60, r".*(?:date|datum|fecha)"),
    ),
    "sales": (
        (100, r"sales|y"),
        (95, r"units? ?sold|quantity(?: ?sold)?|qty(?: ?sold)?|units?|demand|menge|verkaufs ?menge|verkaufte menge|"
             r"absatz(?: ?menge)?|absatz in stuck|stuck(?: ?zahl)?|stk|verkaufte stuck(?:zahl)?|sold(?: units)?|"
             r"cantidad(?: vendida)?|unidades(?: vendidas)?|ventas|quantite(?: vendue)?|qte(?: vendue)?|ventes|"
             r"unites(?: vendues)?|quantita(?: venduta)?|venduto|vendite|pezzi|ilosc(?: sprzedana)?|sprzedaz|sztuki|"
             r"szt|aantal(?: verkocht)?|hoeveelheid|verkoop|quantidade|vendas|antal|mangd|bedarf|nachfrage|sale|"
             r"verkaufe|verkauf|afzet|pieces|pcs|sales ?(?:qty|quantity|units|volume)|unit ?sales|anzahl|volume"),
        (70, r"(?:sales|verkauf|ventas|ventes|vendite).*|.*(?:qty|quantity|menge|units|stuck)|count|number"),
    ),
    "price": (
        (100, r"price"),
        (95, r"unit ?price|sell(?:ing)? ?price|sales ?price|retail ?price|preis|einzel ?preis|stuck ?preis|vk|"
             r"vk ?preis|verkaufs ?preis|precio(?: unitario| de venta)?|prix(?: unitaire| de vente)?|"
             r"prezzo(?: unitario| di vendita)?|cena(?: jedn| jednostkowa| sprzedazy)?|prijs|verkoopprijs|"
             r"preco(?: unitario)?|pris|preis ?(?:je|pro) (?:stuck|einheit)"),
        (70, r"price (?:eur|usd|gbp|median|mean|avg)|preis .*|avg price|average price|list price"),
    ),
    "in_stock": ((100, r"in ?stock|on stock|verfugbar|lieferbar|auf lager|lagernd|en stock|disponible|disponibile|"
                       r"available|dostepny|beschikbaar|op voorraad"),),
    "availability": ((100, r"availability|verfugbarkeit|disponibilite|disponibilidad"),),
    "listed": ((100, r"listed|gelistet|active|aktiv|on sale"),),
    "promotion": ((100, r"promotion|promo|on ?promo(?:tion)?|is ?promo|aktion|in aktion|werbung|angebot|"
                        r"promocion|oferta|promozione|promocja|actie|en promo|promocao"),),
    "holiday": ((100, r"holiday|is ?holiday|feiertag|ferie|jour ferie|festivo|feestdag|swieto|feriado"),),
}  # fmt: skip
_PATTERNS = {
    role: tuple((strength, re.compile(pattern)) for strength, pattern in words) for role, words in _WORDS.items()
}
_NO_SALES = re.compile(
    r"\b(?:on hand|stock|bestand|inventory|lager|ordered|bestellt|forecast|plan|planned|budget|returns?|returned|"
    r"retoure[n]?|min|max|minimum|maximum|vorjahr|last year|ly|target|price|preis|cost|kosten|value|wert|amount|betrag|"
    r"revenue|umsatz|usd|eur|rank|id|tax|discount|rabatt|margin|profit|per customer)\b"
)
_PLACES = re.compile(
    r"(?:store|shop|filiale|markt|standort|branch|location|loc|site|outlet|region|country|land|city|stadt|ort|"
    r"warehouse|lager|lagerort|channel|sales channel|kanal|vertriebskanal|vertriebsweg|"
    r"tienda|magasin|negozio|punto vendita|sklep|winkel|"
    r"filiaal|depot|dc|plant|werk|laden|verkaufsstelle|sucursal|point de vente|market|zone|gebiet|state|dept|"
    r"department|loja|butik)(?: ?(?:id|no|nr|nbr|num|number|nummer|code|name|key))?"
)
_MONEY = re.compile(
    r".*(?:umsatz|revenue|turnover|amount|betrag|erlos|chiffre d affaires|ca ht|importe|facturacion|fatturato|montant|"
    r"obrot|omzet|wartosc|total price|line total|netto|brutto|sales value|value|wert|faturamento).*"
)
_COVARIATES = re.compile(
    r"(?:(?:air|luft|max|min|avg|mean|mittlere?|hochst|tiefst|aussen)? ?"
    r"(?:temperature?|temp|temperatur|temperatura|tmax|tmin|tavg|tmean)(?: ?(?:max|min|avg|mean|c|f|celsius))?)|"
    r"(?:weather|wetter|tiempo|meteo|pogoda|weer|rain|regen|rainfall|niederschlag|precipitation|precip|lluvia|pluie|"
    r"pioggia|schnee|snow|snowfall|wind|windspeed|wind speed|windstarke|humidity|luftfeuchte|luftfeuchtigkeit|"
    r"sonne|sunshine|sonnenstunden|bewolkung|cloud cover|pressure|luftdruck)(?: ?(?:mm|cm|h|kmh|ms|pct))?|"
    r"wochentag|week ?day|dow|day of ?week|day name|weekday name|dia de la semana|jour de (?:la )?semaine|"
    r"giorno della settimana|dzien tygodnia|wday|is ?weekend|weekend|wochenende|"
    r"(?:is ?|school ?|bank ?|public ?|state ?|schul)?(?:holidays?|ferien|feiertage?)(?: ?name)?|brucke?ntag|vacances|"
    r"promo\d?|(?:is ?)?promotions?|aktion(?:en)?|werbung|campaign|kampagne|events?(?: ?(?:name|type))?|"
    r"veranstaltung|besonderheit(?:en)?|season|saison|jahreszeit|"
    r"offen|geoffnet|open|is ?open|opening hours|offnungszeit(?:en)?|offnungstage|kunden(?:zahl)?|"
    r"customers?|visitors?|besucher(?:zahl)?|footfall|gaste|guests|clients|clientes|clienti|covid|lockdown|"
    r"bemerkung(?:en)?|notiz(?:en)?|kommentar|anmerkung(?:en)?|notes?|remarks?|comments?|hinweis(?:e)?|"
    r"day of ?year|tag im jahr|quarter|quartal"
)
_TOTALS = re.compile(
    r"(?:grand |sub ?)?(?:total(?:e|es|s)?|summe|gesamt(?:summe|ergebnis)?|zwischensumme|sum|somme|suma|razem|totaal|"
    r"ergebnis|all(?:e)?|insgesamt|overall|celkem)(?: .*)?|(?:general|gesamt) .*total.*|total.*|gesamt.*|summe.*"
)
_YEARS = re.compile(r"year|jahr|annee|ano|anno|rok|jaar|geschaftsjahr|fiscal year|isoyear|iso year|yr")
_WEEKS = re.compile(
    r"week|woche|kw|kalenderwoche|isoweek|iso week|semaine|semana|settimana|tydzien|week(?:number| no| nr)|wk|cw"
)
_MONTHS = re.compile(r"month|monat|mois|mes|mese|miesiac|maand|month (?:no|number)")
_DAYS = re.compile(r"day|tag|jour|dia|giorno|dzien|dag|day of month")


@lru_cache(maxsize=20_000)
def words_of(name: str) -> str:
    """Return a name as plain words: `ArtikelNr.` becomes `artikel nr`, `units_sold` becomes `units sold`."""
    return " ".join(re.sub(r"[^a-z0-9]+", " ", plain(_CAMEL.sub(" ", name))).split())


@lru_cache(maxsize=20_000)
def strength(name: str, role: str) -> int:
    """Return how surely a column of this name has a role, 0 (not at all) to 100 (the role's own name).

    >>> strength("Menge", "sales"), strength("item_id", "item_id"), strength("Umsatz", "sales")
    (95, 100, 0)
    """
    words = words_of(name)
    together = words.replace(" ", "")
    if role == "sales" and words not in ("y", "sales") and (_NO_SALES.search(words) or _MONEY.fullmatch(words)):
        return 0
    fits = [points for points, pattern in _PATTERNS[role] if pattern.fullmatch(words) or pattern.fullmatch(together)]
    return max(fits, default=0) if words else 0


def is_place(name: str) -> bool:
    """Say whether a column of this name tells where something was sold: a store, a channel, a region."""
    return bool(_PLACES.fullmatch(words_of(name)))


def is_money(name: str) -> bool:
    """Say whether a column of this name holds amounts of money that add up."""
    return bool(_MONEY.fullmatch(words_of(name)))


def is_covariate(name: str) -> bool:
    """Say whether a column of this name tells of the day and not of what was sold: weather, weekdays, visitors.

    >>> is_covariate("Temperatur"), is_covariate("Wochentag"), is_covariate("Steak")
    (True, True, False)
    """
    words = words_of(name)
    return bool(
        calendar_part(name)
        or _COVARIATES.fullmatch(words)
        or _COVARIATES.fullmatch(words.replace(" ", ""))
        or max(strength(name, role) for role in ("promotion", "holiday")) >= 95
    )


def is_other_measure(name: str) -> bool:
    """Say whether a word is for a measure other than units sold: money, prices, stock, orders, plans."""
    return is_money(name) or bool(_NO_SALES.search(words_of(name))) or strength(name, "price") > 0


def is_total(text: str) -> bool:
    """Say whether a text stands before a total."""
    return bool(_TOTALS.fullmatch(words_of(text)))


def calendar_part(name: str) -> str | None:
    """Return which part of a date a column of this name holds: "year", "week", "month", "day", or None."""
    words = words_of(name)
    for part, pattern in (("year", _YEARS), ("week", _WEEKS), ("month", _MONTHS), ("day", _DAYS)):
        if pattern.fullmatch(words):
            return part
    return None
