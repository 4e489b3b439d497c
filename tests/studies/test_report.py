"""The report: says what the files say, asks for nothing from outside, and is the same twice."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from fractile import FractileError
from fractile.studies.assumptions import Assumption
from fractile.studies.report import figures as plots
from fractile.studies.report.answer import answer_section, read_advice
from fractile.studies.report.comparison import read_notes
from fractile.studies.report.drawing import BLUE, INK, MUTED, ORANGE, colours_of
from fractile.studies.report.forecasters import describe_forecasters, forecaster_rows, forecasters_section
from fractile.studies.report.items import compare_items, describe_item
from fractile.studies.report.orders import orders_section
from fractile.studies.report.page import build_report
from fractile.studies.report.read import read_run
from fractile.studies.report.savings import draw_savings

POLICIES = ("newsvendor", "tuned_newsvendor", "back<prop>", "hindsight")
LEVELS = (0.05, 0.5, 0.9, 0.95)
ITEMS = tuple(f"item & {i}" for i in range(8))
DATES = pd.date_range("2024-01-01", periods=30, freq="W-MON")
HELD_OUT = 12
OPTIONAL = (
    "forecast_value.parquet",
    "scores.parquet",
    "fans.parquet",
    "history.parquet",
    "items.parquet",
    "orders.csv",
)


def manifest():
    return {
        "name": "a <b>study</b>",
        "created": "2024-08-01T00:00:00+00:00",
        "command": "fractile study --name '<script>alert(1)</script>'",
        "seed": 7,
        "status": "complete",
        "versions": {"fractile": "0.1.0", "numpy": "2.0"},
        "data": {
            "source": "history.csv",
            "items": len(ITEMS),
            "periods": 30,
            "first_date": "2024-01-01",
            "last_date": "2024-07-22",
            "freq": "W-MON",
            "stockout_share": 0.08,
            "zero_share": 0.25,
            "hashes": {"history.csv": "ab" * 32},
            "notes": ["a note on <data>"],
        },
        "timeline": ["The policy observes.", "It orders."],
        "backtest": {"first_date": "2024-05-06", "last_date": "2024-07-22", "periods": 12}
        | {"validation_periods": 10, "warm_up_periods": 6},
        "baseline": "tuned_newsvendor",
        "level": 0.95,
        "clusters": "auto",
        "block": 2,
        "forecaster": "mqcnn",
        "cpu_seconds": {"fitting": 1.5, "simulating": 0.5},
    }


def comparison(saving=0.12, low=0.05, high=0.19):
    savings = np.array([-0.1, 0.0, saving, 0.6])
    cost = 1000.0 * (1 - savings)
    return pd.DataFrame(
        {
            "policy": POLICIES,
            "cost": cost,
            "holding": 0.4 * cost,
            "stockout": 0.5 * cost,
            "ordering": 0.1 * cost,
            "fill_rate": [0.93, 0.95, 0.96, 1.0],
            "mean_on_hand": [50.0, 60.0, 55.0, 20.0],
            "volatility_ratio": [1.1, 1.2, 0.9, 1.0],
            "saving": savings,
            "saving_low": [-0.2, 0.0, low, 0.5],
            "saving_high": [-0.01, 0.0, high, 0.7],
            "kind": ["policy", "policy", "policy", "bound"],
        }
    )


def trajectories(rng):
    keys = pd.MultiIndex.from_product([POLICIES, ITEMS, range(HELD_OUT)], names=["policy", "item_id", "period"])
    frame = pd.DataFrame(index=keys).reset_index()
    frame["date"] = DATES[-HELD_OUT:].to_numpy()[frame["period"]]
    for name in ("demand", "order", "received", "sales", "shortfall", "on_hand", "cost"):
        frame[name] = rng.poisson(6.0, len(frame)).astype(float)
    return frame


def fans(rng):
    origins = DATES[-HELD_OUT:][:2]
    keys = pd.MultiIndex.from_product([ITEMS[:2], origins, range(1, 5)], names=["item_id", "origin_date", "horizon"])
    rows = pd.DataFrame(index=keys).reset_index()
    rows["date"] = rows["origin_date"] + (rows["horizon"] - 1) * pd.Timedelta(weeks=1)
    middle = rng.gamma(4.0, 2.0, len(rows))
    return pd.concat([rows.assign(level=level, value=middle * (0.5 + level)) for level in LEVELS], ignore_index=True)


def history(rng):
    frame = pd.MultiIndex.from_product([ITEMS[:2], DATES], names=["item_id", "date"]).to_frame(index=False)
    return frame.assign(sales=rng.poisson(6.0, len(frame)).astype(float), in_stock=rng.random(len(frame)) > 0.1)


def forecast_value():
    rows = [("mqcnn", "newsvendor", 0.02), ("mqcnn", "tuned_newsvendor", 0.08), ("ets", "newsvendor", -0.9)]
    frame = pd.DataFrame(rows, columns=["forecaster", "policy", "saving"])
    return frame.assign(
        cost=1000 * (1 - frame["saving"]),
        fill_rate=0.95,
        saving_low=frame["saving"] - 0.03,
        saving_high=frame["saving"] + 0.03,
    )


def scores():
    keys = pd.MultiIndex.from_product([("mqcnn", "ets"), LEVELS, (0, 1)], names=["forecaster", "level", "horizon"])
    frame = keys.to_frame(index=False)
    wql = frame["forecaster"].map({"mqcnn": 0.4, "ets": 0.3})
    return frame.assign(pinball=1.0, wql=wql, coverage=frame["level"] ** 1.1, bias=0.0, weeks=96)


def items():
    return pd.DataFrame({"item_id": ITEMS, "lead_time": 2, "holding_cost": 1.0, "critical_ratio": 0.9})


def orders():
    """Twelve items, of which two order nothing; one is called as a missing value is written."""
    names = ["NA", *(f"item & {i}" for i in range(11))]
    frame = pd.DataFrame({"item_id": names, "order": [0, 0, *range(10, 20)]})
    return frame.assign(order_up_to=frame["order"] + 5.5, critical_quantile=0.925)


def write_run(folder):
    rng = np.random.default_rng(0)
    frames = {
        "comparison": comparison(),
        "forecast_value": forecast_value(),
        "scores": scores(),
        "trajectories": trajectories(rng),
        "fans": fans(rng),
        "history": history(rng),
        "items": items(),
    }
    for name, frame in frames.items():
        frame.to_parquet(folder / f"{name}.parquet")
    orders().to_csv(folder / "orders.csv", index=False)
    (folder / "manifest.json").write_text(json.dumps(manifest()), encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path):
    return write_run(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The page of a run that has every file."""
    return page(write_run(tmp_path_factory.mktemp("run")))


