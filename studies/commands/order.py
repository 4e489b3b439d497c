"""`fractile order`: the orders of a kept run."""

from __future__ import annotations

from ..folder import read_manifest
from . import options as opt
from .kept import order_basis
from .target import check_table
from .terminal import open_terminal


def order(
    run: opt.Run,
    history: opt.NeededHistory,
    state: opt.State = None,
    items: opt.Items = None,
    out: opt.Table = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Give the next period's order of every item, from a kept run."""
    with open_terminal(as_json=as_json, quiet=quiet, debug=debug) as terminal:
        check_table(out)
        basis = order_basis(read_manifest(run))
        from ..kept_runs import next_orders

        with terminal.progress() as progress:
            progress("ordering")
            orders = next_orders(run, history, state, items)
        terminal.emit_table(out, "orders", orders, note=basis)
