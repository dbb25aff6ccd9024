"""Reconciliation that runs by itself: the jobs of ``catalogsync.yaml``, once or on a schedule.

project    the file: accounts, jobs, alerts, metrics
sources    where a job's sheet comes from
running    one turn of a job: source → plan → what the mode says → outcome
state      what is remembered between turns
alerts     what is told to people: when an event begins, and when it is over
metrics    figures for Prometheus
logs       the log as JSON
secrets    what none of these may hold
"""
