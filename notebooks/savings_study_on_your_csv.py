# %% [markdown]
# # A savings study on your own CSV
#
# *Half a minute on one core. Needs `fractile` alone.*
#
# A German shop's till gives a file that no program reads at once: semicolons, decimal commas, dates as day.month.year,
# a row a sale, and returns as negative sales. From there to a study of what better orders would save, and to next
# week's orders, in Python. (On the command line it is `fractile import`, `fractile study`, `fractile order`.)

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import fractile as fr
from fractile.studies.kept_orders import next_orders

plt.rc("figure", figsize=(7.0, 2.8), dpi=90)
plt.rc("axes.spines", top=False, right=False)

# %% [markdown]
# ## The file
#
# Yours is on the disk already. This one is made from the embedded panel: 25 items, two and a half years, sales spread
# over the days of the week, and one sale in two hundred comes back.

# %%
retail = fr.retail_panel(items=25, periods=130, seed=3)
rng = np.random.default_rng(3)
weekly = retail.panel.to_frame()[["item_id", "date", "sales", "price"]]
days = rng.multinomial(weekly["sales"].astype(int), np.full(7, 1 / 7))
row, day = np.nonzero(days)
till = pd.DataFrame(
    {
        "Datum": (weekly["date"].iloc[row].to_numpy() + pd.to_timedelta(day, "D")).strftime("%d.%m.%Y"),
        "Artikel": weekly["item_id"].iloc[row].str.replace("SKU-", "Tee Nr. ").to_numpy(),
        "Menge": days[row, day],
        "Preis in €": weekly["price"].iloc[row].to_numpy().round(2),
    }
)
returned = till.sample(frac=0.005, random_state=3).assign(Menge=-1)
file = Path("kasse.csv")
pd.concat([till, returned]).to_csv(file, sep=";", decimal=",", encoding="cp1252", index=False)
print("\n".join(file.read_text(encoding="cp1252").splitlines()[:4]))

# %% [markdown]
# ## Import: what the file decides is said, what it leaves open is a question
#
# Does a return belong to the sales of its day, or is it a correction to leave out? The file does not say, and nothing
# is guessed. The question ends with the commands to type; in Python their options are arguments of the same names.

# %%
try:
    fr.import_sales(file, freq="W-MON")
except fr.InputError as question:
    print(question)

# %%
imported = fr.import_sales(file, freq="W-MON", returns="net")
print("\n".join(imported.report.lines))
imported.history.to_csv("history.csv", index=False)

# %% [markdown]
# The till does not know when a shelf was empty. A column `in_stock` would tell the forecasters that sales were a lower
# bound of demand; without one, sales are taken for demand, and the study's savings are savings on *recorded* demand.
#
# ## The study
#
# Lead time and costs are ours: goods come two weeks after the order, a unit costs 0.10 a week to keep, a missed sale
# costs 1.50 of margin. What stands in for today's practice is a fixed level for each item, tuned as well as a fixed
# level can be. The last 26 weeks are held out; everything is fitted and tuned on what was before.

# %%
config = fr.load_config(
    None,
    {
        "data.history": "history.csv",
        "defaults.lead_time": 2,
        "defaults.holding_cost": 0.10,
        "defaults.stockout_cost": 1.50,
        "forecast.forecaster": "patchwork",
        "forecast.also": ["seasonal_naive"],
        "policies.names": ["base_stock", "newsvendor", "tuned_newsvendor", "projected"],
        "policies.baseline": "base_stock",
        "report.currency": "EUR",
    },
)
result = fr.run_study(config.quick(), "run")
print(result.comparison)
print()
print(result.advice.sentence)

# %% [markdown]
# A fixed level cannot follow season, promotions and launches; forecasts can, and here that is most of the saving.
# `quick()` takes one fold and fewer simulated histories, so that this notebook is short; leave it out for a decision.
# A careful reader has questions; the study answers the usual ones:

# %%
for answer in result.checks.answers:
    print(f"{answer.question}\n    {answer.answer}")

# %% [markdown]
# ## The run folder
#
# Everything is in files: `report.html` to read, tables as Parquet, the fitted models. Here is the cost of the held-out
# weeks as it adds up.

# %%
print(", ".join(sorted(path.name for path in result.folder.iterdir() if path.is_file())))
trajectories = pd.read_parquet(result.folder / "trajectories.parquet")
weekly_cost = trajectories.pivot_table(index="date", columns="policy", values="cost", aggfunc="sum")
axes = weekly_cost[["base_stock", "newsvendor", "tuned_newsvendor"]].cumsum().plot(lw=1.5)
axes.set(xlabel="", ylabel="EUR since the first week")
axes.legend(frameon=False, title="")
plt.show()

# %% [markdown]
# ## Next week's orders
#
# The run orders with the policy that the study advises. What is on hand comes from a file in real life (`state`); here
# it is ten units of each item. The table also says which policy and forecaster ordered, and what was assumed.

# %%
orders = next_orders(result.folder, Path("history.csv"), on_hand=10)
orders.table.head(6).drop(columns=["policy", "forecaster", "assumed"])

# %% [markdown]
# ## The number to take home

# %%
comparison = result.comparison
best = comparison.cheapest
table = comparison.table
euros = table.loc["base_stock", "cost"] - table.loc[best, "cost"]
print(f"{best} saves {comparison.describe_saving(best)} against the best fixed levels: {52 * euros:,.0f} EUR a year,")
low, high = 100 * table.loc[best, ["simulated_low", "simulated_high"]].astype(float)
print(f"on 26 held-out weeks; in demand simulated from the forecasts [{low:.1f}, {high:.1f}].")
