"""What the API server says of a credential Secret, noted in one way whoever asked: a look in its turn, a reconcile, a failed write."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable

from keyturn.base.names import Key
from keyturn.cluster.api_errors import NotFound
from keyturn.cluster.cache import Entry
from keyturn.cluster.credential_secrets import CredentialMetadata, NotOurs
from keyturn.controller.runtime import Runtime


async def note_answer(
    rt: Runtime, where: Key, answer: Awaitable[Entry[CredentialMetadata]], *, wanted_by: Iterable[Key]
) -> Entry[CredentialMetadata] | None:
    """Wait for the answer and note it; None: nothing stands there. `wanted_by`: the ApiKeys that want their key there.

    Raises what the answer raises, but for NotFound; NotOurs when it is noted.
    """
    rt.secrets.asks(where)
    held = rt.secrets.get(where)  # before the answer: what is written meanwhile is newer
    try:
        found = await answer
    except NotFound:
        rt.secrets.remove(where, held)
        for key in wanted_by:
            rt.memory.unlabelled.discard(key)
        return None
    except NotOurs:
        rt.secrets.remove(where, held)
        rt.memory.unlabelled.update(wanted_by)
        raise
    if found.value.managed:
        rt.secrets.put_read(where, found, held=held)
    else:
        rt.memory.unlabelled.update(wanted_by)
    return found