def page(folder):
    return build_report(folder).read_text(encoding="utf-8")


class Outline(HTMLParser):
    """Collects elements, ids, references and text, and notices tags that do not match."""

    EMPTY = ("meta", "br", "use", "path", "rect", "stop")

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.ids, self.references, self.text = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        values = dict(attrs)
        self.ids += [values["id"]] if "id" in values else []
        self.references += [values[name] for name in ("href", "src", "xlink:href", "action") if name in values]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.EMPTY:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def change(folder, **entries):
    (folder / "manifest.json").write_text(json.dumps(manifest() | entries), encoding="utf-8")


def plots_of_savings(table):
    return draw_savings(table, baseline="tuned_newsvendor", level=0.95)


def outline(text):
    found = Outline()
    found.feed(text)
    found.close()
    assert found.open == []
    return found


def plain(text):
    """Return the text with one kind of space."""
    return " ".join(text.split())


def words(text):
    return plain(" ".join(outline(text).text))


def test_sections_stand_in_order(whole):
    sections = re.findall(r'<section id="([^"]+)"', whole)
    first = ["answer", "comparison", "costs", "trajectories", "worse-off", "forecasters", "orders", "glossary"]
    assert sections == [*first, "timeline", "data", "method", "figures"]


def test_the_advice_comes_first_and_names_the_interval(folder, whole):
    found = read_advice(read_run(folder))
    assert (found.action, found.policy) == ("switch", "back<prop>")
    text = words(whole)
    assert text.index(plain(found.sentence)) < text.index("The comparison")
    assert "it saves 12.0 % [5.0, 19.0] of the cost of the tuned newsvendor policy" in text


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((0.12, -0.02, 0.26), "the saving of the back<prop> policy, 12.0 % [−2.0, 26.0], is not proven"),
        ((-0.04, -0.08, 0.01), "Keep the tuned newsvendor policy: no other was cheaper."),
        ((0.0, 0.0, 0.0), "Keep the tuned newsvendor policy: no other was cheaper."),
    ],
)
def test_no_saving_is_claimed_that_is_not_proven(folder, numbers, said):
    comparison(*numbers).to_parquet(folder / "comparison.parquet")
    found = read_advice(read_run(folder))
    assert said in plain(found.sentence)
    assert found.policy == "tuned_newsvendor"
    assert said in words(answer_section(read_run(folder)))


