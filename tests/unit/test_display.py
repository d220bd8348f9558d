"""pgcellar_kernel.display: a run's events as messages, none of them on stderr."""

from __future__ import annotations

from typing import Any

from pgcellar.api import records, rendering
from pgcellar_kernel import display

TOTALS = records.Totals(hits=0, replayed=0, ms=1.0, planning_ms=0.1)
SANDBOX = records.SandboxInfo(
    name="s", status="running", server_version="18.1", copy_on_write=False
)
COLUMNS = records.Columns(statement=0, columns=(records.Column(name="a", type="integer"),))
ROWS = records.Rows(statement=0, rows=(("1",), ("2",)))
SELECTED = records.Completed(statement=0, command="SELECT 2", row_count=2, truncated=False, ms=1.0)
CREATED = records.Completed(
    statement=1, command="CREATE TABLE", row_count=None, truncated=False, ms=1.0
)
NOTICE = records.Notice(statement=0, severity="NOTICE", sqlstate="00000", message="hear, hear")
DONE = records.Done(cells=(), totals=TOTALS, sandbox=SANDBOX)


def shown(*events: records.Event) -> list[tuple[str, dict[str, Any]]]:
    """The messages for a run of these events."""
    sent: list[tuple[str, dict[str, Any]]] = []
    screen = display.Display(lambda kind, content: sent.append((kind, content)))
    for event in events:
        screen.show(event)
    return sent


def progress(message: str, left: int = 0) -> records.Progress:
    return records.Progress(message=message, left=left)


def test_every_result_is_display_data() -> None:
    sent = shown(records.Started(run="1"), COLUMNS, ROWS, SELECTED, CREATED, DONE)
    assert [kind for kind, _ in sent] == ["display_data", "display_data"]
    first, second = (content["data"] for _, content in sent)
    assert first["text/plain"] == " a \n---\n 1\n 2\n(2 rows)"
    assert first[rendering.MIME]["rows"] == [["1"], ["2"]]
    assert "text/html" in first
    assert second["text/plain"] == "CREATE TABLE"
    assert "text/html" not in second


def test_notices_go_to_stdout_at_once() -> None:
    sent = shown(COLUMNS, NOTICE, ROWS, SELECTED)
    assert sent[0] == ("stream", {"name": "stdout", "text": "NOTICE:  hear, hear\n"})
    assert [kind for kind, _ in sent] == ["stream", "display_data"]


def test_progress_is_taken_back() -> None:
    steps = (progress("starts"), progress("replays", 3), progress("replays", 1))
    sent = shown(*steps, COLUMNS, ROWS, SELECTED)
    assert [kind for kind, _ in sent] == [
        *("display_data", "clear_output", "display_data", "clear_output", "display_data"),
        *("clear_output", "display_data"),
    ]
    texts = [content["data"]["text/plain"] for kind, content in sent if kind == "display_data"]
    assert texts[:3] == ["starts", "replays (3 cells left)", "replays"]
    # Cleared when the next output comes, so that the page does not jump.
    assert all(content["wait"] for kind, content in sent if kind == "clear_output")


def test_nothing_is_taken_back_where_nothing_was_shown() -> None:
    assert shown(records.Started(run="1"), DONE) == []
    sent: list[str] = []
    display.Display(lambda kind, _: sent.append(kind)).clear()
    assert sent == []


def test_progress_is_taken_back_at_the_end() -> None:
    sent: list[tuple[str, dict[str, Any]]] = []
    screen = display.Display(lambda kind, content: sent.append((kind, content)))
    for event in (progress("replays"), DONE):
        screen.show(event)
    screen.clear()
    screen.clear()
    assert [kind for kind, _ in sent] == ["display_data", "clear_output"]
    assert sent[-1][1] == {"wait": False}


def test_progress_never_takes_back_what_was_shown() -> None:
    sent = shown(NOTICE, progress("replays"), COLUMNS, ROWS, SELECTED)
    assert [kind for kind, _ in sent] == ["stream", "display_data"]


def advance(done: int | None = None, total: int | None = None) -> records.Progress:
    return records.Progress(message="COPY: <b>", what="COPY", done=done, total=total)


def test_a_bar_shows_how_far_a_statement_is() -> None:
    ((_, content),) = shown(advance(1, 3))
    assert content["data"]["text/plain"] == "COPY: <b> 33 %"
    bar = content["data"]["text/html"]
    assert bar.startswith('<progress max="3" value="1" aria-label="COPY: &lt;b&gt;"')
    assert "<b>" not in bar
    ((_, content),) = shown(advance())
    assert "progress" not in content["data"]["text/html"]


def test_what_stands_above_a_bar_is_kept() -> None:
    sent = shown(NOTICE, advance(1, 3), advance(2, 3), COLUMNS, ROWS, SELECTED)
    visible: list[str] = []
    for kind, content in sent:
        if kind == "clear_output":
            assert content["wait"]
            visible.clear()
        else:
            visible.append(content.get("text") or content["data"]["text/plain"])
    assert len(visible) == 2
    assert visible[0] == "NOTICE:  hear, hear\n"
    assert visible[1].startswith(" a ")


def test_nothing_long_is_shown_again_for_a_bar() -> None:
    long = records.Text(statement=0, text="x" * 200_000)
    assert [kind for kind, _ in shown(long, advance(1, 3))] == ["stream"]


CELLS = (
    records.Cell(id="a", source="\n  \n  insert into nowhere\nvalues (1)"),
    records.Cell(id="b", source="select nothing"),
)


def error(cell: str | None, position: int | None = None) -> records.SqlError:
    return records.SqlError(
        sqlstate="42703", message="there is none", position=position, cell=cell, hint="look"
    )


def test_an_error_of_the_head() -> None:
    assert display.error_content(error("b", 8), CELLS, 1) == {
        "ename": "42703",
        "evalue": "there is none",
        "traceback": [
            "ERROR:  42703: there is none",
            "LINE 1: select nothing",
            "               ^",
            "HINT:  look",
        ],
    }


def test_an_error_of_a_tail_cell_names_it() -> None:
    content = display.error_content(error("a", 19), CELLS, 1)
    assert content["traceback"] == [
        "Cell 1 above failed, so this cell did not run. It begins: insert into nowhere",
        "ERROR:  42703: there is none",
        "LINE 3:   insert into nowhere",
        "                      ^",
        "HINT:  look",
    ]


def test_an_error_of_no_cell() -> None:
    content = display.error_content(error(None), CELLS, 1)
    assert content["traceback"] == ["ERROR:  42703: there is none", "HINT:  look"]


def test_an_error_of_an_empty_tail_cell() -> None:
    cells = (records.Cell(id="a", source=" \n"), CELLS[1])
    assert display.error_content(error("a"), cells, 1)["traceback"][0].startswith("Cell 1 above")
