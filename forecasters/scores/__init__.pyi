"""Scores of forecasts: `fr.scores`."""

from .losses import (
    bias as bias,
    coverage as coverage,
    crps as crps,
    crps_ensemble as crps_ensemble,
    interval_score as interval_score,
    mean_quantile_loss as mean_quantile_loss,
    pinball_loss as pinball_loss,
    quantile_error as quantile_error,
    sharpness as sharpness,
    weighted_quantile_loss as weighted_quantile_loss,
)
from .outcomes import (
    StockOuts as StockOuts,
)
from .sums import (
    protection_interval_cells as protection_interval_cells,
    protection_interval_loss as protection_interval_loss,
)
from .tables import (
    actual_demand as actual_demand,
    calibration_table as calibration_table,
    mean_weighted_quantile_loss as mean_weighted_quantile_loss,
    pit as pit,
    pit_bounds as pit_bounds,
    quantile_loss_cells as quantile_loss_cells,
    score_forecast as score_forecast,
)
from .volatility import (
    VOLATILITY_LEVELS as VOLATILITY_LEVELS,
    VolatilityCells as VolatilityCells,
    excess_volatility as excess_volatility,
    volatility_cells as volatility_cells,
)
