"""The widgets of a cell's parameters; imported for the first ones, since ipywidgets is slow to."""

from __future__ import annotations

import contextlib
import datetime
import decimal
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ipywidgets

from pgcellar.notebook import parameters

#: What a parameter may be set to: values, and what is shown for each.
Options = tuple[tuple[str, str], ...]
#: Takes the name of a parameter whose widget was moved, and its value.
Moved = Callable[[str, str], None]

#: Characters of the longest name that has room beside its widget.
_LONGEST_NAME = 30


class Controls:
    """One widget for each parameter."""

    def __init__(
        self,
        declared: tuple[parameters.Parameter, ...],
        options: Mapping[str, Options],
        moved: Moved,
    ) -> None:
        self._moved = moved
        self._quiet = False
        longest = min(_LONGEST_NAME, max(len(each.name) for each in declared))
        style = {"description_width": f"{longest + 1}ch"}
        self._widgets = {
            each.name: _widget(each, options.get(each.name), style) for each in declared
        }
        for each in declared:
            self._follow(each)
        self._box = ipywidgets.VBox(list(self._widgets.values()))

    @property
    def view(self) -> dict[str, Any]:
        """What shows them where widgets are shown."""
        return view(self._box)

    def choose_from(self, parameter: parameters.Parameter, options: Options) -> None:
        """A parameter has other options now; what it is set to stays."""
        widget = self._widgets[parameter.name]
        value = _selected(parameter, widget.value)
        found = _offered(options, value)
        if found != tuple(widget.options):
            with self._quietly():
                widget.options = found
                widget.value = value if parameter.kind == "select-multiple" else value[0]

    def close(self) -> None:
        """Nothing is shown of them any more."""
        close(self._box)

    def _follow(self, parameter: parameters.Parameter) -> None:
        def follow(change: Mapping[str, Any]) -> None:
            value = _text(parameter, change["new"])
            if value is not None and not self._quiet:
                self._moved(parameter.name, value)

        self._widgets[parameter.name].observe(follow, names="value")

    @contextlib.contextmanager
    def _quietly(self) -> Iterator[None]:
        self._quiet = True
        try:
            yield
        finally:
            self._quiet = False


def view(widget: Any) -> dict[str, Any]:
    """What shows a widget, in front ends that can."""
    return {
        "application/vnd.jupyter.widget-view+json": {
            "version_major": 2,
            "version_minor": 0,
            "model_id": widget.model_id,
        }
    }


def close(box: Any) -> None:
    """Close a box with all that is in it."""
    for widget in (*box.children, box):
        widget.layout.close()
        if getattr(widget, "style", None) is not None:
            widget.style.close()
        widget.close()


def _widget(
    parameter: parameters.Parameter, options: Options | None, style: Mapping[str, str]
) -> Any:
    common = {"description": parameter.name, "style": dict(style)}
    value = parameter.value or ""
    match parameter.kind:
        case "slider" | "number":
            return _number(parameter, common)
        case "text":
            return ipywidgets.Text(value=value, continuous_update=False, **common)
        case "checkbox":
            return ipywidgets.Checkbox(value=value == "true", **common)
        case "date":
            return ipywidgets.DatePicker(value=datetime.date.fromisoformat(value), **common)
    offered = options or tuple((choice, choice) for choice in parameter.choices)
    if parameter.kind == "select-multiple":
        chosen = parameters.elements(value)
        return ipywidgets.SelectMultiple(options=_offered(offered, chosen), value=chosen, **common)
    chosen = (offered[0][1] if parameter.value is None else parameter.value,)
    return ipywidgets.Dropdown(options=_offered(offered, chosen), value=chosen[0], **common)


def _number(parameter: parameters.Parameter, common: Mapping[str, Any]) -> Any:
    whole = all(_whole(number) for number in (*parameter.numbers, parameter.value or "0"))
    kind: Any = int if whole else float
    bounds = dict(zip(("min", "max", "step"), map(kind, parameter.numbers), strict=False))
    value = kind(parameter.value)
    if parameter.kind == "slider":
        if not whole and "step" not in bounds:
            bounds["step"] = (bounds["max"] - bounds["min"]) / 100
        made = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
        return made(value=value, **bounds, **common)
    if not bounds:
        return ipywidgets.FloatText(value=float(value), **common)
    made = ipywidgets.BoundedIntText if whole else ipywidgets.BoundedFloatText
    return made(value=value, **bounds, **common)


def _whole(number: str) -> bool:
    return number.lstrip("+-").isdecimal()


def _selected(parameter: parameters.Parameter, value: Any) -> tuple[str, ...]:
    return tuple(value) if parameter.kind == "select-multiple" else (value,)


def _offered(options: Options, chosen: tuple[str, ...]) -> Options:
    """The options, and what is chosen though it is none of them."""
    known = {value for _, value in options}
    return (*options, *((value, value) for value in chosen if value not in known))


def _text(parameter: parameters.Parameter, value: Any) -> str | None:
    """A widget's value as its variable has it; None for one that says nothing."""
    match parameter.kind:
        case "checkbox":
            return "true" if value else "false"
        case "date":
            return None if value is None else str(value.isoformat())
        case "slider" | "number":
            return str(value) if isinstance(value, int) else f"{decimal.Decimal(f'{value:.15g}'):f}"
        case "select-multiple":
            return parameters.array(tuple(value))
    return str(value)
