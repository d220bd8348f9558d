"""`pgcellar plan --graph`: which cells depend on which, by their texts alone, without a service."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from pgcellar.api import records
from pgcellar.cli import notebooks
from pgcellar.notebook.lineage import graphs, showing
from pgcellar.runner import bases, files


def graph(arguments: Any) -> int:
    """Print the graph of the cells, or of those up to the head."""
    notebook = notebooks.read(pathlib.Path(arguments.notebook))
    notebook = notebooks.given(notebook, dict(arguments.parameters))
    head = len(notebook.cells) if arguments.head is None else notebook.head(arguments.head) + 1
    names = [cell.id for cell in notebook.cells[:head]]
    base, sources = _expanded(notebook, head)
    found = graphs.labelled(graphs.graph(sources, base), sources, base)
    if arguments.json:
        print(json.dumps({"graph": showing.as_json(found, names)}))
    elif not names:
        print("The notebook has no SQL cells.")
    else:
        show = showing.as_mermaid if arguments.graph == "mermaid" else showing.as_text
        print(show(found, names), end="")
    return 0


def _expanded(notebook: notebooks.NotebookFile, head: int) -> tuple[list[str], list[str]]:
    """The texts of the cells of the notebook that this one starts from, and of its own."""
    request = records.RunRequest(
        notebook=str(notebook.path.resolve()),
        cells=notebook.cells[:head],
        head=head - 1,
        directory=str(notebook.path.resolve().parent),
    )
    expanded = bases.Bases(files.Files()).expand(request).request
    texts = [cell.source for cell in expanded.cells]
    return texts[: len(texts) - head], texts[len(texts) - head :]
