"""What serving each model takes: alone, at once, and by the number of requests under way."""

from collections.abc import Callable, Mapping, Sequence

from tasks.renderers.charts.lines import Line, draw_lines
from tasks.renderers.charts.scales import Written
from tasks.renderers.formats import UNKNOWN, count, joules, latency, rate, size
from tasks.renderers.schema import ModelName, Report
from tasks.renderers.tables import Cell, Column, Figure, Table, known, measured, present, text_columns
from tasks.teachers.serving import Load, Quantiles, Serving


def serving_table(report: Report) -> Table:
    """Return the figures of each model; what is known of none is left out."""
    models = present(report.serving)
    serving = [report.serving[model] for model in models]
    wanted: list[tuple[str, str, Callable[[Serving], float | None], Written]] = [
        ("items answered", "all at once", lambda each: each.items_per_second, rate),
        ("output tokens", "all at once", lambda each: each.tokens_per_second, rate),
        ("memory to serve", _load_of_memory(serving), lambda each: each.memory and each.memory.total_bytes, size),
        ("weights", "", lambda each: each.memory and each.memory.weight_bytes, size),
        ("a token's keys and values", "", lambda each: each.memory and each.memory.kv_bytes_per_token, size),
        ("peak memory", "of the engine's processes, measured", lambda each: each.peak_memory_bytes, size),
        ("energy of an item", "", lambda each: each.energy_joules_per_item, joules),
    ]
    rows = [[Cell("model"), *(Cell(report.names[model]) for model in models)]]
    rows.append([Cell("latency", "median of one request alone"), *(measured(each.latency_seconds, latency) for each in serving)])
    rows += [[Cell(name, note), *(known(figure(each), form) for each in serving)] for name, note, figure, form in wanted]
    rows.append([Cell("number format"), *(Cell(each.dtype or UNKNOWN) for each in serving)])
    kept = [row for row in rows if any(cell.text != UNKNOWN for cell in row[1:])]
    return Table("Serving figures", [*text_columns("figure"), *(Column(model) for model in models)], kept)


def loads_table(report: Report) -> Table:
    """Return the figures by the number of requests under way, model by model."""
    columns = [
        *text_columns("model"),
        Column("under way"),
        Column("first token"),
        Column("token after token"),
        Column("whole answer"),
        Column("requests"),
        Column("output tokens"),
    ]
    rows = [
        [
            Cell(model),
            Cell(count(load.concurrency)),
            _cell(load.first_token_seconds),
            _cell(load.per_token_seconds),
            _cell(load.latency_seconds),
            Cell(rate(load.requests_per_second)),
            Cell(rate(load.output_tokens_per_second)),
        ]
        for model in present(report.serving)
        for load in report.serving[model].loads
    ]
    return Table("Serving by the number of requests under way", columns, rows)


def load_figures(report: Report) -> list[Figure]:
    """Return throughput and waiting times by the number of requests under way; nothing if no model was put under load."""
    loads: dict[ModelName, list[Load]] = {
        model: report.serving[model].loads for model in present(report.serving) if report.serving[model].loads
    }
    ticks = sorted({load.concurrency for each in loads.values() for load in each})
    if len(ticks) < 2:
        return []

    def figure(title: str, reading: str, y_name: str, value: Callable[[Load], Quantiles | float | None]) -> Figure:
        found: dict[ModelName, dict[int, Quantiles | float | None]] = {
            model: {load.concurrency: value(load) for load in each} for model, each in loads.items()
        }
        is_waiting = y_name == "seconds"
        plot = draw_lines(
            title,
            [_line(model, by_load) for model, by_load in found.items()],
            x_name="requests under way",
            y_name=y_name,
            written=_brief if is_waiting else count,
            x_ticks=ticks,
            is_logarithmic=is_waiting,
        )
        rows = [[Cell(count(at)), *(_cell(by_load.get(at)) for by_load in found.values())] for at in ticks]
        return Figure(title, reading, plot, Table(title, [Column("under way"), *(Column(model) for model in found)], rows))

    waiting = "Half of the requests wait less than the line, 95 % less than the band's upper edge. The scale is logarithmic."
    figures = [
        figure("Throughput by load", "Higher is better.", "output tokens per second", lambda load: load.output_tokens_per_second),
        figure("Waiting for the whole answer", waiting, "seconds", lambda load: load.latency_seconds),
    ]
    if any(load.first_token_seconds for each in loads.values() for load in each):
        figures.append(figure("Waiting for the first token", waiting, "seconds", lambda load: load.first_token_seconds))
    return figures


def _load_of_memory(serving: Sequence[Serving]) -> str:
    """Return what the memory to serve is for; the models are tested with the same settings, so it is the same load."""
    loads = sorted({each.memory.load for each in serving if each.memory is not None})
    return f"weights, keys and values of {' or '.join(loads)}" if loads else ""


def _line(model: ModelName, by_load: Mapping[int, Quantiles | float | None]) -> Line:
    known_loads = [(at, found) for at, found in by_load.items() if found is not None]
    points = [(at, found.p50 if isinstance(found, Quantiles) else found) for at, found in known_loads]
    upper = [found.p95 for _, found in known_loads if isinstance(found, Quantiles)]
    return Line(model, model, points, upper, has_dots=True)


def _cell(found: Quantiles | float | None) -> Cell:
    if found is None:
        return Cell(UNKNOWN)
    return Cell(latency(found.p50), f"p95 {latency(found.p95)}") if isinstance(found, Quantiles) else Cell(rate(found))


def _brief(seconds: float) -> str:
    return f"{seconds:.3g}"