def test_the_advice_of_the_manifest_holds(folder):
    advice = {"action": "wait", "policy": "tuned_newsvendor", "candidate": "newsvendor", "periods": 9}
    change(folder, advice=advice | {"sentence": "Wait for nine weeks."}, policy="tuned_newsvendor")
    text = words(page(folder))
    assert "Wait for nine weeks." in text
    assert "By the tuned newsvendor policy, the baseline, since no saving is proven: 145 units in all" in text
    assert "The newsvendor policy against the tuned newsvendor policy" in text
    assert '<p class="answer wait">' in page(folder)


def test_a_smaller_saving_that_is_proven_is_the_advice(folder):
    table = comparison(0.12, -0.02, 0.26)
    table.loc[0, ["saving", "saving_low", "saving_high", "cost"]] = [0.03, 0.01, 0.05, 970.0]
    table.to_parquet(folder / "comparison.parquet")
    found = read_advice(read_run(folder))
    assert (found.action, found.policy) == ("switch", "newsvendor")
    assert "Cheaper still, but not proven: back<prop>." in found.sentence


def test_money_is_a_periods_and_a_years_with_its_currency(folder):
    change(folder, currency="EUR")
    text = words(answer_section(read_run(folder)))
    # 12 % [5, 19] of 1,000 a week, 365.25 / 7 weeks a year
    assert "saved a week 120 EUR [50.0, 190]" in text
    assert "saved a year 6,260 EUR [2,610, 9,910]" in text
    assert "cost a week 880 EUR baseline 1,000" in text


def test_what_costs_more_is_no_negative_saving(folder):
    comparison(-0.04, -0.08, 0.01).to_parquet(folder / "comparison.parquet")
    text = words(answer_section(read_run(folder)))
    assert "extra cost a week 40.0 [−10.0, 80.0]" in text
    assert "saved a week" not in text


def test_assumptions_stand_on_the_first_screen_and_defaults_are_loud(folder, whole):
    assert "What was assumed" not in words(whole)  # a run of before they were kept
    rows = [
        Assumption("lead_time", "L", 2.0, 2.0, None, "items"),
        Assumption("review_period", "R", 1.0, 1.0, None, "config"),
        Assumption("holding_cost", "h", 0.2, 1.5, None, "config"),
        Assumption("stockout_cost", "b", 9.0, 9.0, None, "default"),
        Assumption("unmet_demand", "", None, None, "lost", "default"),
        Assumption("pack_size", "", 1.0, 1.0, None, "default"),
        Assumption("maximum_order", "", None, None, None, "default"),
    ]
    change(folder, assumptions=[row.to_record() for row in rows], currency="EUR")
    text = words(page(folder))
    assert text.index("What was assumed") < text.index("The comparison")
    assert "2 of these are defaults that nobody gave." in text
    for said in ("lead time L 2 weeks items file", "review period R 1 week config or option", "pack size 1 by default"):
        assert said in text
    assert "holding cost h 0.2 to 1.5 EUR a unit and week config or option" in text
    assert "stockout cost b 9 EUR a unit short by default" in text
    assert "maximum order" not in text
    loud = re.findall(r'<li class="loud"><b>([^<]*)</b>', page(folder))
    assert loud == ["stockout cost b", "unmet demand"]


