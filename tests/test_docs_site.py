"""The site builds without a warning and without the network, and what its pages say of the code is true."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from contextlib import redirect_stdout
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import fractile as fr
from fractile.cli import app
from fractile.randomness import keyed_generator
from fractile.studies.report.glossary import TERMS

ROOT = Path(fr.__file__).parent
DOCS = ROOT / "docs"
OWN = [*sorted(DOCS.glob("*/*.md")), DOCS / "index.md", DOCS / "install.md", DOCS / "glossary.md"]
"""Pages that are written by hand; the others are made by scripts, and tested there."""
REQUESTS = {"img": "src", "script": "src", "iframe": "src", "source": "src", "link": "href"}


class Requests(HTMLParser):
    """Collects the addresses that a browser fetches for a page, and the targets of its links."""

    def __init__(self, text):
        super().__init__()
        self.fetched, self.ids, self.titles = [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag in REQUESTS and given.get("rel") != "canonical":
            self.fetched.append(given.get(REQUESTS[tag]) or "")
        if given.get("id"):
            self.ids.add(given["id"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-P", "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


def test_the_site_is_whole_and_fetches_nothing_from_elsewhere(site):
    pages = {path.relative_to(site).as_posix(): Requests(path.read_text("utf-8")) for path in site.rglob("*.html")}
    assert {"index.html", "systems.html", "api/stock.html", "tutorials/train-a-policy.html"} <= set(pages)
    outside = {(page, url) for page, found in pages.items() for url in found.fetched if re.match(r"(https?:)?//", url)}
    assert not outside
    styles = "".join(path.read_text("utf-8") for path in site.rglob("*.css"))
    assert not re.findall(r"url\([\"']?https?:|@import", styles)


def test_every_public_name_is_documented(site):
    text = "".join(path.read_text("utf-8") for path in (site / "api").glob("*.html"))
    public = {name for name in fr.__all__ if not hasattr(getattr(fr, name), "__path__")}
    assert not {name for name in public if f'id="fractile.{name}"' not in text and f">fr.{name}<" not in text}


def test_the_search_finds_pages_and_names(site):
    index = (site / "search" / "search_index.js").read_text("utf-8")
    for word in ("protection interval", "fr.train_policy", "--stockout-cost", "statistics.held_out"[:10]):
        assert word in index


def test_commands_options_and_keys_are_those_of_the_code(site):
    text = (site / "reference" / "commands.html").read_text("utf-8")
    for command in commands():
        assert f'id="{command}"' in text
    config = (site / "reference" / "config.html").read_text("utf-8")
    assert "backtest" in config
    assert "simulated_histories" in config


def test_terms_of_the_report_are_in_the_glossary_once(site):
    text = (site / "glossary.html").read_text("utf-8")
    assert {term: text.count(f"<dt>{term}</dt>") for term in TERMS} == dict.fromkeys(TERMS, 1)


def commands():
    import typer

    return typer.main.get_command(app).commands


def lines_of(page):
    """Return the commands that a page shows, without remarks."""
    blocks = re.findall(r"^```(.*?)\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    lines = [line for kind, block in blocks if kind in ("", "sh") for line in block.replace("\\\n", " ").splitlines()]
    return [re.sub(r"\s+#.*", "", line) for line in lines if line.startswith("fractile ")]


def run(line):
    """Run a command as it is shown."""
    done = CliRunner().invoke(app, shlex.split(line)[1:], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def shell_lines():
    for page in [*OWN, ROOT / "README.md"]:
        for line in lines_of(page):
            yield pytest.param(line, id=f"{page.name}: {line[:60]}")


@pytest.mark.parametrize("line", list(shell_lines()))
def test_commands_that_are_shown_exist_with_their_options(line):
    _, command, *rest = line.split()
    known = {flag for parameter in commands()[command].params for flag in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= known


@pytest.mark.parametrize(
    "page", [p for p in OWN if p.name != "run-folder.md"], ids=lambda p: p.relative_to(DOCS).as_posix()
)
def test_code_of_a_page_prints_what_it_shows(page, tmp_path, monkeypatch):
    """Blocks run in order; one with a title is a file that the others may import."""
    block = re.compile(r"```python(?: title=\"(.*?)\")?\n(.*?)```(?:\n\n```\n(.*?)```)?", re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    space = {}
    for title, code, shown in block.findall(page.read_text("utf-8")):
        if "learn(" in code:
            continue  # has a test of its own
        if title:
            Path(title).write_text(code, "utf-8")
            continue
        output = StringIO()
        with redirect_stdout(output):
            exec(
                compile(code.replace("learn(40_000)", "learn(64)").replace("items=40", "items=4"), page.name, "exec"),
                space,
            )
        assert output.getvalue() == shown


@pytest.mark.parametrize(
    "link", sorted(set(re.findall(r"\]\((?!https?:)(.*?)\)", (ROOT / "README.md").read_text("utf-8"))))
)
def test_links_of_the_readme_lead_somewhere(link):
    path, _, anchor = link.partition("#")
    target = ROOT / path if path else ROOT / "README.md"
    assert target.exists()
    if anchor:
        headings = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_agent_of_a_tutorial_is_trained_compared_kept_and_orders(tmp_path, monkeypatch):
    """Twelve lines; here with few items and steps."""
    text = (DOCS / "tutorials" / "train-a-policy.md").read_text("utf-8")
    (code,) = (code for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "learn(" in code)
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    monkeypatch.chdir(tmp_path)
    shorter = code.replace("items=40", "items=5").replace("learn(40_000)", "learn(320)")
    assert shorter.count("items=5") == shorter.count("learn(320)") == 1
    output = StringIO()
    with redirect_stdout(output):
        exec(compile(shorter, "train-a-policy.md", "exec"), {})
    assert "sac" in output.getvalue()
    assert "order_up_to" in output.getvalue()
    assert fr.SB3Policy.load("runs/sac").algorithm == "sac"


SMALLER = {
    "study": "--forecaster seasonal_naive --policy projected --policy base_stock --periods 12 --validation 12",
    "train": "--forecaster seasonal_naive --policy newsvendor",
    "impact": "--forecasters seasonal_naive --policies newsvendor --periods 12 --validation 12",
}
"""What stands in tests for the forecasters and policies that a page names: little to compute."""


def with_less_work(line):
    """Return a command of a page with cheap forecasters and policies."""
    command = line.split()[1]
    if command not in SMALLER or "--forecaster ours" in line:
        return line
    return f"{re.sub(r' --(policy|forecaster|baseline) [^ ]+', '', line)} {SMALLER[command]}"


@pytest.mark.parametrize(
    "name", ["save-costs-with-your-csv", "what-is-my-forecast-worth", "train-a-policy", "weekly-job"]
)
def test_a_tutorial_works_on_other_data(name, tmp_path, monkeypatch):
    """Every command in its order, on six items of another shop: fewer weeks, other dates, other columns' order."""
    (page,) = (path for path in OWN if path.stem == name)
    monkeypatch.chdir(tmp_path)
    write_shop(tmp_path)
    if name == "weekly-job":
        run("fractile import shop.csv --out history.csv")
        write_parameters(tmp_path)
        run(with_less_work("fractile train --history history.csv --items items.csv --out runs/kept"))
    for line in lines_of(page):
        if re.match(r"fractile (resume|train fractile/)", line):
            continue  # nothing was interrupted; environments are trained on in tests of their own
        if line.startswith("fractile study") and name != "save-costs-with-your-csv":
            continue  # one study is enough
        if "items.csv" in line or "state.csv" in line:
            write_parameters(tmp_path)
        if "forecasts.csv" in line and not Path("forecasts.csv").exists():
            subprocess.run([sys.executable, "ours.py"], check=True)
        run(with_less_work(line))
    assert Path("orders.csv").read_text("utf-8").count("\n") == 1 + len(ITEMS)
    if name == "save-costs-with-your-csv":
        (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "howto" / "run-folder.md").read_text("utf-8"), re.DOTALL)
        exec(compile(code.replace("runs/small", "runs/study"), "run-folder.md", "exec"), found := {})
        assert len(found["dearest"]) == 3


