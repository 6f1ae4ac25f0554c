"""Puts a minted key into the status, encrypted to its person. Part of `act.py`.

The one write of a status that is no projection: it stays until its person says that they have the key (`lifecycle/sealed.py`).
"""

from __future__ import annotations

from keyturn.api.v1alpha1.apikey import ApiKeyStatus, SealedKey, status_to_json
from keyturn.base.errors import Conflict
from keyturn.controller.apikey.announce import post
from keyturn.controller.apikey.status_patch import patch_status
from keyturn.controller.runtime import Runtime
from keyturn.keys.age_envelope import encrypt_to
from keyturn.lifecycle.announcement import sealing_of
from keyturn.lifecycle.observed import Observed
from keyturn.lifecycle.plan import Seal


async def seal(rt: Runtime, seen: Observed, step: Seal) -> None:
    """Encrypt, write, and forget the plaintext. With an unknown outcome it is still held, and sealed once more: the same key."""
    apikey = seen.apikey
    if apikey is None:
        raise Conflict("the ApiKey is gone")
    token = rt.memory.held[seen.key][step.number]
    text = sealing_of(apikey, number=step.number, key_id=step.key_id, expiration_time=step.expiration_time)
    await post(rt, seen.key, apikey.metadata.uid, text, now=seen.now)
    sealed = SealedKey(
        key_id=step.key_id,
        version=step.number,
        recipient=step.recipient,
        ciphertext=encrypt_to([step.recipient], token.plaintext.reveal().encode(), armored=True).decode("ascii"),
        expiration_time=step.expiration_time,
    )
    await patch_status(rt, apikey, status_to_json(ApiKeyStatus(sealed=sealed)))  # an edit is seen by the look that follows
    rt.memory.keep_held(seen.key, rt.memory.held[seen.key].keys() - {step.number})
