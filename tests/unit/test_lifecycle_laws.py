"""The laws of the life cycle, for any number of operators, crashes, lost answers and hands that meddle with the cluster."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gen.world import Actor, Luck, Stored, StoredSecret, World
from keyturn.base.settings import Settings
from keyturn.keys.record import Record
from keyturn.lifecycle.decide import decide

SETTINGS = Settings(
    minimum_interval="1s", minimum_grace_period="1s", minimum_rotation_spacing="10s", propagation_delay="2s", settle="1s", orphan_wait="5s"
)
ROTATION = {"policy": "Manual", "gracePeriod": "10s", "overlapLimit": "60s"}


class LifeCycle(RuleBasedStateMachine):
    """Three operators that do not know of each other, one ApiKey, and everything that can happen to them."""

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

    @rule(who=st.integers(0, 2), luck=st.sampled_from(Luck))
    def act(self, who: int, luck: Luck) -> None:
        self.world.step(self.actors[who], luck)
        self._keep()

    @rule(who=st.integers(0, 2), times=st.integers(1, 6))
    def act_well(self, who: int, times: int) -> None:
        for _ in range(times):
            self.world.look(self.actors[who])
            self.world.step(self.actors[who], Luck.FINE)
            self._keep()

    @rule(who=st.integers(0, 2))
    def look(self, who: int) -> None:
        self.world.look(self.actors[who])

    @rule(who=st.integers(0, 2))
    def look_at_record_only(self, who: int) -> None:
        self.actors[who].record = self.world.record

    @rule(who=st.integers(0, 2))
    def look_at_secret_only(self, who: int) -> None:
        self.actors[who].secret = self.world.secret

    @rule(who=st.integers(0, 2))
    def crash(self, who: int) -> None:
        self.actors[who].crash()

    # ------------------------------------------------------------------ time and people

    @rule(seconds=st.sampled_from([1, 3, 6, 11, 61]))
    def time_goes_by(self, seconds: int) -> None:
        self.world.now += timedelta(seconds=seconds)

    @rule()
    def rotation_is_triggered(self) -> None:
        self.trigger += 1
        self.world.spec = {**self.world.spec, "rotation": {**ROTATION, "trigger": str(self.trigger)}}

    @rule()
    def rotation_is_requested(self) -> None:
        self.trigger += 1
        self.world.annotations = {"keyturn.dev/rotate-requested-at": str(self.trigger)}

    @rule(disabled=st.booleans())
    def disabled_is_set(self, disabled: bool) -> None:
        self.world.spec = {**self.world.spec, "disabled": disabled}

    @rule()
    def min_version_is_raised(self) -> None:
        record = self.world.record.value if self.world.record else None
        if isinstance(record, Record) and record.active is not None:
            wanted = max(record.active.number + 1, int(str(self.world.spec.get("minVersion", 1))))
            self.world.spec = {**self.world.spec, "minVersion": wanted}

    @rule(keep=st.booleans())
    def template_changes(self, keep: bool) -> None:
        self.trigger += 1
        self.world.spec = {**self.world.spec, "secretTemplate": {"keepPrevious": keep, "data": {"note": str(self.trigger)}}}

    @rule(seconds=st.integers(5, 100))
    def expiration_is_set(self, seconds: int) -> None:
        end = (self.world.now + timedelta(seconds=seconds)).replace(microsecond=0)
        self.world.spec = {**self.world.spec, "expirationTime": end.strftime("%Y-%m-%dT%H:%M:%SZ")}

    @rule()
    def expiration_is_taken_off(self) -> None:
        self.world.spec = {name: value for name, value in self.world.spec.items() if name != "expirationTime"}

    @rule(policy=st.sampled_from(["Revoke", "Retain"]))
    def deletion_policy_changes(self, policy: str) -> None:
        self.world.spec = {**self.world.spec, "deletionPolicy": policy}

    @rule()
    def apikey_is_deleted(self) -> None:
        self.world.exists = False
        if self.world.spec.get("deletionPolicy") != "Retain":
            self.world.secret = None  # the garbage collector

    @precondition(lambda self: not self.world.exists)
    @rule()
    def apikey_comes_back(self) -> None:
        self.world.exists, self.world.status = True, None
        self.world.uid = f"uid-{next(self.world.versions)}"

    # ------------------------------------------------------------------ accidents and attacks

    @rule()
    def status_is_deleted(self) -> None:
        self.world.status = None

    @rule()
    def secret_is_deleted(self) -> None:
        self.world.secret = None

    @precondition(lambda self: self.world.secret is not None)
    @rule()
    def secret_is_tampered_with(self) -> None:
        stored = self.world.secret
        assert stored is not None
        assert isinstance(stored.value, StoredSecret)
        forged = StoredSecret(stored.value.uid, stored.value.version, stored.value.key_id, "forged", "drifted")
        self.world.secret = Stored(forged, next(self.world.versions))

    @precondition(lambda self: self.old_secrets)
    @rule(data=st.data())
    def an_old_secret_is_put_back(self, data: st.DataObject) -> None:
        self.world.tampered = True
        self.world.secret = Stored(data.draw(st.sampled_from(self.old_secrets)), next(self.world.versions))

    @precondition(lambda self: self.old_records)
    @rule(data=st.data())
    def an_old_record_is_put_back(self, data: st.DataObject) -> None:
        self.world.tampered = True
        self.world.record = Stored(data.draw(st.sampled_from(self.old_records)), next(self.world.versions))

    @rule()
    def record_is_deleted(self) -> None:
        self.world.tampered = True
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
        assert self.world.complaints == []

    def teardown(self) -> None:
        world, actor = self.world, self.actors[0]
        world.rest(actor)
        world.tampered = False
        assert world.complaints == []
        world.check_laws()
        assert world.complaints == []
        before = world.writes
        world.look(actor)
        assert decide(world.observed(actor)).steps == ()
        fresh = Actor("fresh", announced=2**60)
        world.look(fresh)
        assert decide(world.observed(fresh)).steps == (), "another operator has nothing to do either"
        assert world.writes == before


LifeCycle.TestCase.settings = hypothesis_settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLifeCycle = LifeCycle.TestCase
