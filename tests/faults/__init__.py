"""Faults of every kind, in every long command: does it go on to the result of an undisturbed run?

python -m tests.faults --folder faults      goes on where it stopped

jobs      the commands, with tiny sizes
inputs    what the commands read: a teacher, a store, recordings, a server
children  starts a command in a forked process, interrupts it, and waits for it
digests   what a command left behind, as digests to compare
disks     small disks that become full or read-only
trials    the faults: each disturbs a job, lets it finish, and says what was lost
results   the file of results, and the tables
"""
