"""Retraining as a durable job: a worker that trains, exports, judges and activates.

    workflow   the worker, which runs jobs as workflows of DBOS
    client     submits, lists and cancels them; no other module uses DBOS
    steps      what a job does: each step may run twice
    programs   training and export as processes of their own
    settings   from the environment

The worker shares with the service a database, the model store and the names in contract/jobs.py. It
imports neither training nor export: it starts them as a person would at a terminal.
"""
