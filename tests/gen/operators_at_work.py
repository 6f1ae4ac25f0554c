"""Three operators that do not know of each other work for one ApiKey: what the machines of the laws have in common.

They act by old views, crash, lose answers and have wrong clocks; security revokes; time goes by. What else happens, and what a law says
beside these, each machine adds.
"""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gen.world import KEY, World
from gen.world_parts import Actor, Luck
from keyturn.base.settings import Settings
from keyturn.keys.record import Record
from keyturn.lifecycle.decide import decide

WHO = st.integers(0, 2)


class OperatorsAtWork(RuleBasedStateMachine):
    """One world, three operators."""

    settings: ClassVar[Settings]

    def __init__(self) -> None:
        super().__init__()
        self.actors = [Actor("a"), Actor("b"), Actor("c")]
        self.world = World(settings=self.settings)

    @property
    def record(self) -> Record | None:
        """The ledger, where there is a readable one."""
        value = self.world.record.value if self.world.record else None
        return value if isinstance(value, Record) else None

    # ------------------------------------------------------------------ operators

    @rule(who=WHO, luck=st.sampled_from(Luck))
    def act(self, who: int, luck: Luck) -> None:
        """One step by a view that may be old."""
        self._step(self.actors[who], luck)

    @rule(who=WHO, times=st.integers(1, 6))
    def act_well(self, who: int, times: int) -> None:
        """As an operator does when nothing goes wrong."""
        for _ in range(times):
            self.world.look(self.actors[who])
            self._step(self.actors[who], Luck.FINE)

    @rule(who=WHO)
    def crash(self, who: int) -> None:
        self.actors[who].crash()

    @rule(who=WHO, seconds=st.integers(-4, 4))
    def clock_is_set(self, who: int, seconds: int) -> None:
        self.actors[who].skew = timedelta(seconds=seconds)

    @rule(seconds=st.sampled_from([1, 3, 6, 11, 21, 61]))
    def time_goes_by(self, seconds: int) -> None:
        self.world.now += timedelta(seconds=seconds)

    def _step(self, actor: Actor, luck: Luck) -> None:
        self.world.step(actor, luck)
        self.see_step()

    def see_step(self) -> None:
        """Something may have been written."""

    # ------------------------------------------------------------------ security

    @rule(mode=st.sampled_from(["Immediate", "Replace"]), by=st.sampled_from(["keyIDs", "apiKeyRef", "match"]), seconds=st.integers(0, 70))
    def key_is_revoked(self, mode: str, by: str, seconds: int) -> None:
        known = [entry.key_id for entry in self.record.versions] if self.record else []
        end = {"replaceWithin": f"{seconds}s"} if mode == "Replace" else {}
        match by:
            case "keyIDs" if known:
                self.world.revoke({"mode": mode, **end, "keyIDs": known[-1:]})
            case "match":
                self.world.revoke({"mode": mode, **end, "match": {"namespace": KEY.namespace}})
            case _:
                self.world.revoke({"mode": mode, **end, "apiKeyRef": {"namespace": KEY.namespace, "name": KEY.name}})

    @precondition(lambda self: self.world.revocations)
    @rule(data=st.data())
    def revocation_is_deleted(self, data: st.DataObject) -> None:
        self.world.revocations.remove(data.draw(st.sampled_from(self.world.revocations)))

    # ------------------------------------------------------------------ the laws

    @invariant()
    def nothing_breaks_a_law(self) -> None:
        assert self.world.complaints == [], self.world.complaints

    def teardown(self) -> None:
        """Everything comes to rest, whoever looks."""
        world, actor = self.world, self.actors[0]
        for each in self.actors:
            each.skew = timedelta(0)
        world.rest(actor)
        world.tampered = False
        assert world.complaints == [], world.complaints
        world.check_laws()
        assert world.complaints == [], world.complaints
        self.look_at_the_rest()
        before = world.writes
        world.look(actor)
        assert decide(world.observed(actor)).steps == ()
        fresh = Actor("fresh", announced=2**60)
        world.look(fresh)
        assert decide(world.observed(fresh)).steps == (), "another operator has nothing to do either"
        assert world.writes == before

    def look_at_the_rest(self) -> None:
        """What must be so once nothing is left to do."""
        live = {entry.key_id for entry in self.record.versions} if self.record else set()
        assert not live & self.world.revoked