def test_scripts_on_forecasts_run_on_other_data(tmp_path, monkeypatch):
    """Point forecasts get quantiles that rise with the level, and `fr.impact` values them with earlier origins."""
    text = (DOCS / "tutorials" / "what-is-my-forecast-worth.md").read_text("utf-8")
    monkeypatch.chdir(tmp_path)
    write_shop(tmp_path)
    run("fractile import shop.csv --out history.csv")
    subprocess.run([sys.executable, "ours.py"], check=True)
    frame = pd.read_csv("forecasts.csv", dtype={"item_id": str})
    frame[frame["level"] == 0.5].drop(columns="level").to_csv("points.csv", index=False)
    code = dict(re.findall(r"```python title=\"(.*?)\"\n(.*?)```", text, re.DOTALL))
    exec(compile(code["points.py"].replace("], 26", "], 12"), "points.py", "exec"), {})
    made = pd.read_csv("forecasts.csv", dtype={"item_id": str})
    assert made.groupby(["item_id", "origin_date", "date"])["value"].is_monotonic_increasing.all()
    with redirect_stdout(StringIO()) as printed:
        exec(compile(code["worth.py"].replace("periods=26", "periods=12"), "worth.py", "exec"), {})
    assert "Cheapest is ours with" in printed.getvalue()
    assert "note:" not in printed.getvalue()


ITEMS = ("10-A", "10-B", "007", "Müsli", "=Summe", "Öl")
WEEKS = 64


def write_shop(folder):
    """Write another shop's export, and what the second tutorial makes of forecasts."""
    weeks = pd.date_range("2023-05-01", periods=WEEKS, freq="W-MON")
    sold = keyed_generator(0, "another shop").poisson(6.0, (WEEKS, len(ITEMS)))
    rows = [
        f"{week:%d.%m.%Y};{item};{units};{2 + k},50"
        for week, line in zip(weeks, sold, strict=True)
        for k, (item, units) in enumerate(zip(ITEMS, line, strict=True))
    ]
    (folder / "shop.csv").write_bytes("\n".join(["Datum;Artikel;Menge;Preis", *rows, ""]).encode("cp1252"))
    text = (DOCS / "tutorials" / "what-is-my-forecast-worth.md").read_text("utf-8")
    (folder / "ours.py").write_text(re.search(r"title=\"ours.py\"\n(.*?)```", text, re.DOTALL)[1], "utf-8")


def write_parameters(folder):
    """Fill in the files of items and stock."""
    lines = [f"{item},2,0.05,1,6" for item in ITEMS]
    (folder / "items.csv").write_text(
        "\n".join(["item_id,lead_time,holding_cost,stockout_cost,pack_size", *lines]), "utf-8"
    )
    lines = [f"{item},4,6,0" for item in ITEMS]
    (folder / "state.csv").write_text("\n".join(["item_id,on_hand,arriving_1,arriving_2", *lines]), "utf-8")
