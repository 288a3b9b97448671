"""Every notebook runs from top to bottom, and is stored without output."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.ipynb"))
TIMEOUT = 600  # s a cell


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> nbformat.NotebookNode:
    contents: nbformat.NotebookNode = nbformat.read(  # type: ignore[no-untyped-call]
        request.param, as_version=nbformat.NO_CONVERT
    )
    return contents


def test_notebooks_folder_has_the_four_notebooks() -> None:
    names = {"own_classifier", "spectrograms", "what_does_it_sound_like", "workflow"}
    assert {path.stem for path in NOTEBOOKS} >= names


def test_notebook_is_valid_and_has_no_output(notebook: nbformat.NotebookNode) -> None:
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code and not any(cell.outputs or cell.execution_count for cell in code)


def test_notebook_first_cell_has_question_cost_and_seed(notebook: nbformat.NotebookNode) -> None:
    first = notebook.cells[0]
    assert first.cell_type == "markdown"
    assert "?" in first.source.splitlines()[0]
    assert "**Cost:**" in first.source and "**Seed:**" in first.source


# Deprecation warnings of the kernel's own packages do not concern the notebooks.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_notebook_runs_and_draws(
    notebook: nbformat.NotebookNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FRAMI_DATASET", "FRAMI_DATA"):
        monkeypatch.delenv(name, raising=False)
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=TIMEOUT, kernel_name="python3", resources=resources).execute()
    outputs = [
        output for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output
    ]
    assert any("image/png" in output.data for output in outputs)
