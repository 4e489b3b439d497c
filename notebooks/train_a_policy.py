# %% [markdown]
# # Train a policy: reinforcement learning and gradients, held against good baselines
#
# *Half a minute on one core. Needs `fractile` alone; Stable-Baselines3 and torch come with it.*
#
# A network that buys is easy to train and easy to overrate: a badly set baseline makes any network look good. This
# notebook trains two of them, one with Stable-Baselines3 and one by gradients straight through the simulator, on a
# problem whose optimum is known, and holds them against the best policies that a textbook offers. Then it does the
# same on a shop's history, where nobody knows the optimum.

# %%
import matplotlib.pyplot as plt
import numpy as np
from stable_baselines3 import PPO

import fractile as fr

plt.rc("figure", figsize=(7.0, 2.8), dpi=90)
plt.rc("axes.spines", top=False, right=False)

# %% [markdown]
# ## A problem with a known optimum
#
# Lost sales, Poisson demand of 5 a period, lead time 4, h = 1, b = 4: one of Zipkin's (2008) instances. Its optimal
# average cost was computed by dynamic programming.

# %%
instance = fr.instances["zipkin2008-poisson-b4-L4"]
demand, params = instance.demand, instance.params
print(f"optimal: {instance.optimal}")
for name in ("base_stock", "capped_base_stock"):
    print(f"best {name}: {instance.known[name].cost} with {dict(instance.known[name].parameters)}")

# %% [markdown]
# The best base-stock policy costs a tenth more than the optimum: with four orders under way it reacts to every sale at
# once and orders too much after a run of good periods. A cap on the order mends most of that. So much is to be had
# without a network, and the comparison must say so.

# %%
source = fr.training.DemandSource(demand, params)
problem = fr.training.TrainingProblem.of_source(source, seed=0)
policies = {name: fr.train_policy(name, problem) for name in ("newsvendor", "base_stock", "capped_base_stock")}

# %% [markdown]
# ## Stable-Baselines3
#
# `make_sb3_env` is a native batch of environments. An action moves the order-up-to level around the newsvendor's, so
# that training begins at something sensible; everything else is Stable-Baselines3 as it is.

# %%
env = fr.make_sb3_env("fractile/LostSales-v0", num_envs=128, demand=demand, params=params, standardise=True)
agent = PPO(
    "MlpPolicy",
    env,
    n_steps=16,
    batch_size=512,
    n_epochs=4,
    gamma=0.95,  # an order acts within a few lead times
    gae_lambda=0.9,
    learning_rate=lambda left: 1e-3 * (0.1 + 0.9 * left),
    policy_kwargs={"net_arch": [64, 64], "log_std_init": -2.0},
    seed=1,
)
policies["ppo"] = fr.SB3Policy(agent.learn(80_000), env)

# %% [markdown]
# ## Gradients through the simulator
#
# The dynamics are one pure function that runs in torch, too: the cost of an episode has a derivative in the network's
# weights, and no reward has to be guessed at. `train_policy("ppo", problem)` would train an agent in the same line.

# %% tags=["varies"]
messages = []
problem.progress = lambda *report: messages.append(report[0])
policies["backprop"] = fr.train_policy("backprop", problem, {"steps": 100, "paths": 64})
print("\n".join(messages[-3:]))

# %% [markdown]
# ## Held against each other, on fresh demand
#
# 400 paths that nobody trained on, the same for all policies. The baseline is the *best* base-stock policy, not the
# newsvendor, against which everything looks good.

# %% tags=["varies"]
fresh = fr.draw_scenario(demand, seed=1, paths=400, periods=250, span=5)
comparison = fr.compare(policies, fresh, params, baseline="base_stock", warm_up=50)
print(comparison)

# %% [markdown]
# What did the network find? It orders four or five units in nearly every period, close to the mean of demand, and less
# only where stock is high. The cap cuts the large orders alone; the base-stock policy repeats what was sold.

# %% tags=["varies"]
names = ("base_stock", "capped_base_stock", "backprop")
figure, axes = plt.subplots(1, 3, sharey=True, layout="constrained")
for panel_axes, name in zip(axes, names, strict=True):
    orders = comparison.trajectories[name].order.astype(int).ravel()
    panel_axes.bar(range(13), np.bincount(orders, minlength=13)[:13] / len(orders), color="#0072b2")
    panel_axes.set(title=name, xlabel="units ordered")
axes[0].set_ylabel("share of periods")
plt.show()

# %% [markdown]
# ## On a shop's history
#
# Forty items of the embedded panel. Demand is drawn from a forecaster's quantiles, given what was known 26 weeks before
# the end; networks learn on twenty such futures, and are compared on forty others. The rival is the tuned newsvendor,
# whose two numbers hold for all items.

# %% tags=["varies"]
history = fr.retail_panel(items=40, periods=157, seed=0).panel.until(131)
forecaster = fr.make_forecaster("ets").fit(history)
shop = fr.ItemParams(lead_time=2, holding_cost=1.0, stockout_cost=9.0, pack_size=1)
future = fr.ForecastDemand(forecaster, history)
lesson = fr.training.TrainingProblem(fr.draw_scenario(future, seed=1, paths=20, periods=26, span=3), shop)
bought = {name: fr.train_policy(name, lesson) for name in ("tuned_newsvendor", "tuned_projected")}
bought["backprop"] = fr.train_policy("backprop", lesson, {"steps": 50})

unseen = fr.draw_scenario(future, seed=2, paths=40, periods=26, span=3)
in_shop = fr.compare(bought, unseen, shop, baseline="tuned_newsvendor", warm_up=4)
print(in_shop)
print(*lesson.notes["backprop"])

# %% [markdown]
# ## The number to take home
#
# The demand of this comparison was drawn from the forecaster that the policies see: it is the best case. On held-out
# weeks of a real history a study (`fractile study`, or the notebook on your own CSV) says what is left.

# %% tags=["varies"]
gap = comparison.table.loc["backprop", "cost"] / instance.optimal - 1
print(f"Against the optimum: backprop {100 * gap:+.1f} %.")
for name in ("capped_base_stock", "ppo", "backprop"):
    print(f"{name} saves {comparison.describe_saving(name)} against the best base-stock policy.")
print(f"In the shop backprop saves {in_shop.describe_saving('backprop')} against the tuned newsvendor.")
