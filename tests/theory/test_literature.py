"""The literature's numbers: solved exactly, simulated, and in the table that the documentation keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fractile as fr
from fractile.cli import app
from fractile.studies.literature import literature_page, literature_rows, literature_table

PAGE = Path(fr.__file__).parent / "docs" / "literature.md"
QUICK = [
    "zipkin2008-poisson-b4-L[12]",
    "zipkin2008-poisson-b39-L1",
    "zipkin2008-geometric-b4-L[12]",
    "temizoz2025-poisson-b4-L6",
    "alvo2023-backorder-*-L[14]",
    "gijsbrechts2022-dual-L2-c105",
    "bijvank2015*",
    "zheng1991*",
    "alvo2023-serial-b[49]-L[14]",
    "snyder2019*",
    "alvo2023-transshipment*",
    "demoor2022*",
]


@pytest.mark.parametrize("pattern", QUICK)
def test_ours_is_the_literature(pattern):
    rows = list(literature_rows(pattern, paths=60))
    assert [row for row in rows if not row.agrees] == []
    assert rows


@pytest.mark.slow
def test_every_number_of_the_literature():
    table = literature_table()
    assert table[~table["agrees"]].to_string() == table[:0].to_string()


def test_rows_can_disagree():
    row = next(literature_rows("zheng1991-poisson-10"))
    assert row.agrees
    assert not type(row)(**{**row.__dict__, "ours": row.ours + 1e-3}).agrees


def test_simulated_rows_know_their_error():
    few, many = (
        [row for row in literature_rows("zipkin2008-poisson-b4-L1", paths=paths) if row.method == "simulated"]
        for paths in (20, 180)
    )
    ratios = [a.standard_error / b.standard_error for a, b in zip(few, many, strict=True)]
    assert np.mean(ratios) == pytest.approx(3.0, rel=0.3)


def test_the_page_shows_every_row_and_every_source():
    table = literature_table("zheng1991-poisson-1*", paths=20)
    page = literature_page(table)
    assert page.count("| zheng1991-poisson-1") == len(table)
    assert "Zheng and Federgruen (1991)" in page
    assert f"{len(table)} rows, 0 apart." in page
    worse = literature_page(table.assign(agrees=False))
    assert "**no**" in worse


def test_the_documentation_keeps_a_row_for_every_number():
    page = PAGE.read_text(encoding="utf-8")
    for name, instance in fr.instances.items():
        if instance.optimal is not None or instance.bound is not None:
            assert f"| {name} | {'bound' if instance.optimal is None else 'optimal'} |" in page
    assert " 0 apart." in page


def test_the_command_writes_the_page(tmp_path, capsys):
    target = tmp_path / "page.md"
    app(["literature", "--only", "zheng1991-poisson-10", "--quick", "--out", str(target)], standalone_mode=False)
    assert "zheng1991-poisson-10" in target.read_text(encoding="utf-8")
    assert "3 rows, 0 apart" in capsys.readouterr().out


def test_an_unknown_instance_is_bad_input():
    with pytest.raises(SystemExit, match="2"):
        app(["literature", "--only", "zipkin1999*"])
