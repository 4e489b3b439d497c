"""Exact solutions, exact costs and bounds of small systems: which file holds which method, for which system.

| file | method | system |
|---|---|---|
| `dynamic_programming` | value iteration on a grid, the policy `dynamic_programming` | one item, discrete demand, lost sales or backorders |
| `markov_decision` | value iteration over listed states, `optimal_policy` | perishable stock, two suppliers, short chains, one item |
| `policy_evaluation` | Markov chain of a policy, `exact_cost`; search by it, `best_policy`, `best_dual_sourcing` | likewise |
| `backorders` | `zheng_federgruen`, `clark_scarf`, `transshipment_bound` | (s, S); serial chains; stores supplied by a warehouse |
| `hindsight` | Wagner-Whitin with stock-outs, the bound `hindsight` | items, demand known beforehand |
| `value_iteration` | the solver, and the grids of one item | whatever has `update` and `choose` |
| `small_system` | states as rows, every demand at once, by the system's own `step` | one item, or a network with one demand |
"""  # noqa: E501  # a table

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
