"""Numbers of the literature: what the instances of `instances` are known to cost.

Timing throughout: an order placed in t serves demand from t + L on; cost per period unless said otherwise. Optima and
the costs of the best base-stock, capped and projected-inventory-level policies were recomputed exactly with that
timing; the other heuristics' are as printed.
"""

from __future__ import annotations

from typing import Any

LOST_SALES_POISSON = {
    # (b, L): optimal; base-stock S and cost; capped S, r and cost; projected level U and cost
    (4, 1): (4.04071, (12, 4.1628), (12, 6, 4.0654), (6.3, 4.0423)),
    (4, 2): (4.39530, (16, 4.6386), (17, 5, 4.4057), (6.4, 4.4059)),
    (4, 3): (4.59872, (20, 4.9750), (21, 5, 4.6308), (6.2, 4.6233)),
    (4, 4): (4.72853, (25, 5.1978), (26, 5, 4.7978), (6.2, 4.7433)),
    (9, 1): (5.43822, (13, 5.5475), (14, 6, 5.4812), (8.1, 5.4566)),
    (9, 2): (6.09364, (19, 6.3163), (19, 6, 6.1191), (8.3, 6.1264)),
    (9, 3): (6.53137, (23, 6.8640), (24, 6, 6.6165), (8.4, 6.5755)),
    (9, 4): (6.83594, (28, 7.2709), (29, 5, 6.9123), (8.4, 6.8972)),
    (19, 1): (6.67574, (15, 6.7278), (15, 8, 6.6878), (9.2, 6.6805)),
    (19, 2): (7.66442, (21, 7.8422), (21, 7, 7.7209), (10.1, 7.7072)),
    (19, 3): (8.36251, (26, 8.6045), (26, 6, 8.4011), (10.3, 8.4148)),
    (19, 4): (8.88718, (31, 9.2320), (31, 6, 8.9544), (10.4, 8.9732)),
    (39, 1): (7.83595, (16, 7.8627), (16, 9, 7.8425), (10.2, 7.8388)),
    (39, 2): (9.10638, (22, 9.1903), (22, 8, 9.1326), (11.2, 9.1252)),
    (39, 3): (10.03848, (28, 10.2177), (28, 7, 10.0853), (12.1, 10.0895)),
    (39, 4): (10.79441, (33, 11.0623), (34, 6, 10.8926), (12.3, 10.9031)),
}
"""Poisson(5), h = 1: Zipkin (2008), Tables 3 and 4; capped: Xin (2021); projected: van Jaarsveld and Arts (2024)."""

ZIPKIN_HEURISTICS = {
    # (b, L): myopic, myopic-2, standard base-stock, better vector base-stock
    (4, 1): (4.11, 4.04, 4.39, 4.07),
    (4, 2): (4.56, 4.41, 4.94, 4.45),
    (4, 3): (4.84, 4.64, 5.77, 4.63),
    (4, 4): (5.06, 4.82, 6.14, 4.80),
    (9, 1): (5.45, 5.44, 5.56, 5.48),
    (9, 2): (6.22, 6.10, 6.55, 6.17),
    (9, 3): (6.80, 6.57, 7.47, 6.64),
    (9, 4): (7.20, 6.92, 8.37, 6.95),
    (19, 1): (6.69, 6.68, 6.73, 6.69),
    (19, 2): (7.77, 7.67, 8.15, 7.76),
    (19, 3): (8.56, 8.40, 9.19, 8.47),
    (19, 4): (9.18, 8.96, 9.67, 8.99),
    (39, 1): (7.88, 7.84, 7.98, 7.84),
    (39, 2): (9.16, 9.12, 9.31, 9.14),
    (39, 3): (10.17, 10.07, 10.43, 10.14),
    (39, 4): (11.04, 10.84, 11.43, 10.93),
}
"""As printed in Zipkin (2008), Table 3."""

LONG_LEAD_TIME_POISSON = {4: 4.872515, 9: 7.228960, 19: 9.647877, 39: 11.948816}
"""b → optimal cost at L = 6, Poisson(5), h = 1; not in Zipkin's tables. Recomputed by value
iteration, whose bounds meet to 1e-7; the printed logs of Temizöz et al. (2025) agree within simulation error."""

LONGEST_LEAD_TIMES_POISSON = {
    # (b, L): the least cost that is known, best base-stock
    (4, 8): (4.951, 5.720),
    (4, 10): (5.0185, 5.871),
    (9, 8): (7.491, 8.318),
    (9, 10): (7.676, 8.641),
    (19, 8): (10.175, 10.905),
    (19, 10): (10.574, 11.475),
    (39, 8): (12.811, 13.386),
    (39, 10): (13.487, 14.236),
}
"""Poisson(5), h = 1: Temizöz et al. (2025), logs of deep controlled learning; simulated, not proven optimal."""

CONSTANT_ORDER_POISSON = {4: 5.2748, 9: 10.2748}
"""b → cost of ordering 4 in every period, Poisson(5), h = 1; the same for every lead time."""

