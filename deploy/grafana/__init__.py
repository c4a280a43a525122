"""Grafana's configuration, with dashboards that are written by a program.

    python -m deploy.grafana      panels, below ──► dashboards/service.json, dashboards/model.json

    promql       how a question to Prometheus is spelled
    panel        one picture: its questions, unit, limits and description
    dashboard    rows of panels, laid out, with variables, links and marks
    overview, traffic, latency, batching, processes, gpu      the rows of the service dashboard
    answers, serving                                          the rows of the model dashboard

The JSON is committed, so Grafana needs no Python; a test says that it is what the program writes.
"""
