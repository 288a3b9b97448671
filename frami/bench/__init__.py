"""Benchmarks (`frami bench`): methods and recipes compared at equal budgets, and their costs.

suites         what is compared: methods (recipes are in `recipe_suites`)
experiment     what one row of a table depends on
artifacts      the teachers, stores and students that a row needs; each is made once
measure        the numbers of a row
runner         measures missing rows and writes bench.csv, bench.md and the plots
report         bench.csv -> bench.md (with `rows` and `result_tables`), and `plots`
speed          costs as ratios (with `speed_methods`, `speed_store` and `timing`) -> speed.md
"""
