"""Instances of the literature and what is known of them: holding cost h = 1 and average cost per period throughout.

Timing: an order placed in t serves demand from t + L on. Every value was recomputed exactly with that timing.
"""

from __future__ import annotations

LOST_SALES_POISSON = {
    (4, 1): 4.04071,
    (4, 2): 4.39530,
    (4, 3): 4.59872,
    (4, 4): 4.72853,
    (9, 1): 5.43822,
    (9, 2): 6.09364,
    (9, 3): 6.53137,
    (9, 4): 6.83594,
    (19, 1): 6.67574,
    (19, 2): 7.66442,
    (19, 3): 8.36251,
    (19, 4): 8.88718,
    (39, 1): 7.83595,
    (39, 2): 9.10638,
    (39, 3): 10.03848,
    (39, 4): 10.79441,
}
"""(b, L) → optimal cost, lost sales, Poisson(5).

Zipkin (2008), "Old and new methods for lost-sales inventory systems", Operations Research 56(5), Tables 3 and 4.
"""

LOST_SALES_GEOMETRIC = {
    (4, 1): 9.8175,
    (4, 2): 10.2402,
    (4, 3): 10.4667,
    (4, 4): 10.6065,
    (9, 1): 14.5082,
    (9, 2): 15.5029,
    (9, 3): 16.1368,
    (9, 4): 16.5774,
    (19, 1): 19.2179,
    (19, 2): 20.8906,
    (19, 3): 22.0646,
    (19, 4): 22.9530,
    (39, 1): 23.8657,
    (39, 2): 26.2138,
    (39, 3): 27.9636,
    (39, 4): 29.3560,
}
"""(b, L) → optimal cost, lost sales, geometric demand of mean 5 on 0, 1, 2, …; Zipkin (2008), Tables 3 and 4.

Our value iteration gives (19, 3), (39, 3) and (39, 4) 0.00006 to 0.00007 lower; the numbers here are the reference's.
"""

BEST_BASE_STOCK_POISSON = {
    (4, 1): (12, 4.1628),
    (4, 2): (16, 4.6386),
    (4, 3): (20, 4.9750),
    (4, 4): (25, 5.1978),
    (9, 1): (13, 5.5475),
    (9, 2): (19, 6.3163),
    (9, 3): (23, 6.8640),
    (9, 4): (28, 7.2709),
    (19, 1): (15, 6.7278),
    (19, 2): (21, 7.8422),
    (19, 3): (26, 8.6045),
    (19, 4): (31, 9.2320),
    (39, 1): (16, 7.8627),
    (39, 2): (22, 9.1903),
    (39, 3): (28, 10.2177),
    (39, 4): (33, 11.0623),
}
"""(b, L) → level S and cost of the best base-stock policy, lost sales, Poisson(5); Zipkin (2008), Table 3."""

BEST_CAPPED_POISSON = {
    (4, 1): (12, 6, 4.0654),
    (4, 2): (17, 5, 4.4057),
    (4, 3): (21, 5, 4.6308),
    (4, 4): (26, 5, 4.7978),
    (9, 1): (14, 6, 5.4812),
    (9, 2): (19, 6, 6.1191),
    (9, 3): (24, 6, 6.6165),
    (9, 4): (29, 5, 6.9123),
    (19, 1): (15, 8, 6.6878),
    (19, 2): (21, 7, 7.7209),
    (19, 3): (26, 6, 8.4011),
    (19, 4): (31, 6, 8.9544),
    (39, 1): (16, 9, 7.8425),
    (39, 2): (22, 8, 9.1326),
    (39, 3): (28, 7, 10.0853),
    (39, 4): (34, 6, 10.8926),
}
"""(b, L) → level S, cap r and cost of a capped base-stock policy, lost sales, Poisson(5).

The policy is that of Xin (2021), "Understanding the performance of capped base-stock policies in lost-sales
inventory models", Operations Research 69(1).
"""

CONSTANT_ORDER_POISSON = {4: 5.2748, 9: 10.2748}
"""b → cost of ordering 4 in every period, lost sales, Poisson(5); any lead time."""

FIXED_COST_LOST_SALES = {"mean": 5.0, "lead_time": 2, "stockout_cost": 14.0, "fixed_order_cost": 5.0, "cost": 11.46305}
"""Bijvank, Bhulai and Huh (2015), "Parametric replenishment policies for inventory systems with lost sales and
fixed order cost", European Journal of Operational Research 241(2), Table 1: optimal cost 11.46, Poisson demand."""

REORDER_POINT_ORDER_UP_TO = {
    10: (6, 40, 35.0216),
    15: (10, 49, 42.6978),
    20: (14, 62, 49.1730),
    21: (15, 65, 50.4060),
    22: (16, 68, 51.6323),
    23: (17, 52, 52.7567),
    24: (18, 54, 53.5179),
    25: (19, 56, 54.2622),
    30: (23, 66, 57.8189),
    40: (33, 87, 64.5118),
    50: (42, 108, 70.9752),
    60: (52, 129, 77.3059),
    70: (62, 81, 79.0375),
}
"""Poisson mean → optimal s, S and cost, backorders, b = 9, K = 64, L = 0.

Zheng and Federgruen (1991), "Finding optimal (s, S) policies is about as simple as evaluating a single policy",
Operations Research 39(4), Table 1.
"""

BACKORDER_POISSON = {"mean": 5.0, "lead_time": 2, "stockout_cost": 9.0, "level": 20, "cost": 7.12300}
"""Backorders, Poisson demand: the fractile of demand over L + 1 periods, and the expected cost at that level."""

NEWSVENDOR_NORMAL = {
    "mean": 50.0,
    "standard_deviation": 8.0,
    "holding_cost": 0.18,
    "stockout_cost": 0.70,
    "level": 56.60395593,
    "cost": 1.99760519,
}
"""Snyder and Shen (2019), "Fundamentals of Supply Chain Theory", 2nd edition, example 4.3: one period."""
