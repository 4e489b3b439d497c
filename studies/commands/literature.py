"""`fractile literature`: instances of the literature, solved and simulated."""

from __future__ import annotations

from ..folder import replace_file, write_frame
from ..places import FRAME_ENDINGS, check_output
from . import options as opt
from .terminal import open_terminal, records


def literature(
    only: opt.Only = "*",
    out: opt.Page = None,
    quick: opt.Quick = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Solve and simulate the instances of the literature, and compare with what is known of them."""
    with open_terminal(as_json=as_json, quiet=quiet, debug=debug) as terminal:
        if out is not None:
            check_output(out, (".md", *FRAME_ENDINGS))
        from ..literature import PATHS, literature_page, literature_table

        with terminal.progress() as progress:
            table = literature_table(only, paths=PATHS // 20 if quick else PATHS, progress=progress)
        if out is None:
            return terminal.emit({"literature": records(table)}, literature_page(table))
        if out.suffix in FRAME_ENDINGS:
            write_frame(out, table)
        else:
            page = literature_page(table)
            replace_file(out, lambda partial: partial.write_text(page, encoding="utf-8", newline="\n"))
        apart = int((~table["agrees"]).sum())
        terminal.emit({"out": out, "rows": len(table), "apart": apart}, f"{out}: {len(table)} rows, {apart} apart")
    return None
