"""`frami bench`: methods and recipes compared at equal budgets, and what they cost.

collect    rows that are wanted, and those that are there -> bench.csv, bench.md and pictures
suites     what is compared: methods (and `recipe_suites`: recipes), as pieces
piece      what a row is of
measure    teachers, stores and students of a row, each made once; what they score
page       rows -> bench.md, prose included, with what was tried and not kept (tried.md); and `pictures`
speed      costs as ratios (with `speed_store` and `timing`)
"""