def test_warnings_stand_above_everything_but_the_advice(folder):
    change(folder, warnings=[{"code": "service", "text": "the baseline runs out <often>"}])
    text = words(page(folder))
    assert text.index("Beware The baseline runs out <often>.") < text.index("Findings")


def test_both_figures_stand_side_by_side_and_their_gap_is_a_finding(folder):
    table = comparison().assign(
        simulated_saving=[-0.1, 0.0, 0.04, np.nan],
        simulated_low=[-0.11, 0.0, 0.03, np.nan],
        simulated_high=[-0.09, 0.0, 0.05, np.nan],
        history_low=[-0.2, 0.0, 0.05, np.nan],
        history_high=[0.0, 0.0, 0.19, np.nan],
    )
    table.to_parquet(folder / "comparison.parquet")
    text = words(page(folder))
    assert "back<prop> 12.0 % [5.0, 19.0] 4.0 % [3.0, 5.0] proven" in text
    gap = "back<prop> policy saves 4.0 % [3.0, 5.0]; on the held-out weeks it saves 12.0 % [5.0, 19.0]: a gap "
    assert gap + "beyond what one history of this length gives by chance, [5.0, 19.0]" in text
    table.assign(history_low=-0.01).to_parquet(folder / "comparison.parquet")
    assert gap + "that one history of this length gives by chance, [−1.0, 19.0]." in words(page(folder))
    svg = plots_of_savings(table)
    assert "4.0 % [3.0, 5.0]" in plain(svg)


def test_what_cannot_be_told_apart_is_said(folder):
    table = comparison(0.12, 0.05, 0.19).assign(
        proven=[False, False, True, False], among_best=[True, False, True, False]
    )
    table.to_parquet(folder / "comparison.parquet")
    assert "Back<prop> and newsvendor cannot be told apart: any of them may be the cheapest." in words(
        answer_section(read_run(folder))
    )
    table.assign(among_best=[False, False, True, False]).to_parquet(folder / "comparison.parquet")
    assert "The back<prop> policy is cheaper than every other one, and not by chance." in words(
        answer_section(read_run(folder))
    )


def test_what_would_prove_a_saving_and_what_cannot_be_trusted_are_findings(folder):
    comparison(0.12, -0.02, 0.26).assign(proven=False).to_parquet(folder / "comparison.parquet")
    known = {"candidate": "back<prop>", "weeks_to_prove": 34, "items_to_prove": 1200, "proven": [], "note": ""}
    change(folder, intervals=known)
    text = words(answer_section(read_run(folder)))
    assert (
        "The 12.0 % of the back<prop> policy would be proven, with a chance of four in five, by 34 more weeks or 1,200 "
        "more items like these."
    ) in text
    change(
        folder,
        intervals=known | {"weeks_to_prove": None, "items_to_prove": None, "note": "What shocks do lasts: no trust."},
    )
    text = words(answer_section(read_run(folder)))
    assert (
        "would not be proven by any sensible number of further weeks or items. What shocks do lasts: no trust." in text
    )
    change(folder, intervals=known | {"proven": ["back<prop>"]})
    assert "would be proven" not in words(answer_section(read_run(folder)))


def test_a_saving_whose_interval_excludes_zero_need_not_be_proven(folder):
    comparison().assign(proven=False).to_parquet(folder / "comparison.parquet")
    text = words(page(folder))
    assert "back<prop> 12.0 % [5.0, 19.0] not proven" in text
    assert "Keep the tuned newsvendor policy" in text


def test_a_bound_is_a_small_line_of_its_own_or_nothing(folder, whole):
    text = words(whole)
    assert "A bound, for scale: with the future known, hindsight would save 60.0 %; no policy can reach it." in text
    assert "hindsight" not in text[text.index("Findings") if "Findings" in text else 0 : text.index("A bound")].lower()
    table = comparison()
    table.loc[3, ["saving", "saving_low", "saving_high"]] = 1.0
    table.to_parquet(folder / "comparison.parquet")
    assert "A bound" not in words(answer_section(read_run(folder)))
    assert "100.0 % [100" not in words(answer_section(read_run(folder)))


