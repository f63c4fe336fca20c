"""Whether there is a browser and something to drive it, told without importing either.

With $SNN_ENERGY_REQUIRE_BROWSER set, a missing one is a failure: in continuous integration a skip would go unseen.
"""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
PROGRAM = next(filter(None, map(shutil.which, PROGRAMS)), None)


def _reason() -> str | None:
    if PROGRAM is None:
        return f"no browser: none of {', '.join(PROGRAMS)} is installed (Debian: apt-get install chromium)"
    if find_spec("playwright") is None:
        return "playwright is not installed (pip install --no-deps -r tests/browser/requirements.txt)"
    return None


REASON = _reason()
SKIPS = REASON is not None and not os.environ.get("SNN_ENERGY_REQUIRE_BROWSER")
