# SPDX-License-Identifier: Apache-2.0
"""Panels and dashboards as Grafana keeps them. Every query goes through the list of metrics first:
one that names what no server says raises."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "prometheus"))

import catalogue    # noqa: E402

METRICS = catalogue.read()
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
GREEN, ORANGE, RED = "green", "orange", "red"
WIDTH = 24      # columns of a dashboard
LINK = "/d/sconce-model?${datasource:queryparam}&${job:queryparam}&${__url_time_range}&var-model="


def query(expr, legend="", **more):
    """`expr` as it is, when all that it names is there."""
    catalogue.check(expr, METRICS)
    return {"datasource": SOURCE, "expr": re.sub(r"\s+", " ", expr.strip()),
            "legendFormat": legend, **more}


def thresholds(*steps):
    """thresholds((0.7, ORANGE), (0.9, RED)): green below the first."""
    return {"mode": "absolute", "steps": [{"color": GREEN, "value": None},
                                          *({"color": c, "value": v} for v, c in steps)]}


def panel(kind, title, tells, targets, unit, limits=None, options=None, **custom):
    for i, target in enumerate(targets):
        target["refId"] = chr(ord("A") + i)
    defaults = {"unit": unit, "thresholds": thresholds(*(limits or ())),
                "color": {"mode": "thresholds" if kind == "stat" else "palette-classic"}}
    for key in ("min", "max", "decimals", "noValue", "mappings"):
        if key in custom:
            defaults[key] = custom.pop(key)
    overrides, transformations = custom.pop("overrides", []), custom.pop("transformations", [])
    assert not set(custom) - {"custom"}, custom
    defaults["custom"] = custom.get("custom", {})
    out = {"type": kind, "title": title, "description": tells, "datasource": SOURCE,
           "targets": targets, "fieldConfig": {"defaults": defaults, "overrides": overrides},
           "options": options or {}}
    if transformations:
        out["transformations"] = transformations
    return out


def stat(title, tells, expr, unit="short", limits=None, **more):
    """One number, with its course behind it."""
    options = {"colorMode": "value", "graphMode": "area", "justifyMode": "auto",
               "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
               "textMode": "auto"}
    return panel("stat", title, tells, [query(expr)], unit, limits, options, **more)


def graph(title, tells, *lines, unit="short", limits=None, stack=False, exemplars=False, **more):
    """`lines`: (expr, legend). Limits are drawn as lines."""
    targets = [query(expr, legend, **({"exemplar": True} if exemplars else {}))
               for expr, legend in lines]
    custom = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 30 if stack else 8,
              "showPoints": "never", "spanNulls": False,
              "stacking": {"mode": "normal" if stack else "none", "group": "A"},
              "thresholdsStyle": {"mode": "dashed" if limits else "off"}}
    options = {"legend": {"displayMode": "table", "placement": "bottom", "showLegend": True,
                          "calcs": ["lastNotNull", "max"]},
               "tooltip": {"mode": "multi", "sort": "desc"}}
    more.setdefault("min", 0)
    return panel("timeseries", title, tells, targets, unit, limits, options, custom=custom, **more)


def heat(title, tells, expr, unit):
    """Buckets of a histogram over time."""
    options = {"calculate": False, "cellGap": 1, "yAxis": {"unit": unit, "reverse": False},
               "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5},
               "legend": {"show": True}, "tooltip": {"show": True, "yHistogram": True}}
    return panel("heatmap", title, tells, [query(expr, "{{le}}", format="heatmap")], unit,
                 options=options)


def bars(title, tells, expr, legend, unit="percentunit", limits=None, **more):
    """A bar for each, as of now."""
    options = {"displayMode": "lcd", "orientation": "horizontal", "showUnfilled": True,
               "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    return panel("bargauge", title, tells, [query(expr, legend)], unit, limits, options, **more)


def column(name, unit="short", limits=None, decimals=None):
    """Properties of the column `name` of a table."""
    properties = [{"id": "unit", "value": unit}]
    if decimals is not None:
        properties.append({"id": "decimals", "value": decimals})
    if limits:
        properties += [{"id": "thresholds", "value": thresholds(*limits)},
                       {"id": "custom.cellOptions", "value": {"type": "color-text"}}]
    return {"matcher": {"id": "byName", "options": name}, "properties": properties}


def table(title, tells, keys, *columns):
    """`keys`: labels of a row, {label: heading}; `columns`: (expr, heading, unit, limits)."""
    targets = [query(expr, format="table", instant=True) for expr, *_ in columns]
    names, overrides = dict(keys), []
    for i, (_, heading, unit, limits) in enumerate(columns):
        value = "Value" if len(columns) == 1 else f"Value #{chr(ord('A') + i)}"
        names[value] = heading
        overrides.append(column(heading, unit, limits, 2 if unit in ("reqps", "short") else None))
    if "model_name" in keys:
        overrides.append({"matcher": {"id": "byName", "options": keys["model_name"]},
                          "properties": [{"id": "links", "value": [
                              {"title": "This model", "url": LINK + "${__value.raw}"}]}]})
    order = {name: i for i, name in enumerate(names)}
    changes = [{"id": "merge", "options": {}},
               {"id": "organize", "options": {"excludeByName": {"Time": True},
                                              "indexByName": order, "renameByName": names}}]
    return panel("table", title, tells, targets, "short",
                 options={"showHeader": True, "cellHeight": "sm"}, overrides=overrides,
                 transformations=changes)


# ---- a dashboard ----

def variable(name, label, values, multi=True, everything=True):
    """`values`: a query for label_values()."""
    metric, names = values.rsplit(", ", 1)
    catalogue.check(metric, METRICS)
    everybody = {"text": "All", "value": "$__all", "selected": True}
    return {"name": name, "label": label, "type": "query", "datasource": SOURCE,
            "definition": f"label_values({metric}, {names})",
            "query": {"query": f"label_values({metric}, {names})", "refId": name},
            "multi": multi, "includeAll": everything, "allValue": ".*" if everything else None,
            "current": everybody if everything else {}, "refresh": 2, "sort": 1, "hide": 0}


SOURCES = {"name": "datasource", "label": "Data source", "type": "datasource",
           "query": "prometheus", "multi": False, "includeAll": False, "hide": 0,
           "current": {}, "refresh": 1}


def laid_out(rows):
    """Panels with their places: a row is its title, its height and (panel, width) pairs."""
    out, y, ident = [], 0, 1
    for title, height, panels in rows:
        out.append({"type": "row", "title": title, "collapsed": False, "panels": [], "id": ident,
                    "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}})
        x, y, ident = 0, y + 1, ident + 1
        for content, width in panels:
            assert x + width <= WIDTH, f"{title}: {content['title']} does not fit"
            out.append({**content, "id": ident,
                        "gridPos": {"x": x, "y": y, "w": width, "h": height}})
            x, ident = x + width, ident + 1
            if x == WIDTH:
                x, y = 0, y + height
        assert x == 0, f"{title}: a line is not full"
    return out


def dashboard(uid, title, tells, variables, rows):
    return {
        "uid": uid, "title": title, "description": tells, "tags": ["sconce"], "editable": True,
        "schemaVersion": 38, "version": 1, "refresh": "30s", "timezone": "browser",
        "time": {"from": "now-1h", "to": "now"}, "graphTooltip": 1, "fiscalYearStartMonth": 0,
        "templating": {"list": [SOURCES, *variables]},
        "links": [{"type": "dashboards", "title": "sconce", "tags": ["sconce"],
                   "asDropdown": True, "includeVars": True, "keepTime": True,
                   "targetBlank": False, "icon": "external link", "tooltip": "", "url": ""}],
        "annotations": {"list": [{
            "name": "Restarts of servers", "datasource": SOURCE, "enable": True,
            "iconColor": "purple", "titleFormat": "{{instance}} was started",
            "expr": query('changes(sconce_start_time_seconds{job=~"$job"}[1m]) > 0')["expr"]}]},
        "panels": laid_out(rows),
    }
