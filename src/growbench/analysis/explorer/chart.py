"""The chart: losses over FLOPs with a line that can be dragged, and what every method saves at it. Altair, compiled to Vega."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import vl_convert

from growbench.analysis.explorer import data
from growbench.analysis.explorer.data import Rows

WIDTH, NARROW, WIDEST, MARGIN = 560, 190, 760, 190  # pixels: of a chart, least, most, and beside it for numbers
AS_TABLES, AT_LINE = "the lowest loss that both reach (as the tables)", "the line"


def spec(
    points: Rows, savings: Rows, levels: Mapping[str, Sequence[float]], colors: Mapping[str, str]
) -> dict[str, Any]:
    """Return the Vega spec. levels: the losses at which savings are read, by rung. colors: by method."""
    alt.data_transformers.disable_max_rows()
    asked = _asked(list(levels))
    lines = [
        {"rung": rung, "place": place, "loss": loss}
        for rung, losses in levels.items()
        for place, loss in enumerate(losses)
    ]
    color = alt.Color("method:N", scale=alt.Scale(domain=list(colors), range=list(colors.values())), legend=None)
    chart = alt.vconcat(
        _losses(points, lines, color), _savings(savings, color), spacing=24
    ).add_params(*asked.values())  # fmt: skip
    compiled: dict[str, Any] = vl_convert.vegalite_to_vega(chart.to_dict())
    return _responsive(_draggable(compiled, levels))


def _asked(rungs: list[str]) -> dict[str, Any]:
    """Return what a reader can ask for, each with its control."""

    def choice(name: str, label: str, options: Sequence[str]) -> Any:
        return alt.param(name=name, value=options[0], bind=alt.binding_select(options=list(options), name=label))

    asked = (
        {"rung": choice("rung", "study ", rungs)}
        if len(rungs) > 1
        else {"rung": alt.param(name="rung", value=rungs[0])}
    )
    return asked | {
        "counted": choice("counted", "counted: ", list(data.COUNTED.values())),
        "baseline": choice("baseline", "against: ", data.BASELINES),
        "reading": choice("reading", "read at: ", (AS_TABLES, AT_LINE)),
        "place": alt.param(
            name="place", value=data.LOSSES // 2,
            bind=alt.binding_range(min=0, max=data.LOSSES - 1, step=1, name="line (drag it, or use this): "),
        ),
        "shown": alt.param(name="shown", value="", bind=alt.binding(input="text", name="only methods named like: ")),
    }  # fmt: skip


NAMED = "(shown == '' || indexof(datum.method, shown) >= 0)"


def _losses(points: Rows, lines: Rows, color: Any) -> Any:
    base = alt.Chart(alt.Data(values=points)).transform_filter(
        f"datum.rung == rung && datum.counted == counted && {NAMED}"
    )
    x = alt.X(
        "flops:Q",
        scale=alt.Scale(type="log", nice=False, padding=12),
        title="FLOPs",
        axis=alt.Axis(format=".0e", tickCount=4),
    )
    y = alt.Y("loss:Q", scale=alt.Scale(zero=False), title="loss (nats)")
    facts = [alt.Tooltip(f"{name}:N", title=name) for name in ("method", "tpp", "n")]
    facts += [alt.Tooltip("loss:Q", format=".4f"), alt.Tooltip("flops:Q", format=".3e")]
    curves = base.mark_line(strokeWidth=1.3).encode(x=x, y=y, color=color, detail="method:N")
    dots = base.mark_point(filled=True, size=45, opacity=1, cursor="pointer").encode(
        x=x, y=y, color=color, tooltip=facts, href="record:N"
    )
    rule = (
        alt.Chart(alt.Data(values=lines))
        .transform_filter("datum.rung == rung && datum.place == place")
        .mark_rule(strokeWidth=2, strokeDash=[6, 3], color="#D55E00")
        .encode(
            y="loss:Q",
            opacity=alt.condition(f"reading == '{AT_LINE}'", alt.value(1), alt.value(0)),
            tooltip=[alt.Tooltip("loss:Q", format=".4f")],
        )
    )
    return (curves + rule + dots).properties(width=WIDTH, height=300)


def _savings(savings: Rows, color: Any) -> Any:
    base = alt.Chart(alt.Data(values=savings)).transform_filter(
        "datum.rung == rung && datum.counted == counted && datum.baseline == baseline && "
        f"datum.place == (reading == '{AT_LINE}' ? place : {data.TABLES}) && {NAMED}"
    )
    y = alt.Y("method:N", sort=alt.EncodingSortField(field="saving", op="max", order="descending"), title=None)
    x = alt.X("saving:Q", title="saving of FLOPs", axis=alt.Axis(format="%", tickCount=5))
    facts = [alt.Tooltip("method:N"), alt.Tooltip("text:N", title="saving [95 % t interval]")]
    bars = base.mark_rule(strokeWidth=2).encode(y=y, x=alt.X("lo:Q"), x2="hi:Q", color=color, tooltip=facts)
    dots = base.mark_point(filled=True, size=60, opacity=1).encode(y=y, x=x, color=color, tooltip=facts)
    zero = alt.Chart(alt.Data(values=[{"saving": 0}])).mark_rule(color="#888888").encode(x="saving:Q")
    words = base.mark_text(align="left", baseline="middle", fontSize=11).encode(
        y=y, x=alt.value(alt.expr("width + 8")), text="text:N", tooltip=facts
    )
    return (zero + bars + dots + words).properties(width=WIDTH, height=alt.Step(19))


def _draggable(vega: dict[str, Any], levels: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Let a drag over the upper chart move the line, besides its slider: to the place that is nearest."""
    chart, dragged = "@concat_0_group:pointerdown", "window:pointermove!"
    ends = json.dumps({rung: [losses[0], losses[-1]] for rung, losses in levels.items()})
    share = f"({ends}[rung][0] - invert('concat_0_y', y())) / ({ends}[rung][0] - {ends}[rung][1])"
    place = f"clamp(round({share} * {data.LOSSES - 1}), 0, {data.LOSSES - 1})"
    moves = {
        "place": {"events": f"[{chart}, window:pointerup] > {dragged}, {chart}", "update": place},
        "reading": {"events": chart, "update": f"'{AT_LINE}'"},
    }
    signals = [{**s, "on": [moves[s["name"]]]} if s["name"] in moves else s for s in vega["signals"]]
    return {**vega, "signals": signals}


def _responsive(vega: dict[str, Any]) -> dict[str, Any]:
    """Make the charts as wide as the page leaves room for, and let the page choose the background."""
    room = f"clamp(containerSize()[0] - {MARGIN + 110}, {NARROW}, {WIDEST})"
    resized = [{"events": {"source": "window", "type": "resize"}, "update": room}]
    kept = {key: value for key, value in vega.items() if key not in ("width", "background")}
    return {**kept, "signals": [{"name": "width", "init": room, "on": resized}, *vega["signals"]]}
