"""Scores as plain functions of predictions and references, computed in memory; nothing is written or fetched.

scores.py has GLUE's metrics, squad.py SQuAD's. The same metrics as `evaluate` modules are in modules/.
"""
