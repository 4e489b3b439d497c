"""How parameters of classical policies are found, `tune_policy`'s parts.

| file | what it holds |
|---|---|
| `candidates` | many candidates in one simulation: their costs by item and part of the stretch |
| `search` | grids that widen, the pooling of items, refinement |
| `fixed` | policies with fixed parameters: what their coordinates mean, and where the search starts |
| `fractiles` | policies that read forecasts: a scale and a shift that all items share |
"""
