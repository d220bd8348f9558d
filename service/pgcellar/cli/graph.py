"""`pgcellar plan --graph`: which cells depend on which, by their texts alone, without a service."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from pgcellar.cli import notebooks
from pgcellar.notebook.lineage import graphs, showing


def graph(arguments: Any) -> int:
    """Print the graph of the cells, or of those up to the head."""
    notebook = notebooks.read(pathlib.Path(arguments.notebook))
    head = len(notebook.cells) if arguments.head is None else notebook.head(arguments.head) + 1
    names = [cell.id for cell in notebook.cells[:head]]
    sources = [cell.source for cell in notebook.cells[:head]]
    found = graphs.labelled(graphs.graph(sources), sources)
    if arguments.json:
        print(json.dumps({"graph": showing.as_json(found, names)}))
    elif not names:
        print("The notebook has no SQL cells.")
    else:
        show = showing.as_mermaid if arguments.graph == "mermaid" else showing.as_text
        print(show(found, names), end="")
    return 0
