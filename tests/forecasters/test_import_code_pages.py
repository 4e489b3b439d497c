"""A sign alone does not make another language."""

from __future__ import annotations

import pytest

import fractile as fr


@pytest.mark.parametrize("header", ["Preis in €", "Preis €/Stück", "Größe; Preis €"])
def test_a_euro_sign_is_no_letter_of_an_apple(tmp_path, header):
    file = tmp_path / "kasse.csv"
    more = ";1" * header.count(";")
    rows = [f"Artikel;Datum;Menge;{header}", *(f"Tee;{day:02d}.01.2024;2;2{more}" for day in range(1, 29))]
    file.write_bytes("\n".join(rows).encode("cp1252"))
    found = {d.topic: d.values for d in fr.import_sales(file).report.decisions}
    assert dict(found["encoding"])["encoding"] == "cp1252"
