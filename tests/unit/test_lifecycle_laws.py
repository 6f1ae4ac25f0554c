"""The laws of the life cycle, for any number of operators, crashes, lost answers and hands that meddle with the cluster."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gen.verifier_memory import Memory
from gen.world import KEY, World
from gen.world_parts import Actor, Luck, Reports, Stored, StoredSecret
from keyturn.base.settings import Settings
from keyturn.keys.record import Record
from keyturn.lifecycle.decide import decide

SETTINGS = Settings(
    minimum_interval="1s",
    minimum_grace_period="1s",
    minimum_rotation_spacing="10s",
    propagation_delay="2s",
    settle="1s",
    orphan_wait="5s",
    quiet_period="8s",
)
WHO = st.integers(0, 2)
ROTATION = {"policy": "Manual", "gracePeriod": "10s", "overlapLimit": "60s"}


class LifeCycle(RuleBasedStateMachine):
    """Three operators that do not know of each other, one ApiKey, and everything that can happen to them."""

    with_attacks = False
    """Whether somebody deletes records, and puts old records and Secrets back."""

    def __init__(self) -> None:
        super().__init__()
        self.actors = [Actor("a"), Actor("b"), Actor("c")]
        self.world = World(settings=SETTINGS)
        self.old_records: list[Record] = []
        self.old_secrets: list[StoredSecret] = []
        self.trigger = 0

    @initialize()
    def begin(self) -> None:
        # Rollouts have laws of their own: here only time and grace decide when an old version retires.
        self.world.spec = {"rotation": dict(ROTATION), "rollout": {"policy": "Disabled"}}

    # ------------------------------------------------------------------ operators

    @rule(who=WHO, luck=st.sampled_from(Luck))
    def act(self, who: int, luck: Luck) -> None:
        """One step by a view that may be old."""
        self.world.step(self.actors[who], luck)
        self._keep()

    @rule(who=WHO, times=st.integers(1, 6))
    def act_well(self, who: int, times: int) -> None:
        """As an operator does when nothing goes wrong."""
        for _ in range(times):
            self.world.look(self.actors[who])
            self.world.step(self.actors[who], Luck.FINE)
            self._keep()

    @rule(who=WHO, what=st.sampled_from(["both", "record", "secret"]))
    def look(self, who: int, what: str) -> None:
        """Two watches: one may be ahead of the other."""
        actor = self.actors[who]
        if what != "secret":
            actor.record = self.world.record
        if what != "record":
            actor.secret = self.world.secret

    @rule(who=WHO)
    def crash(self, who: int) -> None:
        self.actors[who].crash()

    @rule(who=WHO, seconds=st.integers(-4, 4))
    def clock_is_set(self, who: int, seconds: int) -> None:
        self.actors[who].skew = timedelta(seconds=seconds)

    @rule(seconds=st.sampled_from([1, 3, 6, 11, 61]))
    def time_goes_by(self, seconds: int) -> None:
        self.world.now += timedelta(seconds=seconds)

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
        record = self.world.record.value if self.world.record else None
        self.trigger += 1
        match what:
            case "disabled":
                return {"disabled": data.draw(st.booleans())}
            case "minVersion" if isinstance(record, Record) and record.active is not None:
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

    @rule(mode=st.sampled_from(["Immediate", "Replace"]), by=st.sampled_from(["keyIDs", "apiKeyRef", "match"]), seconds=st.integers(0, 70))
    def key_is_revoked(self, mode: str, by: str, seconds: int) -> None:
        record = self.world.record.value if self.world.record else None
        known = [entry.key_id for entry in record.versions] if isinstance(record, Record) else []
        end = {"replaceWithin": f"{seconds}s"} if mode == "Replace" else {}
        match by:
            case "keyIDs" if known:
                self.world.revoke({"mode": mode, **end, "keyIDs": known[-1:]})
            case "apiKeyRef":
                self.world.revoke({"mode": mode, **end, "apiKeyRef": {"namespace": KEY.namespace, "name": KEY.name}})
            case _:
                self.world.revoke({"mode": mode, **end, "match": {"namespace": KEY.namespace}})

    @precondition(lambda self: self.world.revocations)
    @rule(data=st.data())
    def revocation_is_deleted(self, data: st.DataObject) -> None:
        self.world.revocations.remove(data.draw(st.sampled_from(self.world.revocations)))

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

    def _keep(self) -> None:
        record = self.world.record.value if self.world.record else None
        secret = self.world.secret.value if self.world.secret else None
        if isinstance(record, Record) and record not in self.old_records:
            self.old_records = [*self.old_records, record][-8:]
        if isinstance(secret, StoredSecret) and secret.intact and secret not in self.old_secrets:
            self.old_secrets = [*self.old_secrets, secret][-8:]

    @invariant()
    def nothing_breaks_a_law(self) -> None:
        assert self.world.complaints == [], self.world.complaints

    def _no_revoked_key_lives(self) -> None:
        """Neither what is revoked now, nor what ever was; mode Replace has had its time."""
        record = self.world.record.value if self.world.record else None
        if not isinstance(record, Record):
            return
        live = {entry.key_id for entry in record.versions}
        assert not live & self.world.revoked or self.with_attacks
        meant = {key_id for each in self.world.revocations for key_id in each.spec.key_ids or ()}
        assert not live & meant
        condemned = frozenset().union(*(self.world.condemned.get(each.metadata.name, ()) for each in self.world.revocations))
        assert not live & condemned or self.with_attacks, "whatever there was when it was created is dead, whatever its minter's clock said"

    def teardown(self) -> None:
        world, actor = self.world, self.actors[0]
        for each in self.actors:
            each.skew = timedelta(0)
        world.rest(actor)
        world.tampered = False
        assert world.complaints == [], world.complaints
        world.check_laws()
        assert world.complaints == [], world.complaints
        self._no_revoked_key_lives()
        before = world.writes
        world.look(actor)
        assert decide(world.observed(actor)).steps == ()
        fresh = Actor("fresh", announced=2**60)
        world.look(fresh)
        assert decide(world.observed(fresh)).steps == (), "another operator has nothing to do either"
        assert world.writes == before


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
