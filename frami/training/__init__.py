"""Training and distillation: one loop, driven by recipes of weighted losses.

supervised   recordings -> a teacher, or a reference student (`frami.train`)
distill      teachers and clips -> a student (`frami.distill`)
plan         the checked arguments of a distillation
teachers     the teachers of a distillation
sources      the clips to distill from: a store, or recordings
recipes      published methods as named loss weights
losses       the losses of a student
loop         the training loop
trainer      a student in training: its steps and its state
student      projections and moving average of the student during training
ensemble     several teachers as one
augment      augmentation of clips and their targets
"""
