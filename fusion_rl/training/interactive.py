"""Charts as one page to zoom and point at."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from fusion_rl.training.charts import Chart, Series
from fusion_rl.training.plots import ACCENT, INK, QUIET, describe

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def page(charts: Sequence[Chart], title: str) -> str:
    """All charts as one HTML page, which needs nothing but itself.

    Args:
        charts: what to show, in this order.
        title: of the page.
    """
    parts = [
        interactive(chart).to_html(full_html=False, include_plotlyjs=number == 0, default_height="30rem")
        for number, chart in enumerate(charts)
    ]
    body = "\n".join(parts)
    head = f'<meta charset="utf-8"><title>{escape(title)}</title>'
    return f"<!doctype html><html><head>{head}</head><body><h1>{escape(title)}</h1>\n{body}\n</body></html>"


def interactive(chart: Chart) -> "Figure":
    """One chart in plotly, with the same curves that its picture has."""
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=1, cols=len(chart.panels), horizontal_spacing=0.08)
    for column, panel in enumerate(chart.panels, start=1):
        for series in panel.series:
            figure.add_scatter(row=1, col=column, **_scatter(series))
        figure.update_xaxes(title_text=chart.x_label, row=1, col=column)
        figure.update_yaxes(title_text=panel.label, row=1, col=column)
    said = describe(chart.conditions).replace("\n", "<br>")
    title = {"text": f"<b>{chart.title}</b><br><sup>{said}</sup>", "font": {"color": INK}}
    figure.update_layout(title=title, template="plotly_white", hovermode="x unified")
    return figure


def _scatter(series: Series) -> dict[str, Any]:
    shown: dict[str, Any] = {"x": list(series.x), "y": list(series.y), "name": series.name, "mode": "lines+markers"}
    if series.half is not None:
        shown["error_y"] = {"type": "data", "array": list(series.half)}
    if series.is_raw or series.is_level:
        dash = "dash" if series.is_level else "solid"
        return shown | {"mode": "lines", "line": {"color": QUIET, "dash": dash, "width": 1}}
    if series.is_published:
        return shown | {"mode": "markers", "marker": {"symbol": "circle-open", "size": 9}}
    return shown | ({"line": {"color": ACCENT, "width": 3}} if series.is_accent else {})
