# SPDX-License-Identifier: Apache-2.0
"""context.model_yaml_config is what PyYAML makes of the file, with and without PyYAML in the
handler's Python. The expected values stand here: PyYAML itself is asked where there is one."""

import datetime as dt

import pytest

from e2e.archives import make_mar

TELLS = ("def handle(data, context):\n"
         "    return [repr(context.model_yaml_config)] * len(data or ())\n")

UTC = dt.timezone.utc
EAST = dt.timezone(dt.timedelta(hours=5, minutes=30))
WEST = dt.timezone(-dt.timedelta(hours=8))
MINUTE = (2026, 11, 24, 9, 5, 7)

SCALARS = {
    "2026-11-24": dt.date(2026, 11, 24),
    "2026-11-24T09:05:07Z": dt.datetime(*MINUTE, tzinfo=UTC),
    "2026-11-24 9:05:07": dt.datetime(*MINUTE),
    "2026-11-24t09:05:07.25 +5:30": dt.datetime(*MINUTE, 250000, tzinfo=EAST),
    "2026-11-24 09:05:07.123456789 -8": dt.datetime(*MINUTE, 123456, tzinfo=WEST),
    "2026-11-24 09:05:07.": dt.datetime(*MINUTE),
    "'2026-11-24'": "2026-11-24", "2026-1-4": "2026-1-4", "2026-11": "2026-11",
    "!!timestamp 2026-1-4": dt.date(2026, 1, 4),
    "!!binary aGVsbG8=": b"hello", "!!binary ''": b"",
    "!!set {a, 1, ~}": {"a", 1, None}, "!!set {}": set(),
    "!!omap [b: 1, a: [2]]": [("b", 1), ("a", [2])], "!!pairs [a: 1, a: 2]": [("a", 1), ("a", 2)],
    "{2: a, '2': b, 1.5: c, yes: d, ~: e, 2026-11-24: f, 0x10: g}":
        {2: "a", "2": "b", 1.5: "c", True: "d", None: "e", dt.date(2026, 11, 24): "f",
         16: "g"},
    "{'!': 1, a: {'!': set, v: []}}": {"!": 1, "a": {"!": "set", "v": []}},
    "18446744073709551616": 1 << 64, "-9223372036854775809": -(1 << 63) - 1,
    "0x1_0000_0000_0000_0000": 1 << 64, "0777777777777777777777777": (1 << 72) - 1,
    "+1_000": 1000, "010": 8, "0b1_01": 5, "-0x1F": -31, "08": "08", "0o7": "0o7",
    "1:30": 90, "-1:30:05": -5405, "1:30.5": 90.5,
    "1:00:00:00:00:00:00:00:00:00:00:00:00": 60 ** 12,
    "190:20:30.15": 685230.15, "1e5": "1e5", "1.0e+5": 100000.0, "1.e-3": 0.001, ".5": 0.5,
    "-.inf": float("-inf"), ".Inf": float("inf"), "-0.0": -0.0, "1_0.2_5": 10.25,
    "99999999999999999999.0": 1e20, "!!float 7": 7.0, "!!float 99999999999999999999": 1e20,
    "!!int '7'": 7, "!!str 1": "1", "!!bool 'no'": False, "!!null ''": None,
    "yes": True, "No": False, "on": True, "OFF": False, "y": "y", "n": "n", "~": None,
    "Null": None, "''": "", "{}": {}, "[]": [], "[a, [b]]": ["a", ["b"]],
}

MERGED = """
base: &base {1: one, 2026-01-01: day, name: base}
more: &more {1: other, size: 3}
both: {<<: [*base, *more], name: both, yes: x}
late:
  name: late
  <<: *more
again: &again [2026-01-02, *base]
alias: *again
"""
BASE = {1: "one", dt.date(2026, 1, 1): "day", "name": "base"}
MERGED_VALUE = {
    "base": BASE, "more": {1: "other", "size": 3},
    "both": {**BASE, "size": 3, "name": "both", True: "x"},
    "late": {1: "other", "size": 3, "name": "late"},
    "again": [dt.date(2026, 1, 2), BASE], "alias": [dt.date(2026, 1, 2), BASE],
}
ALL = "minWorkers: 1\nmaxWorkers: 1\nnan: .NaN\nscalars:\n" + "".join(
    f"- {text}\n" for text in SCALARS) + MERGED


@pytest.fixture(params=["with PyYAML", "without"])
def told(serve, tmp_path, request):
    """What the handler says that its configuration is."""
    environment = {}
    if request.param == "without":
        (tmp_path / "hidden").mkdir()
        (tmp_path / "hidden" / "yaml.py").write_text("raise ImportError('not here')\n")
        environment["PYTHONPATH"] = str(tmp_path / "hidden")
    else:
        pytest.importorskip("yaml")

    def ask(text):
        make_mar(tmp_path / "store", "m", TELLS, config=text)
        server = serve(root=tmp_path, environment=environment)
        return eval(server.predict("m", b"").text, {"datetime": dt, "nan": None,
                                                    "inf": float("inf")})

    return ask


def test_every_type(told):
    found = told(ALL)
    assert list(found) == ["minWorkers", "maxWorkers", "nan", "scalars", *MERGED_VALUE]
    assert found["nan"] is None     # evaluated so, above
    for text, value in zip(SCALARS, found["scalars"]):
        assert value == SCALARS[text], text
        # 1, 1.0 and True are equal; the order within a set is nobody's.
        if not isinstance(value, set):
            assert repr(value) == repr(SCALARS[text]), text
    assert {name: found[name] for name in MERGED_VALUE} == MERGED_VALUE
    assert repr(found["late"]) == repr(MERGED_VALUE["late"])     # in this order, and 1, not "1"


def test_what_is_expected_is_what_pyyaml_makes():
    yaml = pytest.importorskip("yaml")
    found = yaml.safe_load(ALL)
    for text, value in zip(SCALARS, found["scalars"]):
        assert (value, repr(value)) == (SCALARS[text], repr(SCALARS[text])), text
    assert {name: found[name] for name in MERGED_VALUE} == MERGED_VALUE


def test_what_pyyaml_refuses_stays_text(told):
    """TorchServe does not load such a model."""
    assert told("a: 2026-13-41\nb: !!binary '!'\nc: !!set {a}\nd: !mine x\n") == {
        "a": "2026-13-41", "b": b"", "c": {"a"}, "d": "x"}


def test_a_large_file(told):
    """Larger than a frame, also with what JSON has no value for."""
    found = told("".join(f"{i}: 2026-11-24 some more text\n" for i in range(3000))
                 + "days: [" + "2026-11-24, " * 1500 + "]\n")
    assert len(found) == 3001 and found[2999] == "2026-11-24 some more text"
    assert found["days"] == [dt.date(2026, 11, 24)] * 1500


@pytest.mark.parametrize("text", [
    "a: &a '%s'\nb: [%s]\n" % ("x" * 60, "*a, " * 90000),
    "a: &a {1: '%s'}\nb: [%s]\n" % ('"' * 50, "*a, " * 45000)], ids=["texts", "maps"])
def test_aliases_that_grow_too_large(serve, tmp_path, text):
    server = serve(root=tmp_path)
    make_mar(tmp_path / "store", "m", TELLS, config=text)
    refused = server.register("m.mar", initial_workers=0)
    assert refused.status_code == 400
    assert "with its aliases written out it is larger than 4 MiB" in refused.json()["message"]
