"""The laws of the life cycle, for any number of operators, crashes, lost answers and hands that meddle with the cluster."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from gen.operators_at_work import WHO, OperatorsAtWork
from gen.verifier_memory import Memory
from gen.world_parts import Reports, Stored, StoredSecret
from keyturn.base.settings import Settings
from keyturn.keys.record import Record

SETTINGS = Settings(
    minimum_interval="1s",
    minimum_grace_period="1s",
    minimum_rotation_spacing="10s",
    propagation_delay="2s",
    settle="1s",
    orphan_wait="5s",
    quiet_period="8s",
)
ROTATION = {"policy": "Manual", "gracePeriod": "10s", "overlapLimit": "60s"}


class LifeCycle(OperatorsAtWork):
    """One ApiKey with its Secret, and everything that can happen to them."""

    settings = SETTINGS
    with_attacks = False
    """Whether somebody deletes records, and puts old records and Secrets back."""

    def __init__(self) -> None:
        super().__init__()
        self.old_records: list[Record] = []
        self.old_secrets: list[StoredSecret] = []
        self.trigger = 0

    @initialize()
    def begin(self) -> None:
        # Rollouts have laws of their own: here only time and grace decide when an old version retires.
        self.world.spec = {"rotation": dict(ROTATION), "rollout": {"policy": "Disabled"}}

    @rule(who=WHO, what=st.sampled_from(["both", "record", "secret"]))
    def look(self, who: int, what: str) -> None:
        """Two watches: one may be ahead of the other."""
        actor = self.actors[who]
        if what != "secret":
            actor.record = self.world.record
        if what != "record":
            actor.secret = self.world.secret

    # ------------------------------------------------------------------ clients and the verifier

    @rule()
    def old_key_is_used(self) -> None:
        self.world.use_old_key()

    @rule(reports=st.sampled_from(Reports))
    def verifier_changes_its_ways(self, reports: Reports) -> None:
        self.world.reports = reports

    # ------------------------------------------------------------------ people

    @rule()
    def rotation_is_wanted(self) -> None:
        self.trigger += 1
        if self.trigger % 2:
            self.world.spec = {**self.world.spec, "rotation": {**ROTATION, "trigger": str(self.trigger)}}
        else:
            self.world.annotations = {"keyturn.dev/rotate-requested-at": str(self.trigger)}

    @rule(what=st.sampled_from(["disabled", "minVersion", "template", "end", "no end", "policy"]), data=st.data())
    def spec_is_changed(self, what: str, data: st.DataObject) -> None:
        self.world.spec = {**self.world.spec, **self._change(what, data)}
        if what == "no end":
            self.world.spec.pop("expirationTime", None)

    def _change(self, what: str, data: st.DataObject) -> dict[str, object]:
        record = self.record
        self.trigger += 1
        match what:
            case "disabled":
                return {"disabled": data.draw(st.booleans())}
            case "minVersion" if record is not None and record.active is not None:
                return {"minVersion": max(record.active.number + 1, int(str(self.world.spec.get("minVersion", 1))))}
            case "template":
                return {"secretTemplate": {"keepPrevious": data.draw(st.booleans()), "data": {"note": str(self.trigger)}}}
            case "end":
                end = self.world.now + timedelta(seconds=data.draw(st.integers(5, 100)))
                return {"expirationTime": end.strftime("%Y-%m-%dT%H:%M:%SZ")}
            case "policy":
                return {"deletionPolicy": data.draw(st.sampled_from(["Revoke", "Retain"]))}
            case _:
                return {}

    @rule()
    def apikey_is_deleted_or_comes_back(self) -> None:
        if not self.world.exists:
            self.world.exists, self.world.status = True, None
            self.world.uid = f"uid-{next(self.world.versions)}"
            return
        self.world.exists = False
        if self.world.spec.get("deletionPolicy") != "Retain":
            self.world.secret = None  # the garbage collector

    # ------------------------------------------------------------------ accidents and attacks

    @rule(what=st.sampled_from(["status", "secret", "both"]))
    def something_is_deleted(self, what: str) -> None:
        if what != "secret":
            self.world.status = None
        if what != "status":
            self.world.secret = None

    @precondition(lambda self: self.world.secret is not None)
    @rule()
    def secret_is_tampered_with(self) -> None:
        stored = self.world.secret
        assert stored is not None
        assert isinstance(stored.value, StoredSecret)
        forged = StoredSecret(stored.value.uid, stored.value.version, stored.value.key_id, "forged", "drifted")
        self.world.secret = Stored(forged, next(self.world.versions))

    @precondition(lambda self: self.with_attacks and self.old_records)
    @rule(data=st.data(), what=st.sampled_from(["old Secret", "old record", "no record"]))
    def ledger_or_secret_is_put_back(self, data: st.DataObject, what: str) -> None:
        if what == "old Secret" and not self.old_secrets:
            return
        self.world.tampered = True
        match what:
            case "old Secret":
                self.world.secret = Stored(data.draw(st.sampled_from(self.old_secrets)), next(self.world.versions))
            case "old record":
                self.world.record = Stored(data.draw(st.sampled_from(self.old_records)), next(self.world.versions))
            case _:
                self.world.record = None

    # ------------------------------------------------------------------ the laws

    def see_step(self) -> None:
        record = self.record
        secret = self.world.secret.value if self.world.secret else None
        if record is not None and record not in self.old_records:
            self.old_records = [*self.old_records, record][-8:]
        if isinstance(secret, StoredSecret) and secret.intact and secret not in self.old_secrets:
            self.old_secrets = [*self.old_secrets, secret][-8:]

    def look_at_the_rest(self) -> None:
        """No revoked key lives: neither what is revoked now, nor what ever was; mode Replace has had its time."""
        if self.record is None:
            return
        live = {entry.key_id for entry in self.record.versions}
        assert not live & self.world.revoked or self.with_attacks
        meant = {key_id for each in self.world.revocations for key_id in each.spec.key_ids or ()}
        assert not live & meant
        condemned = frozenset().union(*(self.world.condemned.get(each.metadata.name, ()) for each in self.world.revocations))
        assert not live & condemned or self.with_attacks, "whatever there was when it was created is dead, whatever its minter's clock said"


class LifeCycleUnderAttack(LifeCycle):
    """The same, and somebody with write access to record and Secret. What only they remembered is gone then."""

    with_attacks = True


class LifeCycleWithAWitness(LifeCycleUnderAttack):
    """Somebody puts old records back, and a verifier knows better: then nothing that was dead ever lives again, nor is a number reused."""

    signed = True

    def __init__(self) -> None:
        super().__init__()
        self.memory = self.world.memory = Memory(self.signed)

    def teardown(self) -> None:
        super().teardown()
        if self.world.record is not None:
            assert self.memory.held == self.world.record.value, "it accepts what the cluster holds"


class LifeCycleWithAWitnessWithoutSignatures(LifeCycleWithAWitness):
    """The same, where it remembers less: no snapshot."""

    signed = False


LifeCycle.TestCase.settings = hypothesis_settings(max_examples=60, stateful_step_count=40, deadline=None)
LifeCycleUnderAttack.TestCase.settings = hypothesis_settings(max_examples=40, stateful_step_count=40, deadline=None)
LifeCycleWithAWitness.TestCase.settings = hypothesis_settings(max_examples=60, stateful_step_count=40, deadline=None)
LifeCycleWithAWitnessWithoutSignatures.TestCase.settings = hypothesis_settings(max_examples=40, stateful_step_count=40, deadline=None)
TestLifeCycle = LifeCycle.TestCase
TestLifeCycleUnderAttack = LifeCycleUnderAttack.TestCase
TestLifeCycleWithAWitness = LifeCycleWithAWitness.TestCase
TestLifeCycleWithAWitnessWithoutSignatures = LifeCycleWithAWitnessWithoutSignatures.TestCase
