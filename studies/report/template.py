"""Templates of reports: HTML in which all text is escaped, with the numbers and names of `text`."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

from .text import label, number, percent

if TYPE_CHECKING:
    from markupsafe import Markup

HERE = __package__ or ""
"""The package of the report's own templates."""


def render_template(name: str, *, package: str = HERE, **values: Any) -> str:
    """Return a template, filled in; what it lacks is an error.

    Args:
        name: of the file, without `.html.j2`.
        package: whose folder holds it; its templates may import `macros.html.j2` from here.
        **values: what it names; text is escaped, `Markup` is not.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    def load(file: str) -> str | None:
        places = (files(folder).joinpath(file) for folder in dict.fromkeys((package, HERE)))
        return next((place.read_text(encoding="utf-8") for place in places if place.is_file()), None)

    loader = FunctionLoader(load)
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=loader
    )
    environment.filters |= {"label": label, "percent": percent, "number": number}
    return environment.get_template(f"{name}.html.j2").render(**values)


def as_markup(html: str) -> Markup:
    """Mark text as HTML that needs no escape: a figure, or a section that was rendered."""
    from markupsafe import Markup

    return Markup(html)


def style_sheet() -> Markup:
    """Return the style sheet of every page."""
    return as_markup(files(HERE).joinpath("report.css").read_text(encoding="utf-8"))
