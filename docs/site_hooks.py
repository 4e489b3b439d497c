"""What the pages of the site take from the code: options of commands, terms of the report, and the package itself.

Run by `mkdocs build`; `mkdocs.yml` names it. Lines that are replaced:

    <!-- commands -->          the arguments and options of each command, as `fractile COMMAND --help` lists them
    <!-- report terms -->       the glossary of the report, merged into the page's own list of terms
    <!-- config -->             every key of a study's config, section by section
    <!-- api: step, simulate -->  these public names, from their docstrings
    <!-- api: fr.exact -->      the names of a room
    <!-- api: rest -->          public names that no other page has
"""

from __future__ import annotations

import inspect
import json
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_LINK = tempfile.TemporaryDirectory()
"""The root of the repository is the package: a link of its name makes it importable from wherever it was cloned to."""


def on_startup(**_):
    """Let `fractile` be this checkout, for what is imported here and for what the API pages are read from."""
    link = Path(_LINK.name) / "fractile"
    if not link.exists():
        link.symlink_to(ROOT, target_is_directory=True)
        sys.path.insert(0, _LINK.name)


def on_config(config):
    """Put the notebooks that there are into the navigation, after the tutorials; `notebooks/pages.py` makes them."""
    pages = [{_title(path): f"notebooks/{path.stem}.md"} for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
    place = next(k for k, entry in enumerate(config.nav) if "Tutorials" in entry) + 1
    if not any("Notebooks" in entry for entry in config.nav):
        config.nav.insert(place, {"Notebooks": pages})
    return config


def _title(notebook):
    text = "".join(json.loads(notebook.read_text(encoding="utf-8"))["cells"][0]["source"])
    return text.partition("\n")[0].lstrip("# ")


def on_page_markdown(markdown, **_):
    """Replace the lines that stand for what the code knows."""
    if "<!-- commands -->" in markdown:
        markdown = markdown.replace("<!-- commands -->", commands())
    markdown = re.sub(r"^<!-- api: (.+) -->$", lambda found: api_of(found[1]), markdown, flags=re.M)
    if "<!-- config -->" in markdown:
        markdown = markdown.replace("<!-- config -->", config_keys())
    return with_report_terms(markdown) if "<!-- report terms -->" in markdown else markdown


def commands():
    """Return every command with the table of its arguments and options."""
    import typer

    from fractile.cli import app

    known = typer.main.get_command(app).commands
    return "\n\n".join(f"## {name}\n\n{options_of(command)}" for name, command in known.items())


def options_of(command):
    """Return a command's sentence, and the table of its arguments and options."""
    rows = ["| option | what it is |", "|---|---|"]
    for parameter in command.params:
        if parameter.name == "help":
            continue
        name = ", ".join(parameter.opts) if parameter.opts[0].startswith("-") else ""
        metavar = "" if getattr(parameter, "is_flag", False) else (parameter.metavar or "")
        shown = f"{name} {metavar}".strip() or parameter.name.upper()
        text = f"{getattr(parameter, 'help', None) or ''}{' *Needed.*' if parameter.required else ''}"
        rows.append(f"| `{shown.replace('|', ' or ')}` | {text.replace('|', ' or ')} |")
    return f"{inspect.cleandoc(command.help)}\n\n" + "\n".join(rows)


def api_of(names):
    """Return the directives that write the documentation of names, or of all names of a room."""
    import fractile as fr

    if names == "rest":
        given = {name for page in (ROOT / "docs" / "api").glob("*.md") for name in _named(page)}
        chosen = [name for name in fr.__all__ if name not in given and not inspect.ismodule(getattr(fr, name))]
    elif names.startswith("fr."):
        room = getattr(fr, names[3:])
        own = [name for name in room.__all__ if name not in fr.__all__ and not inspect.ismodule(getattr(room, name))]
        return "\n".join(_directive(f"{room.__name__}.{name}", f"{names}.{name}") for name in own)
    else:
        chosen = names.split(", ")
    return "\n".join(_directive(f"fractile.{name}", f"fr.{name}") for name in chosen)


def _named(page):
    found = re.findall(r"^<!-- api: (.+) -->$", page.read_text(encoding="utf-8"), flags=re.M)
    return [name for names in found for name in names.split(", ")]


def _directive(path, heading):
    return f"::: {path}\n    options:\n      heading: {heading}\n"


def config_keys():
    """Return a table of keys for each section of a study's config: name, default and what it is."""
    from fractile.studies.config import StudyConfig
    from fractile.studies.sections import Section

    parts = [_section("Top level", StudyConfig)]
    for name, field in StudyConfig.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            parts.append(_section(f"[{name}]", field.annotation))
    return "\n\n".join(parts)


def _section(title, section):
    """Return the heading, first sentence and table of one section; the texts are those of its docstring."""
    from fractile.studies.sections import Section

    doc = inspect.getdoc(section)
    first = re.sub(r"^`\[\w+\]`: ", "", " ".join(doc.partition("\n\n")[0].split()))
    known = re.compile(r"^ {4}(\w+): (.*(?:\n {8,}.*)*)", re.M)
    texts = {name: " ".join(text.split()) for name, text in known.findall(doc.partition("Attributes:")[2])}
    rows = ["| key | default | what it is |", "|---|---|---|"]
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            continue
        default = field.get_default(call_default_factory=True)
        shown = "" if default is None or default in ({}, ()) else f"`{_toml(default)}`"
        rows.append(f"| `{name}` | {shown} | {texts.get(name, '').replace('|', ' or ')} |")
    return f"### {title}\n\n{first[:1].upper()}{first[1:]}\n\n" + "\n".join(rows)


def _toml(value):
    """Return a default as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    if isinstance(value, dict) or hasattr(value, "items"):
        return "{ " + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + " }"
    return f'"{value}"' if isinstance(value, str) else str(value)


def with_report_terms(markdown):
    """Merge the report's terms into the page's list, in the order of the alphabet."""
    from fractile.studies.report.glossary import TERMS

    term = re.compile(r"^(\S.*)\n:   (.+?)\n(?=\n|\Z)", re.M | re.S)
    head, _, rest = markdown.partition("<!-- report terms -->")
    terms = dict(TERMS) | {name: " ".join(text.split()) for name, text in term.findall(rest)}
    ordered = sorted(terms.items(), key=lambda entry: entry[0].strip("*`").lower())
    return head + "\n".join(f"{name}\n:   {text}\n" for name, text in ordered)
