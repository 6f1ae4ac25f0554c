"""The laws of the life cycle for keys that no Secret holds: those that a person takes, and those that were made elsewhere."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from gen.deliveries import ANNA, BELA
from gen.operators_at_work import WHO, OperatorsAtWork
from gen.world_parts import Luck
from keyturn.base.settings import Settings
from keyturn.keys.digest import derived_key_id, digest_token

SETTINGS = Settings(
    minimum_grace_period="1s",
    minimum_rotation_spacing="10s",
    propagation_delay="2s",
    orphan_wait="5s",
    quiet_period="8s",
    sealed_wait="20s",
)
OVERLAP = {"gracePeriod": "10s", "overlapLimit": "60s"}
RECIPIENTS = (ANNA, BELA)
DIGESTS = tuple(digest_token(f"sk-{number}") for number in range(6))


class WithoutASecret(OperatorsAtWork):
    """One ApiKey whose key stands in no Secret."""

    settings = SETTINGS

    @rule(who=WHO, seconds=st.integers(4, 12))
    def one_works_alone_for_a_while(self, who: int, seconds: int) -> None:
        for _ in range(seconds):
            self.world.look(self.actors[who])
            self.world.step(self.actors[who], Luck.FINE)
            self.world.now += timedelta(seconds=1)

    @rule(who=WHO, what=st.sampled_from(["record", "status"]))
    def look(self, who: int, what: str) -> None:
        """Two watches: one may be ahead of the other."""
        if what == "record":
            self.actors[who].record = self.world.record
        else:
            self.actors[who].status = self.world.status

    @rule()
    def status_is_wiped(self) -> None:
        self.world.status = None

    @rule(disabled=st.booleans())
    def it_is_disabled_or_not(self, disabled: bool) -> None:
        self.world.spec["disabled"] = disabled

    @rule(seconds=st.integers(5, 100))
    def an_end_is_set(self, seconds: int) -> None:
        end = self.world.now + timedelta(seconds=seconds)
        self.world.spec["expirationTime"] = end.strftime("%Y-%m-%dT%H:%M:%SZ")

    @rule()
    def the_end_is_taken_away(self) -> None:
        self.world.spec.pop("expirationTime", None)

    @rule()
    def apikey_is_deleted_or_comes_back(self) -> None:
        if not self.world.exists:
            self.world.status, self.world.annotations = None, {}
            self.world.uid = f"uid-{next(self.world.versions)}"
        self.world.exists = not self.world.exists


class SealedLife(WithoutASecret):
    """A person who takes keys, or does not, or says so of the wrong one."""

    def __init__(self) -> None:
        super().__init__()
        self.requests = 0

    @initialize()
    def begin(self) -> None:
        self.world.spec = {"delivery": "Sealed", "sealed": {"recipient": RECIPIENTS[0]}, "rotation": dict(OVERLAP)}

    @precondition(lambda self: self.world.status is not None and self.world.status.sealed is not None)
    @rule()
    def person_takes_it(self) -> None:
        assert self.world.status is not None
        assert self.world.status.sealed is not None
        self._say(self.world.status.sealed.key_id)

    @precondition(lambda self: self.record is not None)
    @rule(data=st.data())
    def person_names_some_key(self, data: st.DataObject) -> None:
        assert self.record is not None
        self._say(data.draw(st.sampled_from([*(each.key_id for each in (*self.record.versions, *self.record.dead)), "no-such-key"])))

    def _say(self, key_id: str) -> None:
        self.world.received.add(key_id)
        self.world.annotations = {**self.world.annotations, "keyturn.dev/received": key_id}

    @rule(recipient=st.sampled_from(RECIPIENTS))
    def recipient_is_changed(self, recipient: str) -> None:
        self.world.spec["sealed"] = {"recipient": recipient}

    @rule()
    def another_one_is_asked_for(self) -> None:
        self.requests += 1
        self.world.annotations = {**self.world.annotations, "keyturn.dev/rotate-requested-at": str(self.requests)}

    @precondition(lambda self: self.record is not None and self.record.active is not None)
    @rule()
    def min_version_is_raised(self) -> None:
        assert self.record is not None
        assert self.record.active is not None
        self.world.spec["minVersion"] = max(self.record.active.number + 1, int(str(self.world.spec.get("minVersion", 1))))

    def look_at_the_rest(self) -> None:
        super().look_at_the_rest()
        waits = self.world.status.sealed if self.world.status is not None and self.world.exists else None
        assert waits is None, "whoever did not take it in time has nothing to take any more"
        staged = [entry for entry in self.record.versions if entry.state == "Staged" and entry.not_after is None] if self.record else []
        assert staged == []


class ImportedLife(WithoutASecret):
    """A list of digests that people change as they like."""

    @initialize()
    def begin(self) -> None:
        self._list(0)

    @rule(first=st.integers(0, 5), second=st.integers(0, 5))
    def the_list_is_another(self, first: int, second: int) -> None:
        self._list(*dict.fromkeys((first, second)))

    @rule(new=st.integers(0, 5))
    def a_digest_is_appended(self, new: int) -> None:
        listed = [DIGESTS.index(each) for each in self._listed() if each != DIGESTS[new]]
        self._list(*listed[-1:], new)

    @rule()
    def tombstones_grow_old(self) -> None:
        self.world.now += timedelta(days=91)

    def _list(self, *numbers: int) -> None:
        self.world.spec |= {"delivery": "None", "rotation": dict(OVERLAP), "digests": [{"digest": DIGESTS[each]} for each in numbers]}

    def _listed(self) -> list[str]:
        digests = self.world.spec["digests"]
        assert isinstance(digests, list)
        return [each["digest"] for each in digests]

    @invariant()
    def nothing_is_minted(self) -> None:
        assert {entry.key_id for entry in self.record.versions} <= set(map(derived_key_id, DIGESTS)) if self.record else True

    def look_at_the_rest(self) -> None:
        super().look_at_the_rest()
        if not self.world.exists or self.record is None:
            return
        assert {entry.digest for entry in self.record.versions} <= set(self._listed())
        ended = {dead.digest for dead in self.record.dead} | set(self.record.ended_digests)
        usable = [digest for digest in self._listed() if digest not in ended]
        expired = self.record.expiration_time is not None and self.record.expiration_time <= self.world.now
        if usable[-1:] == self._listed()[-1:] and not expired:
            assert self.record.active is not None
            assert self.record.active.digest == usable[-1]


SealedLife.TestCase.settings = hypothesis_settings(max_examples=60, stateful_step_count=40, deadline=None)
ImportedLife.TestCase.settings = hypothesis_settings(max_examples=60, stateful_step_count=40, deadline=None)
TestSealedLife = SealedLife.TestCase
TestImportedLife = ImportedLife.TestCase
