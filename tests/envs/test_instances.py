"""The library of literature instances: complete, consistent with the reference, and playable."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import fractile as fr
from fractile.envs.gym.catalogue import SYSTEMS

REFERENCE = Path(fr.__file__).parent.parent / "shared" / "reference" / "literature.json"
FAMILIES = {
    "zipkin2008-poisson": 16,
    "zipkin2008-geometric": 16,
    "temizoz2025-poisson": 12,
    "alvo2023-backorder": 24,
    "gijsbrechts2022-dual": 6,
    "bijvank2015": 1,
    "zheng1991": 13,
    "alvo2023-serial": 16,
    "snyder2019": 2,
    "zipkin2000": 1,
    "alvo2023-transshipment": 24,
    "demoor2022-perishable": 2,
}


@pytest.mark.parametrize(("family", "number"), FAMILIES.items())
def test_families_are_complete(family, number):
    assert sum(name.startswith(family) for name in fr.instances) == number
    assert sum(FAMILIES.values()) == len(fr.instances)


@pytest.mark.parametrize("name", list(fr.instances))
def test_instances_say_what_they_are(name):
    instance = fr.instances[name]
    assert instance.name == name
    assert instance.system in SYSTEMS
    assert any(year in instance.citation for year in map(str, range(1990, 2026)))
    assert instance.optimal is not None or instance.bound is not None or instance.known
    for known in instance.known.values():
        # No policy costs less than the optimum, as far as digits go.
        assert instance.optimal is None or not known.cost < instance.optimal - 0.006


@pytest.mark.parametrize(
    "name",
    [
        "zipkin2008-poisson-b4-L2",
        "zipkin2008-geometric-b39-L1",
        "bijvank2015-fixed-cost",
        "gijsbrechts2022-dual-L3-c110",
        "demoor2022-perishable-lifo",
        "alvo2023-serial-b4-L1",
        "alvo2023-transshipment-5-b9-L2-rho0.5",
        "zheng1991-poisson-25",
        "alvo2023-backorder-b9-L7",
    ],
)
def test_instances_can_be_played(name):
    env = fr.instances[name].make_env(periods=5)
    obs, _ = env.reset(seed=1)
    rewards = [env.step(np.zeros(env.action_space.shape, dtype=np.float32))[1] for _ in range(5)]
    assert np.isfinite(rewards).all()
    assert obs.shape == (len(env.feature_names),)
    assert env.batch.params.slots == fr.instances[name].params.slots


def test_unknown_names_list_the_near_one():
    with pytest.raises(fr.FractileError, match="did you mean 'zipkin2008-poisson-b4-L2'"):
        fr.instances["zipkin2008-poisson-b4-L22"]


@pytest.mark.skipif(not REFERENCE.exists(), reason=f"the reference values are not beside this checkout: {REFERENCE}")
def test_numbers_are_those_of_the_reference():
    known = json.loads(REFERENCE.read_text())
    for b, row in known["lost_sales_optimal"]["poisson5"].items():
        for lead_time, cost in row.items():
            family = "temizoz2025" if lead_time == "6" else "zipkin2008"
            assert fr.instances[f"{family}-poisson-b{b}-L{lead_time}"].optimal == pytest.approx(cost, abs=2e-5)
    for b, row in known["lost_sales_optimal"]["geometric5"].items():
        for lead_time, cost in row.items():
            optimal = fr.instances[f"zipkin2008-geometric-b{b}-L{lead_time}"].optimal
            assert optimal == pytest.approx(cost, abs=6e-5)
    for lead_time, row in known["serial_hdpo_exact_clark_scarf"].items():
        if lead_time.isdigit():
            costs = [fr.instances[f"alvo2023-serial-b{b}-L{lead_time}"].optimal for b in (4, 9, 19, 39)]
            np.testing.assert_array_equal(costs, row)
    for lead_time, row in known["dual_sourcing_U04_h5_b495_cr100_le0"].items():
        for cost, optimal in row.items():
            assert fr.instances[f"gijsbrechts2022-dual-L{lead_time}-c{cost}"].optimal == optimal
