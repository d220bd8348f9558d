"""pgcellar_kernel.slots: output that is replaced in its place."""

from __future__ import annotations

from typing import Any

from pgcellar_kernel import slots


class Page:
    """What a front end shows of the messages."""

    def __init__(self) -> None:
        self.shown: dict[str, dict[str, Any]] = {}
        self.kinds: list[str] = []

    def send(self, kind: str, content: dict[str, Any]) -> None:
        """Take a message."""
        self.kinds.append(kind)
        identity = content["transient"]["display_id"]
        assert (identity in self.shown) == (kind == "update_display_data")
        self.shown[identity] = content["data"]

    @property
    def texts(self) -> list[str]:
        """What is shown, as text."""
        return [data["text/plain"] for data in self.shown.values()]


def display(text: str) -> dict[str, Any]:
    return {"data": {"text/plain": text}, "metadata": {}, "transient": {}}


def run(filled: slots.Slots, *texts: str) -> None:
    """A run that shows these."""
    filled.begin()
    for text in texts:
        filled("display_data", display(text))
    filled.end()


def test_a_run_takes_the_places_of_the_one_before() -> None:
    page = Page()
    filled = slots.Slots(page.send)
    for texts in (["a", "b"], ["c"], ["d", "e", "f"], []):
        run(filled, *texts)
        assert [text for text in page.texts if text] == texts
    assert page.kinds.count("display_data") == 3


def test_what_is_waited_with_is_replaced() -> None:
    page = Page()
    filled = slots.Slots(page.send)
    filled("display_data", display("Waiting …"))
    filled("clear_output", {"wait": True})
    filled("display_data", display("a"))
    filled.end()
    assert page.texts == ["a"]
    filled.begin()
    filled("display_data", display("Waiting …"))
    filled("clear_output", {"wait": False})
    filled.end()
    assert page.texts == [""]


def test_texts_and_errors_are_displays_of_their_kind() -> None:
    page = Page()
    filled = slots.Slots(page.send)
    filled("stream", {"name": "stdout", "text": "NOTICE\n"})
    filled("error", {"ename": "22012", "evalue": "zero", "traceback": ["ERROR", "LINE 1"]})
    notice, error = page.shown.values()
    assert notice == {"application/vnd.jupyter.stdout": "NOTICE\n", "text/plain": "NOTICE\n"}
    assert error["application/vnd.jupyter.stderr"] == "ERROR\nLINE 1"
