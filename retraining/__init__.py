"""Retraining as a durable job: a worker that trains, exports, judges and activates.

    workflow   the worker, which runs jobs as workflows of DBOS
    steps      what a job does: each step may run twice
    settings   from the environment

contract/job_database.py submits and cancels jobs, for the terminal as for the service. The worker
shares with both the database, the model store and the names in contract/jobs.py. It imports neither
training nor export: it starts them as a person would at a terminal.
"""
