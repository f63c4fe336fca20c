"""BibTeX entries of everything that a report stands on.

Fields are read off a citation only where its form leaves no doubt: `AUTHORS, "TITLE", REST`. Any other citation is the
title of a @misc entry, word for word, with where the numbers stand as its note. Nothing is looked up or made up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from snn_energy.reporting.document import Document
from snn_energy.reporting.references import Reference, references
from snn_energy.reporting.tex import escaped

_FORM = re.compile(r'(?P<authors>[^"]+?), "(?P<title>[^"]+)", (?P<rest>.+)')
_JOURNAL = re.compile(
    r"(?P<journal>[^,]+?) (?P<volume>\d+)(?:\((?P<number>[\d-]+)\))?, (?P<year>(?:19|20)\d\d)"
    r"(?:, pp\. (?P<pages>\d+-\d+))?(?P<more>.*)"
)
_PROCEEDINGS = re.compile(r"(?P<booktitle>[^;]*\b(?:Conference|Symposium|Workshop|Proceedings)\b[^;]*)")
_PAGES = re.compile(r", pp\. (?P<pages>\d+-\d+)$")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_ARXIV = re.compile(r"arXiv[: ](?P<id>\d{4}\.\d{4,5}(?:v\d+)?)|arxiv\.org/abs/(?P<url_id>\d{4}\.\d{4,5}(?:v\d+)?)")
_DOI = re.compile(r"https?://(?:dx\.)?doi\.org/(?P<doi>10\..+)")
_TOOL = re.compile(r"snn_energy, (?P<title>.+), version (?P<version>\S+)")


def bibtex(document: Document) -> str:
    """An entry for this package, for each source of a price, and for the method; ends in a newline."""
    return "\n".join(entry(reference) for reference in references(document))


def entry(reference: Reference) -> str:
    """One entry; ends in a newline."""
    kind, fields = _fields(reference)
    lines = [f"  {name} = {{{value}}}" for name, value in fields.items() if value]
    return f"@{kind}{{{reference.key},\n" + ",\n".join(lines) + "\n}\n"


def _fields(reference: Reference) -> tuple[str, dict[str, str]]:
    """The type of the entry and its fields, values as LaTeX."""
    tool = _TOOL.fullmatch(reference.citation)
    if tool is not None:
        title = f"{{snn\\_energy}}: {escaped(tool['title'])}"
        return "misc", {"key": "snn-energy", "title": title, "note": f"Version {escaped(tool['version'])}"}
    where = "; ".join(reference.locators)
    links = _links(reference)
    form = _FORM.fullmatch(reference.citation)
    if form is None or '"' in form["rest"]:  # no such form, or several publications in one
        # Sorting styles need an author or a key.
        fields = {"key": escaped(reference.citation), "title": f"{{{escaped(reference.citation)}}}"}
        return "misc", {**fields, "year": _arxiv_year(reference.citation), **links, "note": escaped(where)}
    fields = {"author": _authors(form["authors"]), "title": f"{{{escaped(form['title'])}}}"}
    kind, published = _published(form["rest"])
    return kind, {**fields, **published, **links, "annote": escaped(where)}


def _published(rest: str) -> tuple[str, dict[str, str]]:
    """What follows the title: a journal, proceedings, or anything else, as it is."""
    journal = _JOURNAL.fullmatch(rest)
    if journal is not None:
        found: Mapping[str, str | None] = journal.groupdict()
        fields = {name: escaped(found[name] or "") for name in ("journal", "volume", "number", "pages", "year")}
        fields["pages"] = fields["pages"].replace("-", "--")
        more = (found["more"] or "").strip(" ,.()")
        return "article", {**fields, "note": escaped("" if _ARXIV.fullmatch(more) else more)}
    pages = _PAGES.search(rest)
    before = rest[: pages.start()] if pages else rest
    proceedings = _PROCEEDINGS.fullmatch(before)
    if proceedings is not None:
        fields = {"booktitle": escaped(before), "pages": pages["pages"].replace("-", "--") if pages else ""}
        return "inproceedings", {**fields, "year": _year(rest)}
    return "misc", {"howpublished": escaped(rest), "year": _year(rest)}


def _authors(text: str) -> str:
    """`A. Author, B. Author` and `A. Author et al.` as BibTeX writes them."""
    names = [name.removesuffix(" et al.") for name in text.split(", ")]
    others = ["others"] if text.endswith(" et al.") else []
    return escaped(" and ".join(names + others))


def _year(text: str) -> str:
    """The first year that the text names; else that in a number of arXiv."""
    year = _YEAR.search(_ARXIV.sub("", text))
    return year[0] if year is not None else _arxiv_year(text)


def _arxiv_year(text: str) -> str:
    arxiv = _ARXIV.search(text)
    return "" if arxiv is None else f"20{(arxiv['id'] or arxiv['url_id'])[:2]}"


def _links(reference: Reference) -> dict[str, str]:
    """The address, its DOI, the number at arXiv."""
    doi = _DOI.fullmatch(reference.url or "")
    arxiv = _ARXIV.search(reference.citation) or _ARXIV.search(reference.url or "")
    number = "" if arxiv is None else arxiv["id"] or arxiv["url_id"]
    return {
        "doi": "" if doi is None else doi["doi"],
        "eprint": number,
        "archiveprefix": "arXiv" if number else "",
        "url": reference.url or "",
    }
