"""Figures: a table in, a plotly figure out; nothing is read, fitted, shown or saved here."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from hcc_utils import checks
from hcc_utils.presentation.words import (
    ATTRIBUTION_CHECKS,
    ATTRIBUTIONS,
    CODINGS,
    CONTROLS,
    METRICS,
    TRAININGS,
    control_figure,
    group_name,
    group_of_centres,
    subgroup_name,
)
from hcc_utils.study.vocabulary import MODELS, label

BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, GREY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#808080",
)
"""Okabe and Ito's colours, which colour-blind people can tell apart, and a grey."""

_ORDER = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
_COLOURS = {"cs": ORANGE, "d": GREEN, "csd": BLUE, "low": BLUE, "high": VERMILION}
_DASHES = {"cs": "dot", "d": "dash", "csd": "solid"}
_GAP = {"leak_free": "leak-free", "as_published": "by the paper's choices"}
_STEPS = {"width": 2.5, "shape": "hv"}
_TELEPHONE = 44  # letters of a legend that fit a telephone's width
_PLACE_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")

_REFERENCE: dict[str, tuple[str, float]] = {
    "auc": ("0.5 is chance", 0.5),
    "auc_difference": ("0 is none", 0.0),
    "calibration_intercept": ("0 is best", 0.0),
    "calibration_slope": ("1 is best", 1.0),
    "nri": ("0 is none", 0.0),
    "idi": ("0 is none", 0.0),
}
"""Where a forest plot draws a line to compare with, and what it means."""


