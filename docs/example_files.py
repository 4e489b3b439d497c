"""Write the files that the tutorials begin with: `python docs/example_files.py`.

Everything in them is invented: weekly sales of the embedded retail panel, written as a German till exports them.
"""

from __future__ import annotations

from pathlib import Path

import fractile as fr

FOLDER = Path(__file__).parent / "examples"
NAMES = """
Müsli Haferflocken Apfelsaft Kräutertee Röstkaffee Espresso Vollmilch Käse Brötchen Knäckebrot
Honig Erdnüsse Schokolade Gummibären Spülmittel Seife Küchenrolle Batterien Blumenerde Grillkohle
"""
ARTICLES = [f"{name} {brand}" for name in NAMES.split() for brand in ("Berg", "Süd", "Hof")]
SEED = 0
"""Of the embedded panel."""
PARAMETERS = ["lead_time", "holding_cost", "stockout_cost", "pack_size", "category"]


def main():
    """Write shop.csv as a till might export it, and the files of items and stock as they are filled in."""
    FOLDER.mkdir(exist_ok=True)
    retail = fr.retail_panel(items=len(ARTICLES), periods=157, seed=SEED)
    names = dict(zip(retail.panel.item_ids, ARTICLES, strict=True))
    lines = ["Artikel;Datum;Menge;Preis;Aktion;Verfügbar"]
    for row in retail.panel.to_frame().itertuples():
        price = f"{row.price:.2f}".replace(".", ",")
        flags = ("ja" if flag else "nein" for flag in (row.promotion, row.in_stock))
        lines.append(";".join([names[row.item_id], f"{row.date:%d.%m.%Y}", f"{row.sales:.0f}", price, *flags]))
    (FOLDER / "shop.csv").write_bytes("\r\n".join([*lines, ""]).encode("cp1252"))
    for name, table in (("items", retail.items.set_index("item_id")[PARAMETERS]), ("state", retail.state)):
        table = table.set_index("item_id") if "item_id" in table else table
        table.rename(index=names).to_csv(FOLDER / f"{name}.csv")


if __name__ == "__main__":
    main()