def test_policies_alike_share_a_row_and_it_says_why(folder):
    table = comparison()
    twin = table.iloc[[2]].assign(policy="ppo")
    base = table.iloc[[1]].assign(policy="tuned_projected")
    pd.concat([table, twin, base]).to_parquet(folder / "comparison.parquet")
    change(
        folder, policy_notes={"ppo": ["orders as back<prop>: its own prove nothing better"], "newsvendor": ["as is"]}
    )
    text = words(page(folder))
    assert "back<prop>, ppo 12.0 % [5.0, 19.0] proven" in text
    assert "Back<prop> and ppo placed the same orders. Ppo: orders as back<prop>: its own prove nothing better." in text
    assert "tuned newsvendor, tuned projected baseline" in text
    assert "as the baseline" in text
    assert text.count("its own prove nothing better") == 1


def test_why_a_policy_is_like_another_is_not_said_seed_by_seed(folder):
    table = comparison(0.12, 0.05, 0.19)
    twin = table.iloc[[0]].assign(policy="ppo")
    pd.concat([table, twin]).to_parquet(folder / "comparison.parquet")
    notes = ["all 3 training seeds order as back<prop>", "fold 1: training seed 1 of 3: cost 0.2% more"]
    change(folder, policy_notes={"ppo": notes})
    text = words(page(folder))
    assert "placed the same orders. Ppo: all 3 training seeds order as back<prop>." in text
    assert text.count("cost 0.2% more") == 1


def test_what_holds_for_all_training_seeds_is_said_once(folder):
    same, other = "orders as newsvendor: nothing better", "its own"
    notes = [f"training seed {k} of 3: {text}" for k, text in enumerate((same, same, other), 1)]
    change(folder, policy_notes={"back<prop>": ["2 seeds order as newsvendor", *notes]})
    found = read_notes(read_run(folder))
    assert found == {"back<prop>": ["2 seeds order as newsvendor", same, other]}


def test_a_policy_like_the_baseline_is_not_what_the_report_is_about(folder):
    table = comparison(-0.04, -0.08, 0.01)
    twin = table.iloc[[1]].assign(policy="tuned_projected")
    pd.concat([table, twin]).to_parquet(folder / "comparison.parquet")
    assert read_run(folder).best == "back<prop>"
    pd.concat([table.iloc[[1]], twin]).to_parquet(folder / "comparison.parquet")
    assert read_run(folder).best == "tuned_newsvendor"
    text = words(page(folder))
    assert "every other one placed the same orders" in text
    assert "saved a week" not in text


def test_savings_are_followed_fold_by_fold_and_seed_by_seed(folder, whole):
    assert "Fold by fold" not in whole
    keys = pd.MultiIndex.from_product([POLICIES, (1, 2), (1, 2, 3)], names=["policy", "fold", "seed"])
    folds = keys.to_frame(index=False).assign(saving=lambda f: 0.1 * f["fold"] + 0.01 * f["seed"])
    folds.to_parquet(folder / "folds.parquet")
    test = manifest()["backtest"] | {
        "training_seeds": 3,
        "folds": [
            {"first_date": "2024-05-06", "last_date": "2024-06-10", "periods": 6, "fitted_until": "2024-04-29"},
            {"first_date": "2024-06-17", "last_date": "2024-07-22", "periods": 6, "fitted_until": "2024-06-10"},
        ],
    }
    change(folder, backtest=test)
    text = words(page(folder))
    assert "Small dots: single training seeds" in text
    assert "1 2024-05-06 2024-06-10 6 2024-04-29 2 2024-06-17" in text
    assert "2 folds, 8 items, 3 training seeds" in text
    kept = pd.read_csv(folder / "figures" / "folds.csv")
    assert set(kept["policy"]) == {"back<prop>"}  # neither the baseline nor bounds, nor what is far behind


def test_a_lone_baseline_is_reported(folder):
    comparison().iloc[[1]].to_parquet(folder / "comparison.parquet")
    assert "Keep the tuned newsvendor policy: there is no other to compare it with." in words(page(folder))


def test_same_files_give_the_same_bytes(folder, whole):
    assert page(folder) == whole


