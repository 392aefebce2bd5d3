"""What holds for all tests."""

from __future__ import annotations

import logging

from hypothesis import HealthCheck, settings

logging.getLogger("asyncio").setLevel(logging.ERROR)
"""in debug mode it warns of every callback that a busy machine made slow, into whatever a test looks at"""

settings.register_profile(
    "presenced", deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("presenced")
