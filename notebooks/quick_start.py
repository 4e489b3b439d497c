# %% [markdown]
# # Quick start: from a sales history to next week's orders
#
# *Ten seconds on one core. Needs `fractile` alone.*
#
# A shop has three years of weekly sales of 40 items. How much should it order this week, and what does it gain by
# ordering well? The notebook goes the whole way once: history, quantile forecasts, simulated demand, policies compared
# on the same demand, and a list of orders. Nothing is defined here; every name comes from `fractile`.

# %%
import matplotlib.pyplot as plt
import numpy as np

import fractile as fr

plt.rc("figure", figsize=(7.0, 2.8), dpi=90)
plt.rc("axes.spines", top=False, right=False)

# %% [markdown]
# ## The history
#
# The embedded panel looks like a shop's record; its true demand is known, too, but to no forecaster. Where an item was
# out of stock, sales say only that demand was *at least* what was sold.

# %%
retail = fr.retail_panel(items=40, periods=157, seed=0)
panel = retail.panel
out_of_stock = panel.listed & ~panel.in_stock
share = out_of_stock.sum() / panel.listed.sum()
print(f"{panel.items} items, {panel.periods} weeks, out of stock in {share:.1%} of them")

# %% [markdown]
# ## Quantile forecasts
#
# The last 26 weeks are held out: the forecaster is fitted to what came before them. It forecasts four weeks ahead from
# each of the 26 weeks, and knows only what was known when that week began.

# %%
start = 131
history = panel.until(start)
forecaster = fr.make_forecaster("ets").fit(history)
forecast = forecaster.predict(panel, horizon=4, origins=np.arange(start, panel.periods))

item = panel.item_ids[7]
axes = forecast.plot(item, panel, origin=4)
axes.set_title(f"Demand of {item}: what was sold, and the forecast of four weeks", fontsize=10)
plt.show()

# %% [markdown]
# An order has to last until the next one arrives. With a lead time of two weeks and a review every week that is the
# demand of *three* weeks together, the protection interval. Its quantiles are not sums of weekly quantiles: where
# skewed weeks are added, the middle comes out higher and the upper tail lower, since bad weeks do not all come at once.

# %%
total = forecast.total(3)
for level in (0.5, 0.9, 0.98):
    added = forecast.quantile(level)[:, :, :3].sum(2).mean()
    of_sum = total.quantile(level).mean()
    print(f"level {level:4}: three weekly quantiles added {added:5.1f}, quantile of the sum {of_sum:5.1f}")

# %% [markdown]
# ## Policies, on demand that could have come
#
# A unit that is left over costs 1 a week, a sale that is missed costs 9: the critical ratio is 9 / (9 + 1) = 0.9. The
# *newsvendor* orders up to that quantile of the protection interval's demand. It is optimal where customers wait; here
# they do not, so it keeps more stock than pays. The *tuned* newsvendor has a scale and a safety factor, found by
# simulation on demand that is drawn from the forecaster; *projected* carries stock forward to the week in which the
# order arrives, lost sales included, and orders up to a quantile from there.

# %%
params = fr.ItemParams(lead_time=2, holding_cost=1.0, stockout_cost=9.0, pack_size=1)
demand = fr.ForecastDemand(forecaster, history, mode="rolled")
training = fr.draw_scenario(demand, seed=1, paths=15, periods=26, span=3)
problem = fr.training.TrainingProblem(training, params)
policies = {name: fr.train_policy(name, problem) for name in ("newsvendor", "projected", "tuned_newsvendor")}

# %% [markdown]
# They are compared on fresh demand, all on the same paths. The interval is that of a *difference*: what the two
# policies share cancels.

# %%
fresh = fr.draw_scenario(demand, seed=2, paths=15, periods=26, span=3)
simulated = fr.compare(policies, fresh, params, baseline="newsvendor", warm_up=4)
print(simulated)

# %% [markdown]
# ## ... and on the demand that came
#
# Savings in a simulation are a promise. The 26 weeks that were held out are one history, and a short one, so its
# interval is wide; but nothing in it was made by the forecaster. The true demand of the embedded panel is known, and
# each week's forecast is the one that was made before it.

# %%
seen = [forecast.at_origin(k) for k in range(panel.periods - start)]
held_out = fr.Scenario(retail.demand[:, start:].T[None], forecasts=seen)
real = fr.compare(policies, held_out, params, baseline="newsvendor", warm_up=4)
real.plot()
plt.show()

# %% [markdown]
# ## Next week's orders
#
# The same policy, the same forecaster, the end of the history. With nothing on hand and nothing under way an order is
# large; `state=` takes what there is.

# %%
fr.next_orders(policies["tuned_newsvendor"], forecaster, panel, params).head()

# %% [markdown]
# ## The number to take home

# %%
print(f"The tuned newsvendor saves {simulated.describe_saving('tuned_newsvendor')} in simulated demand,")
print(f"and {real.describe_saving('tuned_newsvendor')} on 22 held-out weeks.")
