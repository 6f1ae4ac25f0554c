"""Asked beside the start: may this verifier do what it is going to do? `rights.py` is the list. Answering does not wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from keyturn.base.errors import RetryLater
from keyturn.base.log_output import get_logger
from keyturn.cluster.client import Client
from keyturn.cluster.permissions import missing_rights
from keyturn.verifier.service.rights import needed_rights
from keyturn.verifier.service.settings import VerifierSettings

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0

log = get_logger(__name__)


async def is_allowed(client: Client, settings: VerifierSettings, *, otherwise: Callable[[], object]) -> bool:
    """Whether no right is missing; each that is becomes a sentence in the log, and `otherwise` is called.

    An API server that is away is waited for.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            missing = await missing_rights(client, needed_rights(settings))
        except RetryLater as error:
            log.warning("Will be tried again", doing="Asking for permissions", problem=str(error), seconds=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            continue
        for sentence in missing:
            log.error("Missing permission", problem=sentence)
        if missing:
            otherwise()
        return not missing
