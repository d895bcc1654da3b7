"""``warm-up``: compiles the loops before any frame comes."""

from __future__ import annotations

import time

from .console import errors, output


def warm_up() -> None:
    """Compile the loops once after an installation, so that no scan waits for them.

    They are kept beside the package, or where that cannot be written to in a cache of the user who runs this; in the
    folder NUMBA_CACHE_DIR if that is set.
    """
    from rich.progress import track

    from ..reduction.compiled import compiling_said
    from ..reduction.warm_up import USUAL, make_ready

    compiling_said.said = True  # which who asks for it knows
    begin = time.monotonic()
    for settings in track(USUAL, "compiling", console=errors()):
        make_ready(settings)
    output().print(f"the loops are ready, after {time.monotonic() - begin:.0f} s")
