"""The command that leaves frami: `export`."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click

from frami.cli import options, output, runs, types
from frami.cli.help import Command
from frami.cli.options import RuntimeArguments


class ExportArguments(RuntimeArguments):
    """What `export` passes on to `frami.export_student`."""

    samples: str | None
    int8: bool
    max_drop: float | None
    max_kb: float | None
    dataset: str | None
    data: str | None
    test_fold: str | None
    teacher: str | None
    target: str
    strict: bool


@click.command(
    cls=Command,
    examples={
        "Write an ONNX file and an INT8 file, calibrated on synthetic clips.": "frami export "
        "student --samples samples.h5 --int8 --out ship",
        "Refuse a file that loses more than one point of accuracy.": "frami export student "
        "--samples samples.h5 --int8 --max-drop 0.01 --dataset fsdd --data DIR --test-fold takes "
        "--teacher digits --out ship",
    },
)
@click.argument("student", type=types.MODEL)
@options.trust_option
@options.option(
    "--samples",
    section="Input",
    type=types.FOLDER,
    metavar="FILE",
    help="The store that the student was distilled from. It calibrates INT8, and files are "
    "compared on its held-out clips.",
)
@options.option(
    "--teacher",
    section="Input",
    type=types.MODEL,
    metavar="MODEL",
    help="The student's teacher, to measure its cost beside the student's.",
)
@options.recording_options(required=False)
@options.option(
    "--int8",
    section="Method",
    is_flag=True,
    help="Also write a file in 8-bit integers; needs --samples.",
)
@options.option(
    "--max-drop",
    section="Method",
    type=float,
    metavar="SHARE",
    help="Fail if a file loses more than this, e.g. 0.01: of the score on recordings if they are "
    "given, else of the agreement with the teacher on synthetic clips.",
)
@options.option(
    "--max-kb",
    section="Method",
    type=float,
    metavar="KILOBYTES",
    help="Fail if the model file is larger, in units of 1,000 bytes: with --int8 the INT8 file, "
    "else the float file.",
)
@options.option(
    "--target",
    section="Method",
    type=types.Name(lambda: types.TARGETS),
    default="onnx",
    help="onnx, or executorch for a further file for ExecuTorch.",
)
@options.required_option(
    "--out",
    section="Output",
    type=types.FOLDER,
    metavar="FOLDER",
    help="Folder to write everything to.",
)
@options.runtime_options
def export(student: str, out: str, **arguments: Unpack[ExportArguments]) -> None:
    """Write a student for a device, as ONNX files.

    STUDENT is the folder of a bundle, or digits, which ships with frami. The folder also gets the
    front end, golden vectors, an example that runs and a model card. Every file is compared with
    the student. INT8 is calibrated on synthetic clips, without recordings. If the export fails,
    nothing is written. 'frami predict FOLDER' answers sounds with the files.
    """
    output.import_torch("export")
    from frami.core.progress import show_progress
    from frami.export.export import STAGES, export_student

    runs.check_recordings(arguments["dataset"], arguments["data"])
    with show_progress("export", STAGES) as report:
        exported = export_student(student, out, report=report, **arguments)
    for line in exported.lines():
        output.echo(line)
    output.show(f"All files are in {out}; try: python {Path(out) / 'example.py'} SOUND.wav")
    output.echo_next("predict", out, "SOUND.wav")
