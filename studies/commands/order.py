"""`fractile order`: the orders of a kept run."""

from __future__ import annotations

from pathlib import Path

from ...arrays import MOST
from ...errors import InputError
from ..folder import read_manifest
from ..locks import lock_output
from . import options as opt
from .kept import order_basis
from .target import check_table, need_file
from .terminal import open_terminal, records


def order(
    run: opt.Run,
    history: opt.NeededHistory,
    state: opt.State = None,
    on_hand: opt.OnHand = None,
    items: opt.Items = None,
    policy: opt.KeptPolicy = None,
    forecasts: opt.Forecasts = None,
    trust: opt.Trust = None,
    out: opt.Table = None,
    engine: opt.Engine = None,
    workers: opt.Workers = None,
    address: opt.Address = None,
    blocks: opt.Blocks = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Give the next period's order of every item, from a kept run."""
    with open_terminal(as_json=as_json, quiet=quiet, debug=debug) as terminal, lock_output(out):
        files = {name: Path(file) for name, file in (opt.parse_forecasts(forecasts) or {}).items()}
        check_table(out, [run, history, state, items, *files.values()])
        record, stock = read_manifest(run), _stock(on_hand)
        from ..assumptions import begin_with
        from ..blocks.written import in_blocks
        from ..kept_orders import next_orders, orders_from_files

        made = opt.make_config(None, opt.scale_overrides(engine, workers, address, blocks) | {"data.history": history})
        chosen, mine = engine is not None or blocks is not None, (*(trust or ()), *filter(None, [policy]))
        if chosen and files:
            raise InputError(["--forecasts: forecasts made elsewhere are not read in blocks; leave --blocks out"])
        if chosen or (not files and in_blocks(made.scale, made.data) and not orders_from_files(run, record, mine)):
            from ..blocks.orders import order_in_blocks

            needed = need_file(out, "orders")
            with terminal.progress() as progress:
                done = order_in_blocks(
                    run,
                    history,
                    needed,
                    state=state,
                    items=items,
                    policy=policy,
                    on_hand=stock,
                    trusted=trust or (),
                    scale=made.scale,
                    progress=progress,
                )
            basis = order_basis(record, policy)
            terminal.note(basis, *done.notes)
            text = begin_with(done.assumed, f"Orders: {needed} ({done.rows} rows)")
            terminal.emit({"out": needed, "rows": done.rows, "note": basis, **done.to_record()}, text)
            return
        from ..orders import orders_csv, write_orders

        with terminal.progress() as progress:
            progress("ordering")
            found = next_orders(
                run, history, state, items, policy=policy, on_hand=stock, forecasts=files, trusted=trust or ()
            )
        basis = order_basis(record, policy)
        document = {"note": basis, **found.to_record()}
        terminal.note(basis, *found.notes)
        if out is None:
            rows = records(found.table.astype({"date": str}))
            terminal.emit({"orders": rows, **document}, orders_csv(found.table).rstrip("\n"))
            return
        write_orders(out, found.table)
        text = begin_with(found.assumed, f"Orders: {out} ({len(found.table)} rows)")
        terminal.emit({"out": out, "rows": len(found.table), **document}, text)


def _stock(text: str | None) -> float | None:
    """Return the units of `--on-hand`, or refuse what is no number of units."""
    number = opt.parse_number(text)
    if isinstance(number, str) or (number is not None and not 0 <= number < float("inf")):
        raise InputError([f"--on-hand: must be a number >= 0, units of each item, got {text!r}"])
    if number is not None and number > MOST:
        raise InputError([f"--on-hand: must be at most {MOST:g} units of each item, got {text!r}"])
    return number
