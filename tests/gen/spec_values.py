"""Specs of ApiKeys, valid and just not: values near the edges of what durations, networks, times and names may be."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

Json = dict[str, Any]


def near(texts: st.SearchStrategy[str], letters: str) -> st.SearchStrategy[str]:
    """Such a text, or one that differs from it in a place: a letter more, less, or another one."""

    @st.composite
    def changed(draw: st.DrawFn) -> str:
        text = draw(texts)
        place, gone = draw(st.integers(0, len(text))), draw(st.integers(0, 1))
        return text[:place] + draw(st.text(letters, max_size=1)) + text[place + gone :]

    return st.one_of(texts, changed())


DURATIONS: Final = near(
    st.sampled_from(["1h", "2h", "90m", "7200s", "1h30m", "24h", "0s", "720h", "00001h", "99999h99999h99999h"]), "hms019 .-dµ"
)
CIDRS: Final = near(
    st.one_of(
        st.builds("{}/{}".format, st.ip_addresses(v=4), st.integers(0, 33)),
        st.builds("{}/{}".format, st.ip_addresses(v=6), st.integers(0, 129)),
        st.builds("::ffff:{}/{}".format, st.ip_addresses(v=4), st.integers(90, 128)),
        st.builds("::{}/{}".format, st.ip_addresses(v=4), st.integers(90, 128)),
        st.sampled_from(
            [
                "::/0",
                "0.0.0.0/0",
                "1:2:3:4:5:6:7::/64",
                "::2:3:4:5:6:7:8/128",
                "2001:DB8::/32",
                "fe80::1%eth0/64",
                "010.0.0.0/8",
                "::ffff:a00:0/104",
            ]
        ),
    ),
    "0123456789abcdefF:./% x",
)
TIMES: Final = near(
    st.one_of(
        st.sampled_from(
            [
                "2027-01-31T18:00:00Z",
                "2027-01-31T18:00:00.5+01:00",
                "2028-02-29T00:00:00Z",
                "2027-02-29T00:00:00Z",
                "2999-12-31T23:59:59-12:00",
                "2027-01-31t18:00:00zt",
                "2000-01-01T00:00:00.123456789Z",
                "1999-12-31T23:59:59Z",
                "2016-12-31T23:59:60Z",
                "2027-01-31T24:00:00Z",
            ]
        ),
        st.datetimes().map(lambda instant: f"{instant.isoformat()}Z"),
    ),
    "0123456789TtZz:.+- ",
)
NAMES: Final = near(
    st.sampled_from(
        [
            "team",
            "example.com/team",
            "a",
            "a.b-c_d",
            "keyturn.dev/x",
            "app.kubernetes.io/instance",
            "argocd.argoproj.io/x",
            "a" * 63,
            "a" * 253 + "/a",
            "kubectl.kubernetes.io/last-applied-configuration",
            "owner",
            "helm",
            "istio/multiCluster",
            "Example.com/Team",
            "a/b/c",
            "/a",
        ]
    ),
    "aA0-_./ ä\n",
)
FILE_NAMES: Final = near(
    st.sampled_from(
        ["config.ini", "api-key", "previous-api-key", ".env", "..data", ".", "..", "a" * 253, "A_b", "PATH", "LD_PRELOAD", "KAFKA_OPTS"]
    ),
    "aA0-_./ ä\n",
)
SUBDOMAINS: Final = near(st.sampled_from(["billing", "a.b", "a-b.c-d", "a" * 253, "a..b", "a.-b", "0"]), "aA0-_./ ä\n")
SCOPES: Final = near(st.sampled_from(["invoices:read", "a", "a/b", "a._:-", "a" * 128]), "aA0-_./: ä\n")
CRONS: Final = st.sampled_from(["0 3 1 * *", "@daily", "* * * * *", "nonsense at all"])


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    """An object with any of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


def keyed(keys: st.SearchStrategy[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[Json]:
    return st.dictionaries(keys, values, max_size=3)


ROTATIONS: Final = some(
    interval=DURATIONS,
    schedule=CRONS,
    timeZone=st.sampled_from(["UTC", "Europe/Berlin", ""]),
    gracePeriod=DURATIONS,
    overlapLimit=DURATIONS,
    quietPeriod=DURATIONS,
    windows=st.lists(some(cron=CRONS, windowDuration=DURATIONS), max_size=2),
)
TEMPLATES: Final = some(
    secretTemplate=some(
        labels=keyed(NAMES, NAMES),
        annotations=keyed(NAMES, st.text(max_size=5)),
        data=keyed(FILE_NAMES, st.just("$(API_KEY)")),
    ),
    secretName=SUBDOMAINS,
)
SPECS: Final = st.one_of(
    some(rotation=ROTATIONS),
    TEMPLATES,
    some(
        restrictions=st.fixed_dictionaries({"allowedCIDRs": st.lists(CIDRS, min_size=1, max_size=2)}),
        expirationTime=TIMES,
        scopes=st.lists(SCOPES, max_size=3),
    ),
)