def test_the_data_of_every_figure_stand_beside_the_page_and_are_linked(folder):
    linked = [reference for reference in outline(page(folder)).references if reference.startswith("figures/")]
    assert linked == sorted(linked, key=linked.index)
    assert {folder / file for file in linked} == set((folder / "figures").iterdir())
    kept = {file: (folder / file).read_bytes() for file in linked}
    savings = pd.read_csv(folder / "figures" / "savings.csv")
    np.testing.assert_allclose(savings["saving"], comparison()["saving"], atol=1e-9)
    assert {"costs", "item_savings", "item_series", "item_forecasts", "forecast_value", "calibration"} <= {
        (folder / file).stem for file in linked
    }
    build_report(folder)
    assert {file: (folder / file).read_bytes() for file in linked} == kept


def test_nothing_is_asked_for_from_outside(whole):
    found = outline(whole)
    assert all(reference.startswith(("#", "figures/")) for reference in found.references)
    assert not {"script", "link", "img", "iframe", "object"} & set(found.tags)
    assert re.findall(r"url\((?!#)", whole) == []
    assert "@import" not in whole
    assert re.sub(r'xmlns(:xlink)?="[^"]*"', "", whole).count("http") == 1  # the meta element's http-equiv


def test_ids_are_unique_and_references_lead_somewhere(whole):
    found = outline(whole)
    assert len(found.ids) == len(set(found.ids))
    assert {reference[1:] for reference in found.references if reference[0] == "#"} <= set(found.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", whole)) <= set(found.ids)


def test_what_files_say_is_escaped(whole):
    assert "<script" not in whole
    assert "<b>study" not in whole
    assert "back<prop>" not in whole
    assert "a note on <data>" in words(whole)
    assert "item & 0" in words(whole)


def test_the_run_is_on_record(whole):
    text = words(whole)
    for said in ("ab" * 6, "numpy 2.0", "It orders.", "CPU time 2.00 s", "blocks of 2 weeks", "8.0 %", "seed 7"):
        assert said in text
    for said in ("level of 95 %", "tuned on the 10 weeks before", "6 weeks were simulated before the held-out ones"):
        assert said in text


def test_figures_take_their_colours_from_the_page(whole):
    style, body = whole.split("</style>")
    used = set(re.findall(r"var\(--(\w+)\)", body))
    assert {"ink", "blue", "orange", "sky", "teal", "red"} <= used
    assert used <= set(re.findall(r"--(\w+):", style))
    colours = re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", body)
    assert colours == []


@pytest.mark.parametrize("name", OPTIONAL)
def test_a_report_without_an_optional_file_is_whole(folder, name):
    (folder / name).unlink()
    text = page(folder)
    outline(text)
    assert text.count("<section") == 12


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (("fans", "history"), "the run folder has no trajectories.parquet, fans.parquet or history.parquet."),
        (("scores",), "Calibration is not shown: the run folder has no scores.parquet."),
        (("forecast_value",), "The run holds no valuation of forecasters (forecast_value.parquet)."),
    ],
)
def test_a_section_says_which_file_it_lacks(folder, missing, said):
    for name in missing:
        (folder / f"{name}.parquet").unlink()
    assert said in words(page(folder))


@pytest.mark.parametrize("name", ["comparison", "trajectories"])
def test_a_missing_file_is_named_with_its_remedy(folder, name):
    (folder / f"{name}.parquet").unlink()
    with pytest.raises(FractileError, match=rf"{name}\.parquet: is missing; `fractile study` writes it: run it again"):
        build_report(folder)
    assert not (folder / "report.html").exists()


def test_a_folder_without_a_manifest_is_refused(folder):
    (folder / "manifest.json").unlink()
    with pytest.raises(FractileError, match=r"is not a run folder: it holds no manifest\.json"):
        build_report(folder)


def test_a_trained_pair_has_no_report(folder):
    (folder / "manifest.json").write_text(json.dumps(manifest() | {"kind": "train"}), encoding="utf-8")
    with pytest.raises(FractileError, match="is a run of `fractile train`, which compares nothing"):
        build_report(folder)


