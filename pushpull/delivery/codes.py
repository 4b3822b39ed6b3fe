"""Why a connection ends: close codes, and reasons that are said in more than one place."""

from __future__ import annotations

from typing import Final

BAD_FRAME: Final = 4400
NOT_AUTHENTICATED: Final = 4401
NOT_ALLOWED: Final = 4403
NO_ANSWER: Final = 4408
REPLACED: Final = 4409
FRAME_TOO_LARGE: Final = 4413
RATE_LIMITED: Final = 4429
DRAINING: Final = 1012
OVERLOADED: Final = 1013

ABUSED: Final = "far over the rate of this user, for long"
KICKED: Final = "the session was ended by the service"
REPLACED_BY_ANOTHER: Final = "replaced by another connection"
