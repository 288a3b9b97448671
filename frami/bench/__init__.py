"""Benchmarks (`frami bench`): methods and recipes compared at equal budgets, and their costs.

suites         what is compared, by name; with `release_suite`, `curves_suite`, `recipe_suites`
tasks          the data sets and students of the suites that compare methods
sources        what students are trained on there: controls, FRAMI, its rivals
experiment     what one row of a table depends on
artifacts      the teachers, stores and students that a row needs; each is made once
measure        the numbers of a row
closeness      agreement and divergence of student and teacher
runner         measures missing rows and writes bench.csv, bench.md and the plots
report         bench.csv -> bench.md (with `rows`, `comparison`, `result_tables`), and `plots`
speed          costs as ratios (with `speed_methods`, `speed_store` and `timing`) -> speed.md
"""