def test_the_next_orders_are_summed_up(folder, whole):
    text = words(whole)
    assert "By the back<prop> policy, the cheapest one, whose saving is proven: 145 units in all" in text
    assert "for the week after that of 2024-07-22; 10 of 12 items are ordered." in text
    assert "NA 0 5.50 92.5 %" in text
    assert "The other 2 items stand in orders.csv." in text
    (folder / "orders.csv").unlink()
    assert "it holds no orders.csv" in words(page(folder))


def test_where_the_users_own_orders_are_kept_there_is_no_list(folder):
    (folder / "orders.csv").unlink()
    change(folder, policy="own_orders")
    assert "no saving over your own orders is proven. Go on as you do." in words(orders_section(read_run(folder)))


def test_no_text_becomes_mathematics_or_markup_in_a_figure():
    table = comparison().assign(policy=["newsvendor", "tuned_newsvendor", "<b>$x^2$ & \\frac", "hindsight"])
    forest = draw_savings(table, baseline="tuned_newsvendor", level=0.95)
    assert ">&lt;b&gt;$x^2$ &amp; \\frac</text>" in forest


def test_a_policy_has_one_colour_in_every_figure():
    table = comparison()
    expected = [INK, ORANGE, BLUE, MUTED]
    assert colours_of(table, "tuned_newsvendor") == expected
    assert colours_of(table.iloc[::-1], "tuned_newsvendor") == expected[::-1]


def test_numbers_in_a_column_share_their_decimals(whole):
    assert "back<prop> 880.0 96.0 % 55.00 352.0 440.0 88.0" in words(whole)


def test_a_missing_column_is_named(folder):
    comparison().drop(columns="fill_rate").to_parquet(folder / "comparison.parquet")
    with pytest.raises(FractileError, match=r"comparison\.parquet: has no column fill_rate"):
        build_report(folder)


def test_a_damaged_file_is_named(folder):
    (folder / "scores.parquet").write_bytes(b"not parquet")
    with pytest.raises(FractileError, match=r"scores\.parquet: cannot be read"):
        build_report(folder)


def test_a_baseline_without_a_row_is_refused(folder):
    (folder / "manifest.json").write_text(json.dumps(manifest() | {"baseline": "nobody"}), encoding="utf-8")
    with pytest.raises(FractileError, match="no row of the baseline 'nobody'"):
        build_report(folder)


def test_who_is_worse_off(folder):
    frame = trajectories(np.random.default_rng(1))
    frame["cost"] = 10.0
    best = frame["policy"] == "back<prop>"
    frame.loc[best & (frame["item_id"] == ITEMS[3]), "cost"] = 14.0
    frame.loc[best & frame["item_id"].isin(ITEMS[:2]), "cost"] = 8.0
    frame.to_parquet(folder / "trajectories.parquet")
    found = compare_items(read_run(folder))
    assert found.saving[ITEMS[3]] == -4.0
    assert found.saving.sum() == 0.0
    assert "1 of 8 items (12 %) cost more" in plain(found.sentence)
    assert [row["item"] for row in found.losers] == [ITEMS[3]]
    assert {row["item"] for row in found.winners} == set(ITEMS[:2])
    assert found.losers[0]["saving"] == "−4.00"
    assert "lead time 2" in found.losers[0]["about"]


def test_the_forecaster_worth_most_need_not_score_best(folder):
    said = describe_forecasters(read_run(folder))
    assert "cheapest on mqcnn: with the tuned newsvendor they cost 920.0 a week" in said
    assert "The most accurate one is another: ets" in said


def test_losses_of_periods_and_of_sums_stand_side_by_side(folder):
    assert [row["protection"] for row in forecaster_rows(read_run(folder))] == ["–", "–"]  # a run of before they were
    scores().assign(protection_loss=0.25).to_parquet(folder / "scores.parquet")
    rows = {row["forecaster"]: row for row in forecaster_rows(read_run(folder))}
    assert (rows["ets"]["wql"], rows["ets"]["protection"]) == ("0.300", "0.250")
    assert "of sums over the protection interval" in words(forecasters_section(read_run(folder)))


