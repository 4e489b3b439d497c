"""The figure of savings: the same marks in Python and in the report, an arrow where an interval goes on."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import fractile as fr
from fractile.studies.report.drawing import BLUE, INK, part_dots
from fractile.studies.report.savings import draw_savings, merge_alike, paint_savings, row_places

matplotlib.use("Agg")


def table(*rows):
    names = ["policy", "saving", "saving_low", "saving_high"]
    frame = pd.DataFrame([("plain", 0.0, 0.0, 0.0), *rows], columns=names)
    frame["cost"] = 100.0 * (1 - frame["saving"])
    return frame.assign(fill_rate=0.9, mean_on_hand=10.0, kind="policy")


def painted(frame):
    axes = Figure().subplots()
    paint_savings(axes, frame, baseline="plain")
    return axes


def markers(axes):
    return [(line.get_marker(), line.get_xdata()[0]) for line in axes.lines if line.get_marker() not in (None, "None")]


def plain(text):
    return " ".join(text.split())


def test_a_comparison_is_drawn_as_in_the_report():
    demand = np.random.default_rng(0).poisson(5.0, (1, 40, 6)).astype(float)
    policies = {f"level {s}": fr.make_policy("base_stock", level=float(s)) for s in (12, 14, 16)}
    params = fr.ItemParams(lead_time=1, holding_cost=1.0, stockout_cost=9.0)
    found = fr.compare(policies, fr.Scenario(demand), params, baseline="level 14", warm_up=4)
    axes = Figure().subplots()
    assert found.plot(axes) is axes
    rows = found.table.drop("level 14").sort_values("saving")
    assert [text.get_text() for text in axes.get_yticklabels()] == list(rows.index)
    dots = [x for marker, x in markers(axes) if marker == "o"]
    np.testing.assert_allclose(dots, 100 * rows["saving"])
    svg = draw_savings(found.table.reset_index(), baseline="level 14", level=0.95)
    for text in axes.texts:
        assert plain(text.get_text()) in plain(svg)
    assert found.plot().get_title(loc="right") == "95\N{NO-BREAK SPACE}% intervals"


@pytest.mark.parametrize(
    ("interval", "arrows"),
    [
        ((-0.9, 0.1), ["<"]),  # the dot is on the scale, its interval goes on
        ((-0.2, 0.1), []),
        ((-np.inf, np.inf), ["<", ">"]),
    ],
)
def test_an_interval_beyond_the_scale_has_an_arrow_at_that_end(interval, arrows):
    axes = painted(table(("a", -0.05, *interval), ("b", 0.2, 0.1, 0.3)))
    assert [marker for marker, _ in markers(axes) if marker in "<>"] == arrows


def test_a_dot_beyond_the_scale_is_an_arrow_alone():
    axes = painted(table(("a", -1.4, -1.6, -1.2), ("b", 0.2, 0.1, 0.3)))
    assert [marker for marker, _ in markers(axes)] == ["<", "o"]


def test_policies_alike_share_a_row():
    frame = table(("a", 0.1, 0.0, 0.2), ("b", 0.1, 0.0, 0.2), ("c", 0.1, 0.0, 0.2))
    frame.loc[3, "mean_on_hand"] = 11.0  # the same cost with other stock is another policy
    assert merge_alike(frame)["policies"].tolist() == [("plain",), ("a", "b"), ("c",)]
    axes = painted(frame)
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a, b", "c"]


def test_a_simulated_saving_stands_below_the_one_on_held_out_demand():
    frame = table(("a", 0.1, -0.1, 0.3)).assign(simulated_saving=0.05, simulated_low=0.04, simulated_high=0.06)
    axes = painted(frame)
    places = {line.get_marker(): line.get_ydata()[0] for line in axes.lines if line.get_marker() in ("o", "D")}
    assert places["D"] < places["o"]
    assert [plain(text.get_text()) for text in axes.texts] == ["10.0 % [−10.0, 30.0]", "5.0 % [4.0, 6.0]"]


def test_the_policy_that_a_report_is_about_is_blue():
    frame = table(("a", 0.1, 0.05, 0.2), ("b", 0.2, -0.1, 0.3))
    axes = Figure().subplots()
    paint_savings(axes, frame, baseline="plain", best="a")
    colours = [line.get_color() for line in axes.lines if line.get_marker() == "o"]
    assert colours == [BLUE, INK]


def test_long_labels_have_room():
    np.testing.assert_allclose(np.diff(row_places(["a", "b\nc\nd", "e"])), [1.5, 1.5])


def test_no_dot_hides_another():
    rng = np.random.default_rng(0)
    points, size = rng.random((40, 2)), np.array([0.06, 0.05])
    placed = part_dots(points, size)
    np.testing.assert_array_equal(placed[:, 1], points[:, 1])
    for i in range(40):
        near = np.abs(placed[:i, 1] - placed[i, 1]) < size[1]
        assert (np.abs(placed[:i, 0] - placed[i, 0])[near] >= size[0] * (1 - 1e-6)).all()