LOST_SALES_GEOMETRIC = {
    # (b, L): optimal, best base-stock as printed
    (4, 1): (9.8175, 10.04),
    (4, 2): (10.2402, 10.70),
    (4, 3): (10.4667, 11.13),
    (4, 4): (10.6065, 11.44),
    (9, 1): (14.5082, 14.73),
    (9, 2): (15.5029, 15.99),
    (9, 3): (16.1368, 16.87),
    (9, 4): (16.5774, 17.54),
    (19, 1): (19.2179, 19.40),
    (19, 2): (20.8906, 21.31),
    (19, 3): (22.0646, 22.73),
    (19, 4): (22.9530, 23.85),
    (39, 1): (23.8657, 24.00),
    (39, 2): (26.2138, 26.55),
    (39, 3): (27.9636, 28.51),
    (39, 4): (29.3560, 30.12),
}
"""Geometric demand with mean 5 on 0, 1, 2, …, h = 1: Zipkin (2008), Tables 3 and 4."""

BACKORDER_NORMAL = {
    1: (3.1674, 3.9711, 4.6674, 5.2898),
    4: (5.0081, 6.2788, 7.3798, 8.3640),
    7: (6.3348, 7.9421, 9.3348, 10.5797),
    10: (7.4282, 9.3130, 10.9460, 12.4058),
    15: (8.9588, 11.2319, 13.2014, 14.9619),
    20: (10.2636, 12.8678, 15.1241, 17.1411),
}
"""L → optimal cost for b = 4, 9, 19, 39, demand normal(5, 1.6), h = 1: (h + b) φ(Φ⁻¹(b/(b + h))) · 1.6 √(L + 1)."""

DUAL_SOURCING = {
    # (regular lead time, expedited cost): optimal; gaps in per cent of the best single index, dual index, capped dual
    # index and tailored base-surge policies
    (2, 105): (216.7698, (0.568, 0.116, 0.006, 0.061)),
    (2, 110): (219.7333, (1.032, 0.178, 0.030, 0.987)),
    (3, 105): (216.8767, (0.979, 0.268, 0.001, 0.012)),
    (3, 110): (220.3411, (2.114, 0.360, 0.057, 0.709)),
    (4, 105): (216.8931, None),
    (4, 110): (220.6122, None),
}
"""Gijsbrechts et al. (2022), section 6.2: c_r = 100, l_e = 0, h = 5, b = 495, demand uniform on 0, …, 4."""

FIXED_COST_LOST_SALES: dict[str, Any] = {
    "optimal": 11.46305,
    "ss": (17, 23, 11.62),
    "rq": (17, 7, 11.56),
    "capped ss": (17, 23, 7, 11.50),
}
"""Bijvank, Bhulai and Huh (2015), Table 1: L = 2, h = 1, b = 14, K = 5, Poisson(5); the heuristics as printed."""

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
"""Poisson mean → optimal s, S and cost, backorders, h = 1, b = 9, K = 64, L = 0.

Zheng and Federgruen (1991), Table 1.
"""

SERIAL = {
    1: (6.899, 8.367, 9.608, 10.701),
    2: (7.599, 9.261, 10.671, 11.913),
    3: (8.206, 10.037, 11.592, 12.965),
    4: (8.753, 10.734, 12.420, 13.910),
}
"""Lead time of the last link → optimal cost for b = 4, 9, 19, 39: the serial system of Alvo et al. (2023)."""

TRANSSHIPMENT = {
    # (stores, L, correlation): lower bound per store for b = 4, 9
    (3, 2, 0.5): (5.753735, 7.213631),
    (3, 6, 0.5): (7.717182, 9.675263),
    (5, 2, 0.5): (5.296388, 6.640241),
    (5, 6, 0.5): (7.169472, 8.988583),
    (10, 2, 0.5): (5.535855, 6.940467),
    (10, 6, 0.5): (7.546230, 9.460935),
    (3, 2, 0.0): (5.151388, 6.458450),
    (3, 6, 0.0): (7.279164, 9.126106),
    (5, 2, 0.0): (4.591193, 5.756116),
    (5, 6, 0.0): (6.665482, 8.356715),
    (10, 2, 0.0): (4.673492, 5.859297),
    (10, 6, 0.0): (6.938402, 8.698883),
}
"""A warehouse that passes everything on (L = 3) and stores: the bound of Alvo et al. (2023)."""

STORE_MEANS = (3.743, 4.750, 4.555, 3.801, 6.852, 3.425, 2.598, 7.266, 5.902, 4.933)
STORE_DEVIATIONS = (1.765, 2.124, 1.622, 1.405, 1.714, 1.590, 0.879, 2.701, 2.127, 2.391)
"""Demand of the stores of `TRANSSHIPMENT`: the first n of them, drawn once by the authors, to three decimals."""

PERISHABLE = {"fifo": (1457.281, 7, 1474.5), "lifo": (1552.991, 5, 1566.0)}
"""Issuing → discounted cost of the optimal policy; level and discounted cost of the best base-stock policy.

De Moor, Gijsbrechts and Boute (2022): m = 2, L = 1, h = 1, b = 5, waste 7, unit 3, gamma demand with mean 4 and
coefficient of variation 0.5, rounded, orders up to 10, discount 0.99. The costs are those of public replications: from
an empty store, after a warm-up of 100 periods, of 365 periods discounted to their first; the last was simulated.
"""

BACKORDER_POISSON = {"mean": 5.0, "lead_time": 2, "stockout_cost": 9.0, "level": 20, "cost": 7.12300}
"""Backorders, Poisson demand, h = 1: the fractile of demand over L + 1 periods, and the expected cost at that level."""

NEWSVENDOR_NORMAL = {
    "mean": 50.0,
    "standard_deviation": 8.0,
    "holding_cost": 0.18,
    "stockout_cost": 0.70,
    "level": 56.60395593,
    "cost": 1.99760519,
}
"""Snyder and Shen (2019), example 4.3: normal demand of one period."""