def test_infinite_intervals_and_zero_bounds_can_be_drawn(folder):
    table = comparison(0.3, -np.inf, np.inf)
    table.loc[3, ["cost", "holding", "stockout", "ordering"]] = 0.0
    table.to_parquet(folder / "comparison.parquet")
    assert "[−∞, ∞]" in words(page(folder))


def test_figures_show_what_they_are_given():
    table = comparison()
    forest = draw_savings(table, baseline="tuned_newsvendor", level=0.95)
    assert "12.0 % [5.0, 19.0]" in plain(forest)
    assert "hindsight" not in forest  # a bound is no policy
    assert forest != draw_savings(table.assign(saving=0.5), baseline="tuned_newsvendor", level=0.95)
    assert "1,100" in plots.draw_cost_split(table, baseline="tuned_newsvendor", period="week")


def test_a_policy_off_the_chart_is_named_with_its_numbers():
    table = comparison()
    table.loc[0, ["cost", "fill_rate"]] = [9000.0, 0.2]
    service = plots.draw_service(table, baseline="tuned_newsvendor", period="week")
    assert "newsvendor: 20.0 %, 9,000" in plain(service)
    assert "hindsight: 100.0 %, 400" in plain(service)
    assert "tuned newsvendor: " not in service


def test_the_report_says_how_policies_came_about_and_why_the_baseline_is_the_baseline(folder):
    record = manifest() | {
        "baseline_rule": "cheapest",
        "kept_cost": {"tuned_newsvendor": 512.5, "backprop": 480.0},
        "policy_notes": {"backprop": ["orders as projected: nothing is proven better"], "newsvendor": []},
        "learning": {
            "items": 9,
            "periods": 60,
            "history_paths": 2,
            "simulated_paths": 1,
            "item_periods": 1620,
            "kept_periods": 10,
        },
    }
    record["backtest"] |= {"refits": ["2023-01-02", "2023-07-03"]}
    (folder / "manifest.json").write_text(json.dumps(record), encoding="utf-8")
    text = words(page(folder))
    assert "is the classical policy that cost least on the 10 weeks before the held-out ones: 512.5 a week" in text
    assert "backprop orders as projected: nothing is proven better" in text
    assert "9 items × 60 weeks, forecast by forecasters refitted 2 times along the way" in text
    assert "2 paths of the history and 1 simulated one beside: 1,620 item-weeks in all" in text
    assert "policies were chosen on the 10 weeks before the held-out ones, which nothing was trained on" in text


def test_a_baseline_that_was_named_is_said_to_be_so(folder):
    assert "The baseline, tuned newsvendor, was named beforehand." in words(page(folder))


def test_waste_has_a_column_and_counts_in_the_figure_where_there_is_any(folder, whole):
    assert '<th class="minor">waste</th>' not in whole
    table = comparison()
    table.assign(waste=[31.0, 32.0, 33.0, 0.0], stockout=table["stockout"] - 3.0).to_parquet(
        folder / "comparison.parquet"
    )
    text = page(folder)
    assert '<th class="minor">waste</th>' in text
    assert re.findall(r'<td class="minor">(3[123])(?:\.0+)?</td>', text) == ["33", "32", "31"]  # cheapest first
    assert "waste" in (folder / "figures" / "costs.csv").read_text(encoding="utf-8")
    table = comparison().assign(waste=500.0)
    drawn = plots.draw_cost_split(table, baseline="tuned_newsvendor", period="week")
    assert "1,500" in words(drawn)


def test_numbers_of_a_policy_that_is_not_advised_are_said_to_be_so(folder, whole):
    said = "The numbers below are those of the back<prop> policy, which is not advised"
    assert said not in words(whole)
    comparison(0.12, -0.02, 0.26).to_parquet(folder / "comparison.parquet")
    text = words(answer_section(read_run(folder)))
    assert text.index("is not proven") < text.index(said) < text.index("saved a week")


def test_items_have_amounts_in_the_currency(folder):
    change(folder, currency="EUR")
    run = read_run(folder)
    changes = compare_items(run)
    assert re.match(r"(saves|costs) [\d.]+ EUR (more )?a week", plain(describe_item(run, changes, ITEMS[0])))
    assert len(re.findall(r"[\d.]+ EUR", plain(changes.sentence))) == 2