def study(boxes: pd.DataFrame) -> go.Figure:
    """
    The study at a glance: its steps from top to bottom.

    Parameters
    ----------
    boxes : pandas.DataFrame
        As `study.glance.at_a_glance` gives it: ``step``, ``title``, ``words``.

    Returns
    -------
    plotly.graph_objects.Figure
        A box a row, those of one step side by side, and an arrow from each to each of the next.
    """
    if _empty(boxes, ["step", "title", "words"], "boxes"):
        return _nothing("The study at a glance")
    figure = go.Figure()
    top, said = 0.0, []
    before: list[float] = []
    for _, step in boxes.groupby("step", sort=True):
        places = [(place + 0.5) / len(step) for place in range(len(step))]
        texts = [_boxed(row, _STUDY_LETTERS // len(step)) for row in step.itertuples()]
        lines = max(text.count("<br>") for text in texts) + 1
        for start, end in product(before, places):
            _line_with_head(figure, x=end, y=top - 0.25, ax=start, ay=top - 1.35)
        for place, text in zip(places, texts, strict=True):
            _framed(figure, place, top + lines / 2, text, BLUE)
        said.append(" and ".join(f"{row.title}: {row.words}" for row in step.itertuples()))
        top, before = top + lines + 2, places
    figure.update_xaxes(visible=False, range=[0, 1], fixedrange=True)
    figure.update_yaxes(visible=False, range=[top - 1, -0.8], fixedrange=True)
    alt = f"The study at a glance, from top to bottom. {'; then '.join(said)}."
    return _finish(figure, alt, height=int(30 + _LINE_PIXELS * (top - 0.2)))


_STUDY_LETTERS, _LINE_PIXELS = 46, 18


def _boxed(row: Any, letters: int) -> str:
    """A box's title and words, in lines of so many letters."""
    return "<br>".join([f"<b>{row.title}</b>", *textwrap.wrap(row.words, letters)])


def flow_chart(flow: pd.DataFrame) -> go.Figure:
    """
    Flow chart of the patients: who was there, who was left out and why, who remained.

    Parameters
    ----------
    flow : pandas.DataFrame
        One row a centre and step in order: ``centre``, ``step``, ``reason``, ``excluded``,
        ``remaining``. Several centres are added up step by step.

    Returns
    -------
    plotly.graph_objects.Figure
        A box for those who remain after each step at which somebody was left out or came back,
        and one beside it for those, by centre where there are several. `words.criteria` says
        the others.
    """
    if _empty(flow, ["centre", "step", "reason", "excluded", "remaining"], "flow"):
        return _nothing("Flow chart of patients")
    steps = flow.groupby(["step", "reason"], sort=False, as_index=False)[
        ["excluded", "remaining"]
    ].sum()
    start, rules = steps.iloc[0], steps.iloc[1:]
    working = rules[rules["excluded"] != 0]
    figure = go.Figure()
    _box(figure, 0, 0, f"{_sentence(start.reason)}: {start.remaining}")
    said = [f"{_sentence(start.reason)}: {start.remaining}"]
    for row, rule in enumerate(working.itertuples(index=False), start=1):
        kept = "Included" if row == len(working) else "Remaining"
        _arrow(figure, row - 1)
        _box(figure, 0, row, f"{kept}: {rule.remaining}")
        _branch(figure, row - 0.5, back=rule.excluded < 0)
        column, what = (1, "Left out") if rule.excluded > 0 else (2, "Come back")
        count = abs(rule.excluded)
        reason = f"{rule.reason}{_by_centre(flow[flow['step'] == rule.step])}"
        _box(figure, column, row, f"{what}: {count}", reason)
        said.append(f"{count} {what.lower()} ({reason}), {rule.remaining} remain")
    rows = 1 + len(working)
    figure.update_xaxes(visible=False, range=[-0.5, 1.5], fixedrange=True)
    figure.update_yaxes(visible=False, range=[rows - 0.6, -0.3], fixedrange=True)
    alt = f"Flow chart of patients. {'; '.join(said)}."
    return _finish(figure, alt, height=int(20 + 92 * rows))


def _by_centre(step: pd.DataFrame) -> str:
    """How many left or came back at a step, centre by centre; nothing of a single centre."""
    if len(step) < 2:
        return ""
    moved = step[step["excluded"] != 0]
    counts = zip(moved["centre"].map(group_of_centres), moved["excluded"].abs(), strict=True)
    return f": {', '.join(f'{centre} {count}' for centre, count in counts)}"


def roc(roc_table: pd.DataFrame, metrics: pd.DataFrame | None = None) -> go.Figure:
    """
    ROC curves, a line for each model and origin.

    Parameters
    ----------
    roc_table : pandas.DataFrame
        ``model``, ``origin``, ``threshold``, ``false_positive_rate``, ``true_positive_rate``.
    metrics : pandas.DataFrame, optional
        Rows of ``metrics.csv``: an AUC with its interval is written beside its curve.

    Returns
    -------
    plotly.graph_objects.Figure
        True against false positive rate.
    """
    needed = ["model", "origin", "false_positive_rate", "true_positive_rate"]
    if _empty(roc_table, needed, "roc_table"):
        return _nothing("ROC curves")
    figure, said = go.Figure(), []
    figure.add_scatter(**_reference([0, 1], [0, 1], "No discrimination"))
    several = len(roc_table["origin"].unique()) > 1
    for (model, origin), curve in roc_table.groupby(["model", "origin"], sort=False):
        name = label(model) + (f", {_words(origin)}" if several else "")
        auc = _auc_words(metrics, model, origin)
        area = np.trapezoid(curve["true_positive_rate"], curve["false_positive_rate"])
        said.append(f"{name}: {auc or f'area under the curve {abs(area):.2f}'}")
        figure.add_scatter(
            x=curve["false_positive_rate"],
            y=curve["true_positive_rate"],
            name=f"{name}: {auc}" if auc else name,
            mode="lines",
            line=_line(model, several and origin),
        )
    _fraction(figure.update_xaxes, "False positive rate (1 − specificity)")
    _fraction(figure.update_yaxes, "True positive rate (sensitivity)")
    return _finish(figure, f"ROC curves. {'. '.join(said)}.", height=520)


def forest(table: pd.DataFrame) -> go.Figure:
    """
    Forest plot of one metric: a point with its interval for each row.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``metrics.csv`` or ``pooled.csv`` of one metric: ``metric``, ``model``,
        ``estimate``, ``low``, ``high``, and what tells the rows apart among ``comparator``,
        ``origin``, ``subgroup`` and ``centre``.

    Returns
    -------
    plotly.graph_objects.Figure
        The rows from top to bottom in the table's order; a diamond is a pooled estimate, a
        thin stroke the prediction for the next centre.

    Raises
    ------
    InputError
        If the rows are of several metrics, which cannot share an axis.
    """
    if _empty(table, ["metric", "model", "estimate", "low", "high"], "table"):
        return _nothing("Forest plot")
    found = [str(metric) for metric in table["metric"].unique()]
    if len(found) != 1:
        raise checks.InputError(
            f"a forest plot shows one metric; the table has {len(found)}: {', '.join(found)}. "
            "Give the rows of one."
        )
    table = table.assign(row=list(_row_names(table)))
    figure, said = go.Figure(), []
    for model, rows in table.groupby("model", sort=False):
        figure.add_scatter(
            x=rows["estimate"],
            y=rows["row"],
            name=label(model),
            mode="markers",
            marker={"color": _colour(model), "size": 11, "symbol": [*map(_symbol, _centres(rows))]},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": rows["high"] - rows["estimate"],
                "arrayminus": rows["estimate"] - rows["low"],
                "thickness": 2,
            },
        )
        said += [f"{row.row} {_interval(row)}" for row in rows.itertuples()]
    words = METRICS.get(found[0], _sentence(found[0]))
    ends = pd.concat([table["low"], table["high"]])
    if found[0] in _REFERENCE:
        meaning, reference = _REFERENCE[found[0]]
        words = f"{words} ({meaning})"
        ends = pd.concat([ends, pd.Series([reference])])
        figure.add_vline(reference, line={"color": GREY, "dash": "dot", "width": 1})
    margin = 0.04 * (ends.max() - ends.min()) or 0.1
    figure.update_xaxes(title=words)
    if ends.notna().any():
        figure.update_xaxes(range=[ends.min() - margin, ends.max() + margin])
    figure.update_yaxes(
        categoryorder="array", categoryarray=table["row"][::-1].tolist(), automargin=True
    )
    return _finish(figure, f"{words}. {'; '.join(said)}.", height=130 + 34 * len(table))


def calibration(
    calibration_table: pd.DataFrame, smooth_table: pd.DataFrame | None = None
) -> go.Figure:
    """
    Calibration curves: the observed against the predicted risk.

    Parameters
    ----------
    calibration_table : pandas.DataFrame
        ``model``, ``risk``, ``observed``, ``low``, ``high``: groups of patients.
    smooth_table : pandas.DataFrame, optional
        The same columns: a smooth curve, drawn as the line, the groups then as points.

    Returns
    -------
    plotly.graph_objects.Figure
        A line with its band for each model; on the diagonal predicted equals observed.
    """
    needed = ["model", "risk", "observed", "low", "high"]
    if _empty(calibration_table, needed, "calibration_table"):
        return _nothing("Calibration curves")
    lines = calibration_table if smooth_table is None else checks.columns(smooth_table, needed)
    figure, said = go.Figure(), []
    figure.add_scatter(**_reference([0, 1], [0, 1], "Predicted = observed"))
    for model, rows in calibration_table.groupby("model", sort=False):
        groups = rows.sort_values("risk")
        curve = lines[lines["model"] == model].sort_values("risk")
        _band(figure, model, _colour(model), curve, "risk", "linear")
        figure.add_scatter(
            x=curve["risk"],
            y=curve["observed"],
            name=label(model),
            mode="lines",
            legendgroup=str(model),
            line=_line(model),
        )
        if smooth_table is not None:
            _groups(figure, model, groups)
        low, high = groups.iloc[0], groups.iloc[-1]
        said.append(
            f"{label(model)}: where {low.risk:.0%} was predicted {low.observed:.0%} was observed, "
            f"and where {high.risk:.0%} was predicted {high.observed:.0%}"
        )
    _fraction(figure.update_xaxes, "Predicted risk")
    _fraction(figure.update_yaxes, "Observed proportion with the event")
    return _finish(figure, f"Calibration curves. {'. '.join(said)}.", height=520)


def instability(table: pd.DataFrame) -> go.Figure:
    """
    How far a patient's risk moves when the model is made anew from other patients.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``instability.csv``.

    Returns
    -------
    plotly.graph_objects.Figure
        The range of the resamples against the model's own risk, which is the diagonal.
    """
    if _empty(table, ["risk", "low", "high", "difference"], "table"):
        return _nothing("Stability of the risks")
    figure, lowest, highest = go.Figure(), table.iloc[0], table.iloc[-1]
    _band(figure, "cs", _colour("cs"), table, "risk", "linear")
    for column, name in (("high", "97.5 % of resamples below"), ("low", "2.5 % below")):
        figure.add_scatter(
            x=table["risk"],
            y=table[column],
            name=name,
            mode="lines+markers",
            line={"color": _colour("cs"), "dash": "solid" if column == "high" else "dash"},
        )
    figure.add_scatter(**_reference(table["risk"], table["risk"], "The model itself"))
    said = [
        f"{row.risk:.0%} by the model, {row.low:.0%} to {row.high:.0%} by 95 of 100 resamples"
        for row in (lowest, highest)
    ]
    _fraction(figure.update_xaxes, "Risk by the model")
    _fraction(figure.update_yaxes, "Risk by models of resamples")
    return _finish(figure, f"Stability of the risks: {'; '.join(said)}.", height=460)


def decision_curve(table: pd.DataFrame) -> go.Figure:
    """
    Decision curves: the net benefit of each strategy against the threshold.

    Parameters
    ----------
    table : pandas.DataFrame
        ``model``, ``threshold``, ``strategy`` (model, all, none), ``net_benefit``.

    Returns
    -------
    plotly.graph_objects.Figure
        A line for each model, and one each for intervening in all and in none.
    """
    if _empty(table, ["model", "threshold", "strategy", "net_benefit"], "table"):
        return _nothing("Decision curves")
    figure, said = go.Figure(), []
    first = table["model"] == table["model"].iloc[0]
    for strategy, words in (("all", "Intervene in all"), ("none", "Intervene in none")):
        curve = table[first & (table["strategy"] == strategy)]
        dash = "longdash" if strategy == "all" else "dot"
        figure.add_scatter(**_reference(curve["threshold"], curve["net_benefit"], words, dash))
    models = table[table["strategy"] == "model"]
    default = table[first & (table["strategy"] == "all")].set_index("threshold")["net_benefit"]
    for model, curve in models.groupby("model", sort=False):
        figure.add_scatter(
            x=curve["threshold"],
            y=curve["net_benefit"],
            name=label(model),
            mode="lines",
            line=_line(model),
        )
        better = curve[curve["net_benefit"] > curve["threshold"].map(default).clip(lower=0)]
        said.append(f"{label(model)} {_above_both(better['threshold'], len(curve))}")
    top = max(float(models["net_benefit"].max()), float(default.max()), 0.01)
    furthest = float(table["threshold"].max())
    figure.update_xaxes(title="Threshold probability", range=[0, furthest], tickformat=".0%")
    figure.update_yaxes(
        title="Net benefit (true positives per patient)", range=[-0.3 * top, 1.1 * top]
    )
    return _finish(figure, f"Decision curves. {'. '.join(said)}.", height=480)


def survival(table: pd.DataFrame) -> go.Figure:
    """
    Survival or cumulative incidence by group, a panel a grouping, numbers at risk below each.

    Parameters
    ----------
    table : pandas.DataFrame
        One outcome and one kind of estimate: ``outcome``, ``grouping``, ``group``, ``months``,
        ``survival``, ``low``, ``high``, ``at_risk``; ``estimate`` (survival, incidence), where it
        is missing the curves are survival.

    Returns
    -------
    plotly.graph_objects.Figure
        Step curves with bands, months on the horizontal axis; each panel has its own legend.

    Raises
    ------
    InputError
        If the rows are of several outcomes or several kinds of estimate.
    """
    needed = ["outcome", "grouping", "group", "months", "survival", "low", "high", "at_risk"]
    if _empty(table, needed, "table"):
        return _nothing("Curves over time")
    kinds = table[[column for column in ("outcome", "estimate") if column in table]]
    if len(kinds.drop_duplicates()) != 1:
        raise checks.InputError(
            "a survival figure shows one outcome and one estimate; the table has "
            f"{len(kinds.drop_duplicates())}. Give the rows of one."
        )
    words = _survival_words(**kinds.iloc[0].to_dict())
    ticks, ends = _months(table["months"])
    panels = [rows for _, rows in table.groupby("grouping", sort=False)]
    figure = make_subplots(rows=2 * len(panels), cols=1)
    said = [said for at, rows in enumerate(panels) for said in _panel(figure, rows, ticks, at)]
    figure.update_xaxes(range=ends, tickvals=ticks)
    for row in range(1, 2 * len(panels), 2):
        figure.update_xaxes(title="Months", row=row)
        figure.update_yaxes(title=words, range=[-0.02, 1.02], tickformat=".0%", row=row)
        blank = {"showgrid": False, "showline": False, "ticks": ""}
        figure.update_xaxes(**blank, showticklabels=False, row=row + 1)
        figure.update_yaxes(**blank, ticklabelstandoff=10, row=row + 1)
    alt = f"{words.replace('<br>', ' ')}. {'; '.join(said)}."
    groups = [rows["group"].nunique() for rows in panels]
    return _finish(figure, alt, height=_stack(figure, groups))


def codings(table: pd.DataFrame) -> go.Figure:
    """
    Incidence of the event under each way to count those who died without it.

    Parameters
    ----------
    table : pandas.DataFrame
        ``coding``, ``months``, ``estimate``.

    Returns
    -------
    plotly.graph_objects.Figure
        A step curve a coding.
    """
    if _empty(table, ["coding", "months", "estimate"], "table"):
        return _nothing("Ways to count deaths without the event")
    ticks, ends = _months(table["months"])
    figure, said = go.Figure(), []
    for place, (coding, curve) in enumerate(table.groupby("coding", sort=False)):
        name = CODINGS[str(coding)]
        figure.add_scatter(
            x=curve["months"],
            y=curve["estimate"],
            name="<br>".join(textwrap.wrap(_sentence(name), _TELEPHONE)),
            mode="lines",
            line={"color": _ORDER[place], **_STEPS, "dash": _PLACE_DASHES[place]},
        )
        said.append(f"{name}: {_after_a_year(curve['months'], curve['estimate'])}")
    figure.update_xaxes(title="Months", range=ends, tickvals=ticks)
    figure.update_yaxes(title="With the event", range=[-0.02, 1.02], tickformat=".0%")
    return _finish(figure, f"Deaths without the event. {'; '.join(said)}.", height=420)


def network(table: pd.DataFrame) -> go.Figure:
    """
    The network from the slice to the score: what each layer gives, and how much it holds.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of `models.network.layers`: ``layer``, ``stride``, ``height``, ``width``,
        ``channels``, ``parameters``.

    Returns
    -------
    plotly.graph_objects.Figure
        A bar for each layer, as wide as the pictures that it gives.
    """
    columns = ["layer", "stride", "height", "width", "channels", "parameters"]
    if _empty(table, columns, "table"):
        return _nothing("The network")
    said = [_layer_words(row) for row in table.itertuples()]
    side = table["width"].iloc[0] * table["stride"].iloc[0]
    sides = [side, *table["width"]]
    names = [f"Slice<br>{side} × {side}, one channel"]
    names += [
        f"{row.layer}<br>{words}" for row, words in zip(table.itertuples(), said, strict=True)
    ]
    kinds = [name.split()[0] for name in table["layer"]]
    colours = {"C_Block": ORANGE, "R_Block": BLUE}
    figure = go.Figure()
    figure.add_bar(
        x=sides,
        base=[-0.5 * each for each in sides],
        y=list(range(len(sides))),
        orientation="h",
        width=0.5,
        marker={"color": [GREY, *(colours.get(kind, GREEN) for kind in kinds)]},
        hoverinfo="skip",
        showlegend=False,
    )
    figure.update_xaxes(title="Side of the pictures, pixels", tickvals=[], zeroline=False)
    figure.update_yaxes(
        tickvals=list(range(len(sides))), ticktext=names, autorange="reversed", showgrid=False
    )
    layers = "; ".join(
        f"{row.layer}: {words}" for row, words in zip(table.itertuples(), said, strict=True)
    )
    alt = f"The network, {table['parameters'].sum():,} parameters in all. {layers}."
    return _finish(figure, alt, height=46 * len(sides) + 60)


def _layer_words(row: Any) -> str:
    """What a layer gives, and how much it holds."""
    maps = f"{row.height} × {row.width} × {row.channels}"
    shape = maps if row.height > 1 else f"{row.channels:,} values"
    return f"{shape}, {row.parameters:,} parameters" if row.parameters else shape


def learning_curves(table: pd.DataFrame) -> go.Figure:
    """
    Learning curves: loss and inner AUC of every network, epoch by epoch.

    Parameters
    ----------
    table : pandas.DataFrame
        ``network``, ``epoch``, ``loss``, ``inner_auc``.

    Returns
    -------
    plotly.graph_objects.Figure
        Two panels, a line for each network.
    """
    if _empty(table, ["network", "epoch", "loss", "inner_auc"], "table"):
        return _nothing("Learning curves")
    titles = ("Training loss", "AUC on the inner split")
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    networks = list(table.groupby("network", sort=False))
    for place, (network, curve) in enumerate(networks):
        for row, column in enumerate(("loss", "inner_auc"), start=1):
            figure.add_scatter(
                x=curve["epoch"],
                y=curve[column],
                name=str(network),
                mode="lines+markers",
                marker={"size": 4},
                line={"color": _ORDER[place % len(_ORDER)], "width": 1.5},
                legendgroup=str(network),
                showlegend=row == 1 and len(networks) <= 8,
                row=row,
                col=1,
            )
    for row, words in enumerate(titles, start=1):
        figure.update_yaxes(title=words, row=row, col=1)
    step = -(-int(table["epoch"].max()) // 10)
    figure.update_xaxes(title="Epoch", dtick=step, row=2, col=1)
    ends = table.groupby("network", sort=False)
    last = ends.last()
    alt = (
        f"Learning curves of {len(networks)} networks over {table['epoch'].nunique()} epochs. "
        f"Training loss: from {ends.first()['loss'].mean():.3f} to {last['loss'].mean():.3f} on "
        f"average. {_inner_auc_words(last['inner_auc'])}"
    )
    return _finish(figure, alt, height=560)


def noise_probe(table: pd.DataFrame) -> go.Figure:
    """
    Noise as a cue: scores of patients without the event, by the noise added to their slices.

    Parameters
    ----------
    table : pandas.DataFrame
        ``protocol``, ``noise_sd``, ``mean_score``, ``low``, ``high``, ``n``.

    Returns
    -------
    plotly.graph_objects.Figure
        A line with its band for each way to train.
    """
    if _empty(table, ["protocol", "noise_sd", "mean_score", "low", "high", "n"], "table"):
        return _nothing("Noise probe")
    figure = go.Figure()
    said = []
    for place, (protocol, rows) in enumerate(table.groupby("protocol", sort=False)):
        name, colour = TRAININGS[str(protocol)], (BLUE, VERMILION)[place]
        _band(figure, name, colour, rows, "noise_sd", "linear")
        figure.add_scatter(
            x=rows["noise_sd"],
            y=rows["mean_score"],
            name=name,
            mode="lines+markers",
            line={"color": colour, "dash": _PLACE_DASHES[place], "width": 2.5},
            legendgroup=name,
        )
        first, last = rows["mean_score"].iloc[[0, -1]]
        said.append(f"{name}: from {first:.2f} without noise to {last:.2f} with most.")
    figure.update_xaxes(title="SD of the noise added, share of the window")
    figure.update_yaxes(title="Mean score, patients without the event", range=[0, 1])
    alt = f"Mean score of {table['n'].iloc[0]} patients without the event. {' '.join(said)}"
    return _finish(figure, alt, height=380)


def gap(table: pd.DataFrame) -> go.Figure:
    """
    The same patients under both protocols: AUC with its interval, one above the other.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``gap.csv``.

    Returns
    -------
    plotly.graph_objects.Figure
        For each model and group of patients a point a protocol.
    """
    if _empty(table, ["model", "patients", "leak_free", "as_published"], "table"):
        return _nothing("Gap between the protocols")
    names = [f"{label(row.model)} · {group_of_centres(row.patients)}" for row in table.itertuples()]
    places = np.arange(len(table))[::-1]
    figure, said = go.Figure(), []
    for protocol, colour, symbol, above in (
        ("leak_free", BLUE, "circle", 0.12),
        ("as_published", VERMILION, "diamond", -0.12),
    ):
        figure.add_scatter(
            x=table[protocol],
            y=places + above,
            name=_GAP[protocol],
            mode="markers",
            marker={"color": colour, "size": 11, "symbol": symbol},
            error_x=_reach(table, protocol),
            customdata=names,
            hovertemplate="%{customdata}: %{x:.3f}",
        )
    for name, row in zip(names, table.itertuples(), strict=True):
        said.append(f"{name}: {row.leak_free:.3f} leak-free, {row.as_published:.3f} as published")
    figure.add_vline(0.5, line={"color": GREY, "dash": "dot", "width": 1})
    lowest = table[["leak_free_low", "as_published_low"]].min(axis=None)
    figure.update_xaxes(title=f"{METRICS['auc']} (0.5 is chance)", range=[lowest - 0.02, 1.01])
    figure.update_yaxes(tickvals=places, ticktext=names, automargin=True)
    return _finish(figure, f"AUC under both protocols. {'; '.join(said)}.", 150 + 50 * len(table))


def controls(table: pd.DataFrame) -> go.Figure:
    """
    How far each figure of the negative controls lies from its null.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``controls.csv``.

    Returns
    -------
    plotly.graph_objects.Figure
        A point a figure, in simulated SD of its mean, and a band of three to either side.
    """
    if _empty(table, ["control", "z", "origin"], "table"):
        return _nothing("Negative controls")
    names = [f"{control_figure(row)} · {CONTROLS[row.control]}" for row in table.itertuples()]
    places = np.arange(len(table))[::-1]
    figure = go.Figure()
    for stacked, name, colour, symbol in (
        (False, "out of fold", BLUE, "circle"),
        (True, "stacked: no headline", VERMILION, "diamond"),
    ):
        shown = (table["origin"] == "stacked").to_numpy() == stacked
        figure.add_scatter(
            x=table["z"][shown],
            y=places[shown],
            name=name,
            mode="markers",
            marker={"color": colour, "size": 11, "symbol": symbol},
            customdata=np.array(names)[shown],
            hovertemplate="%{customdata}: %{x:+.1f}",
        )
    figure.add_vrect(-3, 3, fillcolor=GREY, opacity=0.15, line_width=0)
    figure.add_vline(0, line={"color": GREY, "dash": "dot", "width": 1})
    figure.update_xaxes(title="From null, in SD of the mean")
    figure.update_yaxes(tickvals=places, ticktext=names, automargin=True)
    said = [f"{name}: {z:+.1f}" for name, z in zip(names, table["z"], strict=True)]
    alt = f"Negative controls, from null in SD of the mean. {'; '.join(said)}."
    return _finish(figure, alt, height=150 + 34 * len(table))


def _reach(table: pd.DataFrame, column: str) -> dict[str, object]:
    """Error bars from an estimate to the ends of its interval."""
    return {
        "type": "data",
        "symmetric": False,
        "array": table[f"{column}_high"] - table[column],
        "arrayminus": table[column] - table[f"{column}_low"],
        "thickness": 2,
    }


def nomogram(points: pd.DataFrame, total: pd.DataFrame) -> go.Figure:
    """
    Nomogram: a ruler for each predictor, then total points and the risk that they mean.

    Parameters
    ----------
    points : pandas.DataFrame
        ``predictor``, ``value``, ``points`` (0 to 100): the marks of each predictor's ruler.
    total : pandas.DataFrame
        ``total_points``, ``linear_predictor``, ``risk``, in rising order of the points.

    Returns
    -------
    plotly.graph_objects.Figure
        The rulers from top to bottom.
    """
    if _empty(points, ["predictor", "value", "points"], "points") or _empty(
        total, ["total_points", "risk"], "total"
    ):
        return _nothing("Nomogram")
    total = total.sort_values("total_points")
    longest = float(total["total_points"].max())
    marks = np.linspace(0, longest, 6).round(-1 if longest > 100 else 0)
    risks = _risk_marks(total["risk"].min(), total["risk"].max())
    rulers: list[tuple[str, Sequence[float], Sequence[object], str]]
    rulers = [("Points", [*range(0, 101, 10)], [*range(0, 101, 10)], GREY)]
    for predictor, ruler in points.groupby("predictor", sort=False):
        rulers.append(
            (_sentence(label(str(predictor))), [*ruler["points"]], [*ruler["value"]], BLUE)
        )
    rulers.append(("Total points", [*(100 * marks / longest)], [*marks], GREY))
    where = 100 * np.interp(risks, total["risk"], total["total_points"]) / longest
    rulers.append(("Risk", [*where], [f"{risk:.0%}" for risk in risks], VERMILION))
    figure = go.Figure()
    for row, (name, place, words, colour) in enumerate(rulers):
        figure.add_scatter(
            x=place,
            y=[row] * len(place),
            text=[_mark(word) for word in words],
            name=name,
            mode="lines+markers+text",
            textposition=["top center", "bottom center"] * len(place),
            marker={"symbol": "line-ns-open", "size": 9, "color": colour},
            line={"color": colour, "width": 2},
            cliponaxis=False,
            showlegend=False,
        )
    figure.update_xaxes(visible=False, range=[-9, 106])
    figure.update_yaxes(
        tickvals=list(range(len(rulers))),
        ticktext=["<br>".join(textwrap.wrap(ruler[0], 18)) for ruler in rulers],
        range=[len(rulers) - 0.4, -0.6],
        showgrid=False,
        zeroline=False,
        automargin=True,
    )
    widest = points.groupby("predictor", sort=False)["points"].max()
    said = "; ".join(f"{label(str(name))} up to {most:.0f} points" for name, most in widest.items())
    alt = (
        f"Nomogram. {said}. The total of 0 to {longest:.0f} points means a risk from "
        f"{total['risk'].iloc[0]:.0%} to {total['risk'].iloc[-1]:.0%}."
    )
    return _finish(figure, alt, height=80 + 62 * len(rulers))


def contact_sheet(
    pixels_hu: npt.NDArray[np.integer | np.floating],
    table: pd.DataFrame,
    *,
    centre_hu: float = 100.0,
    width_hu: float = 250.0,
    columns: int = 8,
) -> go.Figure:
    """
    All slices as one picture of small tiles, for the internal edition alone.

    One heatmap of half the resolution, since hundreds of patients would be as many plots.

    Parameters
    ----------
    pixels_hu : numpy.ndarray, shape (n_slices, height, width)
        Intensities in Hounsfield units.
    table : pandas.DataFrame
        One row a slice, with ``title`` (its first line stands above the tile) and the box:
        ``left``, ``right``, ``top`` and ``bottom`` as shares of the picture's sides.
    centre_hu : float, default 100
        Centre of the window.
    width_hu : float, default 250
        Width of the window.
    columns : int, default 8
        Tiles side by side; half as many, and larger ones, where all fit into a row of them.

    Returns
    -------
    plotly.graph_objects.Figure
        The slices in the table's order, row by row.
    """
    if _empty(table, ["title", "left", "right", "top", "bottom"], "table"):
        return _nothing("CT slices")
    checks.same_length(pixels_hu=pixels_hu, table=table)
    halves = _halved(pixels_hu)
    count, height, width = halves.shape
    columns = columns // 2 if count <= columns // 2 else columns
    above = max(height // 4, 1)  # room for the title
    rows = -(-count // columns)
    shades = np.clip((halves - (centre_hu - width_hu / 2)) / width_hu, 0, 1) * 255
    # not quite white: plotly writes 255 as slashes, each of them escaped to six letters
    sheet = np.full((rows * (height + above), columns * (width + 1)), 250, np.uint8)
    down, along = np.divmod(np.arange(count), columns)
    tops, lefts = down * (height + above) + above, along * (width + 1)
    for top, left, picture in zip(tops, lefts, shades.round().astype(np.uint8), strict=True):
        sheet[top : top + height, left : left + width] = picture
    figure = go.Figure(
        go.Heatmap(z=sheet, colorscale="gray", zmin=0, zmax=255, showscale=False, hoverinfo="skip")
    )
    x = lefts[:, None] - 0.5 + width * table[["left", "right", "right", "left", "left"]].to_numpy()
    y = tops[:, None] - 0.5 + height * table[["top", "top", "bottom", "bottom", "top"]].to_numpy()
    ends = np.full((count, 1), np.nan)  # lifts the pen between two boxes
    figure.add_scatter(
        x=np.hstack([x, ends]).ravel(),
        y=np.hstack([y, ends]).ravel(),
        mode="lines",
        line={"color": ORANGE, "width": 1},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=lefts + width / 2,
        y=tops - above / 2,
        text=[str(title).split("<br>")[0] for title in table["title"]],
        mode="text",
        textfont={"size": 9},
        hoverinfo="skip",
    )
    figure.update_xaxes(visible=False, constrain="domain", range=[-0.5, sheet.shape[1] - 0.5])
    figure.update_yaxes(
        visible=False, scaleanchor="x", constrain="domain", range=[sheet.shape[0] - 0.5, -0.5]
    )
    alt = (
        f"{count} CT slices, the box outlined in each, window {centre_hu:.0f} HU wide "
        f"{width_hu:.0f} HU."
    )
    figure = _finish(figure, alt, height=30 + 880 // columns * rows)
    return figure.update_layout(showlegend=False)


def _halved(pictures: npt.NDArray[np.integer | np.floating]) -> npt.NDArray[np.float32]:
    """Means of 2 x 2 pixels; an odd last row or column is left out."""
    even = pictures[:, : pictures.shape[1] // 2 * 2, : pictures.shape[2] // 2 * 2]
    blocks = even.reshape(len(even), even.shape[1] // 2, 2, even.shape[2] // 2, 2)
    halved: npt.NDArray[np.float32] = blocks.mean(axis=(2, 4), dtype=np.float32)
    return halved


def score_distribution(scores: pd.DataFrame, *, bins: int = 20) -> go.Figure:
    """
    Distribution of each model's scores, patients with and without the event apart.

    Parameters
    ----------
    scores : pandas.DataFrame
        ``model``, ``risk`` and, where they may be told apart, ``event``; one row a patient and
        model. The figure carries counts, not rows.
    bins : int, default 20
        How many bars of equal width from 0 to 1.

    Returns
    -------
    plotly.graph_objects.Figure
        A panel of bars for each model.
    """
    if _empty(scores, ["model", "risk"], "scores"):
        return _nothing("Distribution of scores")
    models = list(scores.groupby("model", sort=False))
    figure = make_subplots(rows=len(models), cols=1, shared_xaxes=True, vertical_spacing=0.06)
    edges = np.arange(bins + 1) / bins
    said = []
    for row, (model, rows) in enumerate(models, start=1):
        risk = checks.probabilities("risk", rows["risk"])
        for which, name, colour in _parts(rows):
            counts, _ = np.histogram(risk[which], edges)
            figure.add_bar(
                x=(edges[:-1] + edges[1:]) / 2,
                y=counts,
                width=1 / bins,
                name=name,
                legendgroup=name,
                marker={"color": colour, "opacity": 0.75},
                showlegend=row == 1,
                row=row,
                col=1,
            )
            if which.any():
                said.append(f"{label(model)}, {name.lower()}: median {np.median(risk[which]):.2f}")
        figure.update_yaxes(title=f"{label(str(model))}<br>patients", row=row, col=1)
    figure.update_layout(barmode="stack")
    figure.update_xaxes(range=[0, 1])
    figure.update_xaxes(title="Score", row=len(models), col=1)
    alt = f"Distribution of scores. {'; '.join(said)}."
    return _finish(figure, alt, height=140 + 170 * len(models))


def bland_altman(points: pd.DataFrame, limits: pd.DataFrame) -> go.Figure:
    """
    Bland-Altman plot: differences between two readers against the mean of the two.

    Parameters
    ----------
    points : pandas.DataFrame
        ``variable``, ``pair``, ``mean``, ``difference``; one row a patient and pair of readers.
    limits : pandas.DataFrame
        Rows of ``limits_of_agreement.csv``.

    Returns
    -------
    plotly.graph_objects.Figure
        A row of panels for each variable, a panel for each pair on the same axes. Dashed lines
        are the bias and the limits of agreement, bands their 95 % intervals.
    """
    title = "Differences between readers"
    needed = ["variable", "pair", "n", *(f"{line}{end}" for line in _LINES for end in _ENDS)]
    nothing = _empty(points, ["variable", "pair", "mean", "difference"], "points")
    if nothing or _empty(limits, needed, "limits") or limits["bias"].isna().all():
        return _nothing(title)
    limits = limits.dropna(subset=["bias"])
    rows = [pairs for _, pairs in limits.groupby("variable", sort=False)]
    columns = max(map(len, rows))
    figure = make_subplots(
        rows=len(rows),
        cols=columns,
        specs=[[{}] * len(pairs) + [None] * (columns - len(pairs)) for pairs in rows],
        subplot_titles=[*map(_pair_title, pd.concat(rows).itertuples())],
        shared_yaxes=True,
        horizontal_spacing=0.11,
    )
    figure.update_annotations(font={"size": 12})
    for down, pairs in enumerate(rows, start=1):
        for across, pair in enumerate(pairs.itertuples(), start=1):
            _pair(figure, points, pair, row=down, col=across)
        name, middle = label(pairs["variable"].iloc[0]), (len(pairs) + 1) // 2
        figure.update_xaxes(title=f"{name},<br>mean of the two", row=down, col=middle)
        figure.update_yaxes(title=f"{name},<br>difference", row=down, col=1)
    said = [
        f"{label(row.variable)}, {_readers(row.pair)}: bias {row.bias:.3g}, "
        f"limits of agreement {row.lower:.3g} to {row.upper:.3g}, {row.n} patients"
        for row in limits.itertuples()
    ]
    alt = f"{title} against the mean of the two. {'; '.join(said)}."
    _finish(figure, alt, height=170 + 300 * len(rows))
    return figure.update_layout(margin={"r": 50}, legend={"y": 1 + 60 / (300 * len(rows))})


_LINES = {"bias": ("Bias", BLUE, "dash"), "lower": ("Limits of agreement", VERMILION, "dot"),
          "upper": ("Limits of agreement", VERMILION, "dot")}  # fmt: skip
_ENDS = ("", "_low", "_high")


def _pair(figure: go.Figure, points: pd.DataFrame, limits: Any, **place: int) -> None:
    """Add a panel of a Bland-Altman plot: the points, and each line with its band and number."""
    ours = points[points["variable"] == limits.variable]
    reach = _around(ours["mean"])
    drawn, first = ours[ours["pair"] == limits.pair], set(place.values()) == {1}
    figure.add_scatter(
        x=drawn["mean"],
        y=drawn["difference"],
        name="A patient",
        mode="markers",
        marker={"color": GREY, "size": 6, "opacity": 0.7},
        showlegend=first,
        **place,
    )
    for line, (name, colour, dash) in _LINES.items():
        at, low, high = (getattr(limits, f"{line}{end}") for end in _ENDS)
        figure.add_scatter(
            x=reach,
            y=[at, at],
            name=name,
            mode="lines",
            line={"color": colour, "dash": dash, "width": 2},
            showlegend=first and line != "upper",
            **place,
        )
        figure.add_hrect(low, high, fillcolor=_tint(colour), line_width=0, **place)
        figure.add_annotation(
            x=reach[1], y=at, text=f"{at:.3g}", xanchor="left", showarrow=False, **place
        )
    figure.update_xaxes(range=reach, **place)


def _around(values: pd.Series) -> list[float]:
    """An axis from a little below to a little above the values."""
    margin = 0.05 * (values.max() - values.min()) or 0.1
    return [float(values.min() - margin), float(values.max() + margin)]


def _pair_title(limits: Any) -> str:
    """Who is compared, and in how many patients."""
    words = _sentence(_readers(limits.pair)).replace(" less", "<br>−")
    return f"{words}<br>n = {limits.n}"


def _readers(pair: str) -> str:
    """A pair such as "r1 - r2" in words."""
    return pair.replace("r", "reader ").replace(" - ", " less ")


def _parts(scores: pd.DataFrame) -> list[tuple[npt.NDArray[np.bool_], str, str]]:
    """The patients whose bars have one colour: all of them where no outcome is given."""
    if "event" not in scores:
        return [(np.ones(len(scores), dtype=bool), "Patients", BLUE)]
    event = checks.outcomes("event", scores["event"])
    return [(~event, "No event", BLUE), (event, "Event", VERMILION)]


def _empty(table: pd.DataFrame, needed: Iterable[str], name: str) -> bool:
    """Whether a table has no rows; one that lacks columns or names patients is refused."""
    checks.columns(table, needed, name=name)
    if "patient_id" in table.columns:
        raise checks.InputError(
            f"{name} names patients, and a figure is stored with its data; "
            "leave the column 'patient_id' out."
        )
    return bool(table.empty)


def _nothing(what: str) -> go.Figure:
    """A figure that says there is nothing to draw: with one class there is no curve, say."""
    figure = go.Figure()
    figure.add_annotation(text="Nothing to draw: the table has no rows.", showarrow=False)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return _finish(figure, f"{what}: nothing to draw, the table has no rows.", height=120)


def _finish(figure: go.Figure, alt: str, height: int) -> go.Figure:
    """The figure in the book's dress, with its words for those who cannot see it."""
    axis = {
        "gridcolor": "#dfe3e8",
        "linecolor": GREY,
        "zeroline": False,
        "automargin": True,
        "ticklabeloverflow": "allow",
    }
    figure.update_layout(
        template={
            "layout": {
                "font": {"family": "system-ui, 'Segoe UI', sans-serif", "size": 13},
                "paper_bgcolor": "rgba(0,0,0,0)",
                "plot_bgcolor": "rgba(0,0,0,0)",
                "xaxis": axis,
                "yaxis": axis,
                "hovermode": "closest",
            }
        },
        height=height,
        margin={"l": 10, "r": 26, "t": 20, "b": 10},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        meta={"alt": alt},
    )
    return figure


def _box(figure: go.Figure, column: int, row: int, title: str, words: str = "") -> None:
    """Add a box to a flow chart: who remains (0), who is left out (1) or comes back (2)."""
    text = "<br>".join([f"<b>{title}</b>", *textwrap.wrap(words, 26)])
    x, y = (1.0, row - 0.5) if column else (0.12, row)
    _framed(figure, x, y, text, (BLUE, VERMILION, GREY)[column])


def _framed(figure: go.Figure, x: float, y: float, text: str, colour: str) -> None:
    """Add text in a frame."""
    figure.add_annotation(
        x=x,
        y=y,
        text=text,
        showarrow=False,
        bordercolor=colour,
        borderpad=5,
        borderwidth=1.5,
        font={"size": 12},
    )


def _arrow(figure: go.Figure, row: int) -> None:
    """Add the arrow from one box of a flow chart to the next."""
    _line_with_head(figure, x=0.12, y=row + 0.78, ax=0.12, ay=row + 0.2)


def _branch(figure: go.Figure, height: float, *, back: bool = False) -> None:
    """Add the arrow towards those who are left out, or from those who come back."""
    start, end = (0.45, 0.12) if back else (0.12, 0.45)
    _line_with_head(figure, x=end, y=height, ax=start, ay=height)


def _line_with_head(figure: go.Figure, **ends: float) -> None:
    figure.add_annotation(
        **ends,
        xref="x",
        yref="y",
        axref="x",
        ayref="y",
        text="",
        arrowhead=2,
        arrowcolor=GREY,
        arrowwidth=1.5,
    )


def _colour(name: Hashable) -> str:
    """The colour that a model or group has on every page."""
    return _COLOURS.get(str(name), _ORDER[sum(map(ord, str(name))) % len(_ORDER)])


def _line(model: Hashable, origin: object = None) -> dict[str, object]:
    """A model's line: told apart by its dashes too, not by colour alone."""
    dash = "dashdot" if origin == "apparent" else _DASHES.get(str(model), "solid")
    return {"color": _colour(model), "dash": dash, "width": 2.5}


def _reference(x: object, y: object, name: str, dash: str = "dot") -> dict[str, object]:
    """A grey line to compare with."""
    return {
        "x": x,
        "y": y,
        "name": name,
        "mode": "lines",
        "line": {"color": GREY, "dash": dash, "width": 1.5},
        "hoverinfo": "skip",
    }


def _groups(figure: go.Figure, model: Hashable, groups: pd.DataFrame) -> None:
    """Add what was observed in groups of risk, as points with their intervals."""
    figure.add_scatter(
        x=groups["risk"],
        y=groups["observed"],
        error_y={
            "array": groups["high"] - groups["observed"],
            "arrayminus": groups["observed"] - groups["low"],
            "symmetric": False,
            "color": _tint(_colour(model)),
            "thickness": 3,
            "width": 0,
        },
        name=f"{label(str(model))}, groups of patients",
        mode="markers",
        marker={"color": _colour(model), "size": 6},
        legendgroup=str(model),
        showlegend=False,
    )


def _band(
    figure: go.Figure,
    name: Hashable,
    colour: str,
    curve: pd.DataFrame,
    x: str,
    shape: str,
    **place: int,
) -> None:
    """Add the interval between ``low`` and ``high`` as a tinted band, where there is one."""
    curve = curve.dropna(subset=["low", "high"])
    for column, fill in (("low", None), ("high", "tonexty")):
        figure.add_scatter(
            x=curve[x],
            y=curve[column],
            mode="lines",
            line={"width": 0, "color": colour, "shape": shape},
            fill=fill,
            fillcolor=_tint(colour),
            legendgroup=str(name),
            showlegend=False,
            hoverinfo="skip",
            **place,
        )


def _tint(colour: str) -> str:
    """The colour, nearly transparent."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.15)"


def _fraction(update: Callable[..., object], title: str) -> None:
    """Name an axis that runs from 0 to 100 %."""
    update(title=title, range=[-0.01, 1.01], tickformat=".0%", dtick=0.2)


def _row_names(table: pd.DataFrame) -> Iterator[str]:
    """What tells each row of a forest plot from the others."""
    telling = [
        column
        for column in ("centre", "subgroup", "model", "comparator", "origin")
        if column in table and (column == "centre" or len(table[column].unique()) > 1)
    ]
    for row in table[telling or ["model"]].itertuples(index=False):
        words = [_row_name(str(value)) for value in row if pd.notna(value) and value != ""]
        yield " · ".join(words) or "All"


def _row_name(value: str) -> str:
    """A centre, model or subgroup as a reader knows it."""
    if ": " in value:
        return subgroup_name(value)
    words = label(value)
    return words.replace("_", " ").title() if words.islower() and "_" in words else _sentence(words)


def _centres(rows: pd.DataFrame) -> Iterable[str]:
    return rows["centre"] if "centre" in rows else [""] * len(rows)


def _symbol(centre: str) -> str:
    """The mark of a centre, of the pooled estimate and of the next centre."""
    return {"pooled": "diamond", "next centre": "line-ns-open"}.get(centre, "square")


def _auc_words(metrics: pd.DataFrame | None, model: Hashable, origin: Hashable) -> str:
    """An AUC with its interval as ``metrics.csv`` has it; nothing where it has none."""
    if metrics is None:
        return ""
    rows = headline_rows(metrics, "auc")
    rows = rows[(rows["model"] == model) & (rows["origin"] == origin)]
    if rows.empty:
        return ""
    few = "too_few_events" in str(rows["note"].iloc[0]) if "note" in rows else False
    return f"AUC {_interval(rows.iloc[0])}" + (", few events" if few else "")


def headline_rows(metrics: pd.DataFrame, metric: str) -> pd.DataFrame:
    """
    Rows of a metric that are about one model and all patients.

    Parameters
    ----------
    metrics : pandas.DataFrame
        Rows of ``metrics.csv``.
    metric : str
        Such as ``auc``.

    Returns
    -------
    pandas.DataFrame
        Those without a comparator and without a subgroup.
    """
    checks.columns(metrics, ["metric", "model", "origin", "estimate", "low", "high"])
    chosen = metrics["metric"] == metric
    for column, nothing in (("comparator", ("", "none")), ("subgroup", ("", "all"))):
        if column in metrics:
            chosen &= metrics[column].fillna("").isin(nothing)
    return metrics[chosen]


def _interval(row: pd.Series) -> str:
    """An estimate with its interval, or that there is none."""
    if pd.isna(row.estimate):
        return "not estimated"
    return f"{row.estimate:.2f} ({row.low:.2f} to {row.high:.2f})"


def _above_both(thresholds: pd.Series, of: int) -> str:
    """Where a model's net benefit is above both defaults, in words."""
    if thresholds.empty:
        return "is nowhere above both intervening in all and in none"
    return (
        f"is above both intervening in all and in none at {len(thresholds)} of {of} thresholds, "
        f"between {thresholds.min():.0%} and {thresholds.max():.0%}"
    )


def _months(months: pd.Series) -> tuple[checks.Floats, list[float]]:
    """The marks of an axis of months, and where it begins and ends."""
    longest = float(months.max())
    ticks = np.arange(0, longest + 1, _tick(longest))
    return ticks, [-0.03 * longest, 1.03 * max(longest, ticks[-1])]


def _panel(figure: go.Figure, table: pd.DataFrame, ticks: checks.Floats, place: int) -> list[str]:
    """Add one grouping's curves with the numbers at risk below; what they show, in words."""
    said, grouping = [], str(table["grouping"].iloc[0])
    above, below = {"row": 2 * place + 1, "col": 1}, {"row": 2 * place + 2, "col": 1}
    legend = f"legend{place + 1 if place else ''}"
    if grouping not in _SAID_IN_FULL:
        figure.update_layout({legend: {"title": {"text": f"{label(grouping)} "}}})
    ordered = table.sort_values("months", kind="stable")
    for nth, group in enumerate(table["group"].unique()):
        curve = ordered[ordered["group"] == group]
        colour = _COLOURS.get(str(group), _ORDER[nth % len(_ORDER)])
        family, short = f"{grouping} {group}", _short(grouping, str(group))
        _band(figure, family, colour, curve, "months", "hv", **above)
        figure.add_scatter(
            x=curve["months"],
            y=curve["survival"],
            name=short,
            mode="lines",
            legend=legend,
            legendgroup=family,
            line={"color": colour, **_STEPS, "dash": _PLACE_DASHES[nth % len(_PLACE_DASHES)]},
            **above,
        )
        figure.add_scatter(
            x=ticks,
            y=[short] * len(ticks),
            text=[_at_risk(curve, month) for month in ticks],
            mode="text",
            textfont={"size": 11},  # ten numbers of three digits fit a telephone
            cliponaxis=False,
            showlegend=False,
            hoverinfo="skip",
            **below,
        )
        year = _after_a_year(curve["months"], curve["survival"])
        said.append(f"{group_name(grouping, str(group))}: {year}")
    return said


def _after_a_year(months: pd.Series, share: pd.Series) -> str:
    """A step curve's height after a year, or where it ends before; its far end is of a few."""
    month = min(12.0, months.max())
    return f"{share[months <= month].iloc[-1]:.0%} at {month:.0f} months"


_SAID_IN_FULL = ("all", "risk")  # groupings whose groups need no name of theirs beside them
_CURVES, _AXIS, _RISK_ROW, _LEGEND = 280, 74, 22, 56  # pixels; the legend is the next panel's


def _stack(figure: go.Figure, groups: Sequence[int]) -> int:
    """The height of the panels, which now lie one below the other."""
    tall = [_CURVES + _AXIS + _RISK_ROW * n for n in groups]
    total = top = sum(tall) + _LEGEND * (len(groups) - 1)
    for place, (height, n) in enumerate(zip(tall, groups, strict=True)):
        above, at_risk = top / total, (top - _CURVES - _AXIS) / total
        below = at_risk - _RISK_ROW * n / total
        figure.update_yaxes(domain=[above - _CURVES / total, above], row=2 * place + 1)
        rows = {"domain": [max(0.0, below), at_risk], "range": [n - 0.5, -0.5]}
        figure.update_yaxes(**rows, row=2 * place + 2)
        at = {"x": 0, "y": at_risk, "xref": "paper", "yref": "paper"}
        at |= {"xanchor": "left", "yanchor": "bottom"}
        figure.add_annotation(text="Patients at risk", showarrow=False, **at)
        if place:
            legend = {"orientation": "h", "x": 0, "y": above, "yanchor": "bottom"}
            figure.update_layout({f"legend{place + 1}": legend})
        top -= height + _LEGEND
    return total + 60  # the first legend, above


def _short(grouping: str, group: str) -> str:
    """A group's name below its grouping's."""
    return group_name(grouping, group) if grouping in _SAID_IN_FULL else group


def _survival_words(outcome: str, estimate: str = "survival") -> str:
    """What the vertical axis of a survival figure shows."""
    checks.one_of("estimate", estimate, ("survival", "incidence"))
    if estimate == "incidence":
        return f"Cumulative incidence of<br>{label(outcome).lower()}"
    return "Alive" if outcome == "death" else f"Free of {label(outcome).lower()}"


def _tick(months: float) -> int:
    """The distance between marks: at most about ten marks, in whole quarters."""
    return next((step for step in (3, 6, 12, 24) if months / step <= 10), 36)


def _at_risk(curve: pd.DataFrame, month: float) -> str:
    """How many were still followed just before a month."""
    later = curve[curve["months"] >= month]
    return f"{later['at_risk'].iloc[0]:.0f}" if len(later) else "0"


def _inner_auc_words(inner_auc: pd.Series) -> str:
    """What the inner split showed at the end."""
    known = inner_auc.dropna()
    if known.empty:
        return "No AUC on the inner split."
    return f"AUC on the inner split at the end: {known.min():.2f} to {known.max():.2f}."


_RISKS = np.array([0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99])


def _risk_marks(low: float, high: float) -> npt.NDArray[np.float64]:
    """Round risks within a range; whole percentages where it is too narrow for the usual ones."""
    for marks in (_RISKS, np.arange(1, 100) / 100):
        within = marks[(marks >= low) & (marks <= high)]
        if len(within) > 2:
            break
    return within[:: -(-len(within) // len(_RISKS)) or 1]


def _mark(value: object) -> str:
    """A mark of a ruler in as few signs as it needs."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, int | float | np.number) else _words(str(value))


def _words(name: Hashable) -> str:
    """A code name as words."""
    return MODELS.get(str(name), str(name).replace("_", " "))


def _sentence(name: Hashable) -> str:
    """Words with a capital."""
    words = _words(name)
    return words[:1].upper() + words[1:]


def attribution_maps(
    pixels_hu: npt.NDArray[np.integer | np.floating],
    table: pd.DataFrame,
    maps: Mapping[str, npt.NDArray[np.floating]],
    checked: pd.DataFrame,
) -> go.Figure:
    """
    Slices with what is attributed to their pixels, for the internal edition alone.

    Parameters
    ----------
    pixels_hu : numpy.ndarray, shape (n_slices, height, width)
        Intensities in Hounsfield units.
    table : pandas.DataFrame
        One row a slice, as `contact_sheet` takes it.
    maps : mapping of str to numpy.ndarray, shape (n_slices, height, width)
        By method: above 0 where a pixel raises the score.
    checked : pandas.DataFrame
        ``method``, ``check``, ``passes``: a method that fails one has it written above its maps.

    Returns
    -------
    plotly.graph_objects.Figure
        A row a slice: the slice alone, then with each method's map laid over it. Each map has its
        own scale, up to the 99th percentile of its pixels.
    """
    if _empty(table, ["title", "left", "right", "top", "bottom"], "table"):
        return _nothing("Attribution maps")
    verdicts = {method: _verdict(checked, method) for method in maps}
    columns = 1 + len(maps)
    tiles = table.loc[table.index.repeat(columns)].reset_index(drop=True)
    names = [
        f"{ATTRIBUTIONS.get(name, name)}{' <b>fails</b>' * bool(v)}" for name, v in verdicts.items()
    ]
    tiles["title"] = [
        words for title in table["title"] for words in (str(title).split("<br>")[0], *names)
    ]
    figure = contact_sheet(np.repeat(pixels_hu, columns, axis=0), tiles, columns=columns)
    figure.add_heatmap(
        z=_laid_over(list(maps.values()), figure.data[0].z.shape),
        colorscale=_RAISES_AND_LOWERS,
        zmin=-1,
        zmax=1,
        showscale=False,
        hoverinfo="skip",
    )
    said = [
        f"{ATTRIBUTIONS.get(name, name)} {'fails ' + ', '.join(v) if v else 'passes every check'}"
        for name, v in verdicts.items()
    ]
    figure.layout.meta = {
        "alt": f"{len(table)} CT slices with attribution maps beside them; red raises the score, "
        f"blue lowers it. {'. '.join(said)}."
    }
    return figure


def attribution_checks(curves: pd.DataFrame) -> go.Figure:
    """
    Two checks of attribution maps: with random weights, and with pixels deleted.

    Parameters
    ----------
    curves : pandas.DataFrame
        ``method``, ``check``, ``step``, ``estimate``, ``reference``.

    Returns
    -------
    plotly.graph_objects.Figure
        A panel a check. A method's line is to lie below its reference, which is dotted.
    """
    if _empty(curves, ["method", "check", "step", "estimate", "reference"], "curves"):
        return _nothing("Checks of attribution maps")
    figure = make_subplots(rows=2, cols=1, vertical_spacing=0.16)
    said = []
    for row, (check, (title, axis, words)) in enumerate(_PANELS.items(), start=1):
        panel = curves[curves["check"] == check]
        for place, (method, line) in enumerate(panel.groupby("method", sort=False)):
            name, colour = ATTRIBUTIONS.get(str(method), str(method)), _ORDER[place]
            shared = {"x": line["step"], "legendgroup": name, "row": row, "col": 1}
            figure.add_scatter(
                y=line["estimate"],
                name=name,
                mode="lines+markers",
                marker={"size": 5},
                line={"color": colour, "width": 2},
                showlegend=row == 1,
                **shared,
            )
            figure.add_scatter(
                y=line["reference"],
                name="Reference, to stay below",
                mode="lines",
                line={"color": colour, "width": 1.5, "dash": "dot"},
                showlegend=row == 1 and place == 0,
                **shared,
            )
            estimate, reference = line["estimate"].iloc[-1], line["reference"].iloc[-1]
            if check == "deletion":
                estimate, reference = line["estimate"].mean(), line["reference"].mean()
            said.append(f"{name}, {words}: {estimate:.2f}, reference {reference:.2f}")
        figure.update_yaxes(title=title, row=row, col=1)
        figure.update_xaxes(title=axis, row=row, col=1)
    figure.update_xaxes(tickformat="d", row=1, col=1)
    figure.update_xaxes(tickformat=".0%", row=2, col=1)
    alt = (
        f"Checks of attribution maps; one that passes lies below its reference. {'. '.join(said)}."
    )
    return _finish(figure, alt, height=600)


_PANELS = {
    "randomisation": (
        "Similarity to the map<br>of the trained network",
        "Layers with random weights, from the dense layer down",
        "similarity with all layers random",
    ),
    "deletion": (
        "Score",
        "Share of the slice deleted, the highest-attributed first",
        "mean score as pixels are deleted",
    ),
}
# transparent where nothing is attributed: the slice is seen through
_RAISES_AND_LOWERS = [
    [0, "rgba(0,114,178,0.9)"],
    [0.5, "rgba(128,128,128,0)"],
    [1, "rgba(213,94,0,0.9)"],
]


def _verdict(checked: pd.DataFrame, method: str) -> list[str]:
    """The checks that a method fails, in words."""
    failed = checked[(checked["method"] == method) & ~checked["passes"].fillna(True).astype(bool)]
    return [ATTRIBUTION_CHECKS.get(check, check).lower() for check in failed["check"]]


def _laid_over(
    maps: Sequence[npt.NDArray[np.floating]], shape: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """The maps in their places on a contact sheet, each row's first place left for the slice."""
    halves = np.stack([_halved(found) for found in maps], axis=1)
    slices, methods, height, width = halves.shape
    most = np.percentile(np.abs(halves), 99, axis=(2, 3), keepdims=True)
    scaled = np.clip(halves / np.where(most > 0, most, 1), -1, 1)
    above, beside = shape[0] // slices - height, shape[1] // (methods + 1) - width
    room = ((0, 0), (1, 0), (above, 0), (0, beside))
    tiles = np.pad(scaled, room, constant_values=np.nan)
    sheet: npt.NDArray[np.float32] = tiles.transpose(0, 2, 1, 3).reshape(shape).astype(np.float32)
    return sheet
