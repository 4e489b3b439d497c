# %% [markdown]
# # The simulator against theory
#
# *A quarter of a minute on one core. Needs `fractile` alone.*
#
# Every saving in money rests on the simulator. Here it has to reproduce numbers that can be computed without it: exact
# optima of lost-sales systems, the newsvendor's identity, the closed form under backorders and its derivative, and the
# bullwhip effect of a moving average. Lines are exact, dots are simulated, bars are two standard errors.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy import stats

import fractile as fr

plt.rc("figure", figsize=(7.0, 2.8), dpi=90)
plt.rc("axes.spines", top=False, right=False)
EXACT, SIMULATED = {"color": "#1f2933", "lw": 1.3}, {"color": "#0072b2", "fmt": "o", "ms": 4}
errors = []  # every deviation of this notebook, in standard errors

# %% [markdown]
# ## Lost sales: instances of Zipkin (2008)
#
# Poisson demand of 5 a period, h = 1. An order of period t arrives L periods later, before demand; what stock cannot
# meet is lost. The optimum comes from dynamic programming over the stock and everything under way. The policy that
# the dynamic program finds is then simulated, and so is the best base-stock policy.

# %%
paths, periods, warm_up = 400, 350, 50
lead_times = (1, 2, 3, 4)
figure, axes = plt.subplots(1, 2, layout="constrained")
for panel, b in zip(axes, (4, 9), strict=True):
    exact, found, error = ({"optimal": [], "best base-stock": []} for _ in range(3))
    for lead_time in lead_times:
        instance = fr.instances[f"zipkin2008-poisson-b{b}-L{lead_time}"]
        demand, params = instance.demand, instance.params
        best = instance.known["base_stock"]
        for k, (name, policy, cost) in enumerate(
            (
                ("optimal", fr.make_policy("dynamic_programming", demand=demand, params=params), instance.optimal),
                ("best base-stock", fr.make_policy("base_stock", **best.parameters), best.cost),
            )
        ):
            seed = 100 * b + 10 * lead_time + k  # independent demand for every dot
            scenario = fr.draw_scenario(demand, seed, paths=paths, periods=periods, span=lead_time + 1)
            simulated = fr.simulate(policy, scenario, params, warm_up=warm_up).cost.mean((1, 2))
            exact[name].append(cost)
            found[name].append(simulated.mean())
            error[name].append(simulated.std(ddof=1) / np.sqrt(paths))
    for name in exact:
        panel.plot(lead_times, exact[name], **EXACT, ls="-" if name == "optimal" else "--", label=name)
        panel.errorbar(lead_times, found[name], 2 * np.array(error[name]), **SIMULATED)
        errors.extend((np.array(found[name]) - exact[name]) / error[name])
    panel.set(xlabel="lead time L", title=f"b = {b}", xticks=lead_times)
    print(f"b = {b}: exact {exact['optimal']}, simulated {np.round(found['optimal'], 3).tolist()}")
axes[0].set_ylabel("cost a period")
axes[0].legend(frameon=False)
plt.show()

# %% [markdown]
# ## The newsvendor's identity
#
# For one period, h (x − D)⁺ + b (D − x)⁺ = (h + b) · pinball loss of x at the level b / (b + h). A forecaster's score
# and the simulator's cost are the same number; that holds sample by sample, not on average.

# %%
params = fr.ItemParams(lead_time=0, holding_cost=0.18, stockout_cost=0.70)
level = params.critical_ratio
drawn = np.random.default_rng(1).normal(50, 8, (1000, 1, 1)).clip(0)
bought = np.full((1000, 1), stats.norm(50, 8).ppf(level))
state, outcome = fr.step(fr.InventoryState.empty(1000, 1, 0), bought, drawn[:, 0], params)
pinball = np.maximum(level * (drawn[:, 0] - bought), (1 - level) * (bought - drawn[:, 0]))
print(f"level {level:.4f}, order {bought[0, 0]:.4f}")
same = np.allclose(outcome.cost, 0.88 * pinball, rtol=0, atol=1e-12)
print(f"sample by sample the same to twelve decimals: {same}; mean cost {outcome.cost.mean():.2f}")

# %% [markdown]
# ## Backorders: a closed form, and its derivative
#
# With backorders the net inventory under a base-stock level S is S minus the demand of L + 1 periods. Cost and
# derivative follow at once: C(S) = h E(S − D)⁺ + b E(D − S)⁺ and C′(S) = (h + b) F(S) − b, with F the distribution of
# Poisson(5 (L + 1)). The simulator's derivative comes from automatic differentiation through its own dynamics: that is
# what `backprop` trains policies with.

# %%
params = fr.ItemParams(lead_time=2, holding_cost=1.0, stockout_cost=9.0, unmet_demand="backorder")
total, units = stats.poisson(15.0), np.arange(120)
grid = np.arange(15, 25)
whole = np.append(grid, 25)  # between whole levels the cost is linear
closed = [(np.maximum(S - units, 0) + 9.0 * np.maximum(units - S, 0)) @ total.pmf(units) for S in whole]
slope = 10.0 * total.cdf(grid) - 9.0  # between S and S + 1

