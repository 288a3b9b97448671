"""The commands. Each imports what is heavy when it runs, so that `frami --help` is there at once."""

from frami.commands.main_job import distill, evaluate, inspect, synthesize, train
from frami.commands.recordings import data, soundscapes
from frami.commands.trials import bench, demo

COMMANDS = (train, synthesize, distill, evaluate, inspect, data, soundscapes, bench, demo)
