"""What commands do around the library's work: check recordings, count steps, describe a run."""

from __future__ import annotations

from pathlib import Path

from frami.cli import output
from frami.core.text import count

MANY_FILES = 200


def check_recordings(dataset: str | None, data: str | None) -> None:
    """Check the files of the user's own folder and show the progress, if there are many.

    The library checks them as well, but it does not read a file twice.
    """
    from frami.core.progress import show_progress
    from frami.data.contents import check_files
    from frami.data.recordings import load_dataset
    from frami.data.splits import find_data_folder
    from frami.data.user_folds import read_user_clips

    if dataset is None or not load_dataset(dataset).ANY_FOLDER:
        return
    folder = find_data_folder(dataset, data)
    names = [clip.name for clip in read_user_clips(folder).clips]
    if len(names) >= MANY_FILES:
        with show_progress("checking recordings", len(names)) as report:
            check_files(folder, names, report)


def planned_steps(out: str, steps: int, more_steps: int) -> int:
    """Return the number of steps of a run, or of its extension; 0 if it is finished."""
    from frami.core.extension import current_steps, is_done
    from frami.core.run import read_record

    record = read_record(out) if (Path(out) / "run.json").is_file() else {"status": ""}
    if record["status"] == "finished":
        return 0 if is_done(record, more_steps) else more_steps
    return current_steps(record, steps)[1]


def echo_run(out: str, planned: int) -> None:
    """Print what is missing of the recordings, and whether the run was finished before."""
    from frami.core.run import read_record

    record = read_record(out)
    if missing := record.get("missing"):
        output.echo(missing)
    extensions = [one["steps"] for one in record.get("extensions", [])]
    if not planned:
        steps = sum([record["settings"]["options"]["steps"], *extensions])
        way_on = "Add --more-steps to train on."
        if extensions:
            way_on = f"To train on, pass --more-steps with another number than {extensions[-1]}."
        output.show(
            f"The run in {out} was finished before, after {count(steps, 'step')}; nothing was "
            f"trained. {way_on}"
        )
