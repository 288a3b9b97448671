"""Fuzzing of every reader: damaged copies of our own files, each read in a bounded process.

python -m tests.fuzz --inputs 1000000 --state fuzz.json      goes on where it stopped
python -m tests.fuzz --kind store --input 1234               repeats one input in this process

kinds     what is read: our own sample files, and the function of frami that reads each
mutate    changes of a sample, drawn from the kind and the number of the input
worker    the process that reads inputs, with a limit of memory
pool      starts workers, kills one that takes too long, counts the outcomes
"""
