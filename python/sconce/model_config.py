# SPDX-License-Identifier: Apache-2.0
"""`context.model_yaml_config`: what PyYAML's safe_load makes of model-config.yaml.

The front has read the file and sends it as JSON. Values that JSON lacks come as
{"!": kind, "v": value}; where there are any, PyYAML itself is asked if the handler's Python has it,
and otherwise they are made here, by its rules.
"""

import os


def _has_kinds(value):
    if isinstance(value, dict):
        return "!" in value or any(map(_has_kinds, value.values()))
    return isinstance(value, list) and any(map(_has_kinds, value))


def _timestamp(text):
    import datetime
    import re

    found = re.match(r"(\d{4})-(\d\d?)-(\d\d?)(?:(?:[Tt]|[ \t]+)(\d\d?):(\d\d):(\d\d)(?:\.(\d*))?"
                     r"(?:[ \t]*(Z|([-+])(\d\d?)(?::(\d\d))?))?)?$", text, re.ASCII)
    if not found:
        return text
    *numbers, fraction, zone, sign, hours, minutes = found.groups()
    if numbers[3] is None:
        return datetime.date(*map(int, numbers[:3]))
    offset = None
    if zone:
        offset = datetime.timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        offset = datetime.timezone(-offset if sign == "-" else offset)
    return datetime.datetime(*map(int, numbers), int((fraction or "")[:6].ljust(6, "0")),
                             tzinfo=offset)


def _number(text, kind):
    text = text.replace("_", "").lower()
    sign = -1 if text.startswith("-") else 1
    digits = text[1:] if text.startswith(("+", "-")) else text
    if kind is float and digits in (".nan", ".inf"):
        return sign * float(digits[1:])
    if ":" in digits:
        total, base = kind(0), 1
        for part in reversed(digits.split(":")):
            total += kind(part) * base
            base *= 60
        return sign * total
    if kind is float:
        return sign * float(digits)
    if digits.startswith(("0b", "0x")):
        return sign * int(digits[2:], 2 if digits[1] == "b" else 16)
    return sign * int(digits, 8 if digits.startswith("0") else 10)


def _binary(text):
    import base64

    return base64.decodebytes(text.encode("ascii"))


def _pairs(items):
    items = _value(items)
    if all(isinstance(item, dict) and len(item) == 1 for item in items):
        return [next(iter(item.items())) for item in items]
    return items


_KINDS = {
    "timestamp": _timestamp,
    "binary": _binary,
    "int": lambda text: _number(text, int),
    "float": lambda text: _number(text, float),
    "set": lambda members: set(_value(members)),
    "pairs": _pairs,
    "map": lambda pairs: {_value(key): _value(value) for key, value in pairs},
}


def _value(value):
    if isinstance(value, list):
        return [_value(v) for v in value]
    if not isinstance(value, dict):
        return value
    if "!" not in value:
        return {key: _value(v) for key, v in value.items()}
    try:
        return _KINDS[value["!"]](value["v"])
    except (ValueError, OverflowError):
        return value["v"]       # a thirteenth month: the text


def _by_pyyaml(load):
    """None where it is not installed, or refuses a file that the front has taken."""
    name = ((load.get("manifest") or {}).get("model") or {}).get("configFile")
    try:
        import yaml

        with open(os.path.join(load["model_dir"], name), "rb") as f:
            return yaml.safe_load(f)
    except Exception:
        return None


def read(load):
    """`load`: the document of a LOAD frame."""
    config = load.get("model_yaml_config") or {}
    if not _has_kinds(config):
        return config
    found = _by_pyyaml(load)
    return _value(config) if found is None else found