levels = torch.as_tensor(np.tile(grid + 0.5, (paths, 1))).requires_grad_()
state = fr.InventoryState(levels.detach().clone(), torch.zeros((2, paths, len(grid)), dtype=torch.float64))
mean = np.full(len(grid), 5.0)  # a level each, with demand of its own
demand = torch.as_tensor(fr.draw_scenario(fr.Poisson(mean), seed=5, paths=paths, periods=62).demand)
costs = []
for period in range(62):
    order = torch.clamp(levels - state.net_inventory - state.pipeline.sum(0), min=0)
    state, outcome = fr.step(state, order, demand[:, period], params)
    costs.append(outcome.cost)
cost = torch.stack(costs[2:]).mean(0)  # the first order arrives in period 2
cost.sum().backward()

figure, axes = plt.subplots(1, 2, layout="constrained")
axes[0].plot(whole, closed, **EXACT)
axes[1].step(whole, np.append(slope, slope[-1]), where="post", **EXACT)
middle = (np.array(closed)[:-1] + np.array(closed)[1:]) / 2
for panel, values, theory, title in (
    (axes[0], cost.detach().numpy(), middle, "cost C(S)"),
    (axes[1], levels.grad.numpy(), slope, "derivative C′(S)"),
):
    mean, error = values.mean(0), values.std(0, ddof=1) / np.sqrt(paths)
    panel.errorbar(grid + 0.5, mean, 2 * error, **SIMULATED)
    panel.set(xlabel="base-stock level S", title=title)
    errors.extend((mean - theory) / error)
axes[1].axhline(0, color="#5a6775", lw=0.7)
plt.show()
best = whole[np.argmin(closed)]
print(f"S* = {best}, cost {min(closed):.5f}; the fractile: {total.ppf(0.9):.0f}")

# %% [markdown]
# ## The bullwhip effect
#
# A planner forecasts demand by the mean of the last n periods and orders up to P times that, P = L + 1. Chen, Drezner,
# Ryan and Simchi-Levi (2000) show that orders then vary more than demand: Var(q) / Var(D) = 1 + 2P / n + 2P² / n² for
# independent demand.

# %%
params = fr.ItemParams(lead_time=2, stockout_cost=9.0, unmet_demand="backorder")
windows, ratios, spreads = (2, 4, 8, 16), [], []
for n in windows:
    demand = fr.draw_scenario(fr.Normal(100.0, 10.0), seed=n, paths=100, periods=120).demand
    sums = np.cumsum(np.pad(demand[..., 0], ((0, 0), (1, 0))), axis=1)
    average = (sums[:, n:-1] - sums[:, : -n - 1]) / n  # before each period from n on
    quantiles = np.repeat(average[None, :, :, None, None], 2, axis=-1)
    forecasts = [
        fr.QuantileForecast(np.array([0.1, 0.9]), quantiles[:, :, k].repeat(3, axis=2), np.full(100, n + k), ("item",))
        for k in range(average.shape[1])
    ]
    seen = fr.Scenario(demand[:, n:], forecasts=forecasts)
    played = fr.simulate(fr.make_policy("newsvendor"), seen, params, warm_up=4)
    each = ((played.order[..., 0] - 100.0) ** 2).mean(1) / 10.0**2
    ratios.append(each.mean())
    spreads.append(each.std(ddof=1) / np.sqrt(len(each)))
expected = np.array([1 + 2 * 3 / n + 2 * 9 / n**2 for n in windows])
errors.extend((np.array(ratios) - expected) / spreads)

line = np.linspace(2, 16, 100)
figure, panel = plt.subplots(layout="constrained")
panel.plot(line, 1 + 2 * 3 / line + 2 * 9 / line**2, **EXACT)
panel.errorbar(windows, ratios, 2 * np.array(spreads), **SIMULATED)
panel.set(xlabel="periods that are averaged, n", ylabel="Var(orders) / Var(demand)", ylim=(0, 9))
plt.show()
print("exact    ", expected.round(3))
print("simulated", np.round(ratios, 3))

# %% [markdown]
# ## The number to take home
#
# If simulator and theory agree, deviations behave like a standard normal variable: about 95 % of them lie within 1.96,
# and hardly any beyond 3. (Cost and derivative at a level share their demand; all else is independent.)

# %%
errors = np.abs(errors)
within = (errors < 1.96).sum()
low, high = stats.binomtest(int(within), len(errors)).proportion_ci(method="wilson")
share = f"{100 * within / len(errors):.0f} % [{100 * low:.0f}, {100 * high:.0f}]"
print(f"{len(errors)} comparisons: {share} within 1.96 standard errors; the largest is {errors.max():.2f}")
