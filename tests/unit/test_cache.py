"""Laws of the cache: whatever order events, answers and lists arrive in, it never goes back."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from keyturn.base.names import Key
from keyturn.cluster.cache import Cache, Caches, Entry

A = Key("n", "a")


def test_an_older_watch_event_does_not_undo_the_answer_to_our_own_write() -> None:
    cache: Cache[str] = Cache()
    assert cache.put(A, "ours", 7, "u")
    assert not cache.put(A, "older", 6, "u")
    assert not cache.put(A, "same", 7, "u")
    assert cache.get(A) == Entry("ours", 7, "u")


def test_a_late_answer_does_not_bring_a_deleted_object_back() -> None:
    cache: Cache[str] = Cache()
    cache.put(A, "x", 5, "u")
    assert cache.remove(A, 9)
    cache.advance(9)
    assert not cache.put(A, "late answer to a write before the deletion", 8, "u")
    assert cache.put(A, "created again", 10, "u2")


def test_a_deletion_older_than_what_is_held_changes_nothing() -> None:
    cache: Cache[str] = Cache()
    cache.put(A, "created again", 10, "u2")
    assert not cache.remove(A, 9)
    assert cache.keys() == (A,)


def test_a_list_keeps_what_is_newer_and_tells_what_changed() -> None:
    cache: Cache[str] = Cache()
    b, c, d = (Key("n", name) for name in "bcd")
    for key, version in ((A, 5), (b, 30), (c, 6)):
        cache.put(key, "", version, "u")
    assert cache.replace_all([(A, Entry("", 5, "u")), (d, Entry("", 8, "u"))], 20) == {c, d}
    assert set(cache.keys()) == {A, b, d}


def test_a_store_that_went_back_is_believed() -> None:
    """An etcd restored from a backup: resource versions are lower than what we hold, and must not be ignored for ever."""
    cache: Cache[str] = Cache()
    cache.put(A, "new", 100, "u")
    cache.advance(100)
    assert cache.replace_all([(A, Entry("restored", 40, "u"))], 50) == {A}
    assert cache.get(A) == Entry("restored", 40, "u")
    assert cache.put(A, "next", 60, "u")


def test_the_list_of_one_namespace_takes_nothing_from_another() -> None:
    """With one cache for two watched namespaces, each start lost the Secrets of the first, and all its keys were replaced."""
    caches: Caches[str] = Caches(("n", "m"))
    caches.part("n").replace_all([(A, Entry("x", 5, "u"))], 100)
    caches.part("m").replace_all([(Key("m", "b"), Entry("y", 6, "v"))], 101)
    caches.part("m").advance(200)
    assert caches.get(A) == Entry("x", 5, "u")
    assert caches.put(Key("n", "c"), "late, but no later than its own watch", 150, "w")
    everywhere: Caches[str] = Caches()
    assert everywhere.part("n") is everywhere.part("m")


@dataclass
class Store:
    """A pretended API server: every change gets the next version; the log is what a watch would deliver."""

    version: int = 0
    objects: dict[Key, Entry[int]] = field(default_factory=dict)
    log: list[tuple[str, Key, Entry[int]]] = field(default_factory=list)

    def write(self, key: Key) -> Entry[int]:
        self.version += 1
        entry = Entry(self.version, self.version, "u")
        self.objects[key] = entry
        self.log.append(("PUT", key, entry))
        return entry

    def delete(self, key: Key) -> None:
        if self.objects.pop(key, None) is not None:
            self.version += 1
            self.log.append(("DEL", key, Entry(0, self.version, "u")))


def deliver(cache: Cache[int], event: tuple[str, Key, Entry[int]]) -> None:
    what, key, entry = event
    if what == "PUT":
        cache.put(key, entry.value, entry.resource_version, entry.uid)
    else:
        cache.remove(key, entry.resource_version)
    cache.advance(entry.resource_version)


KEYS = st.sampled_from([Key("n", name) for name in "abc"])
OPERATIONS = st.lists(st.tuples(st.sampled_from(["write", "delete"]), KEYS), max_size=30)


@given(OPERATIONS, st.data())
def test_a_lossy_watch_and_one_list_equal_the_list(operations: list[tuple[str, Key]], data: st.DataObject) -> None:
    store, cache = Store(), Cache[int]()
    for what, key in operations:
        store.write(key) if what == "write" else store.delete(key)
    for event in store.log:
        if data.draw(st.booleans()):
            deliver(cache, event)
    cache.replace_all(store.objects.items(), store.version)
    assert cache.entries() == store.objects


@given(OPERATIONS, st.data())
def test_answers_to_our_own_writes_arriving_at_any_time_do_no_harm(operations: list[tuple[str, Key]], data: st.DataObject) -> None:
    """Each answer arrives before, between or after the events; once the watch has delivered everything, the view is the store's."""
    store = Store()
    for what, key in operations:
        store.write(key) if what == "write" else store.delete(key)
    cache, answers = Cache[int](), [event for event in store.log if event[0] == "PUT"]
    for number, event in enumerate(store.log):
        for answer in answers:
            if answer[2].resource_version <= store.log[number][2].resource_version + 2 and data.draw(st.booleans()):
                cache.put(answer[1], answer[2].value, answer[2].resource_version, "u")
        deliver(cache, event)
    for _, key, entry in answers:
        cache.put(key, entry.value, entry.resource_version, "u")
    assert cache.entries() == store.objects
