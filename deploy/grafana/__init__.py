"""Grafana's configuration, with a program that generates the dashboards.

    python -m deploy.grafana      panels ──► dashboards/service.json, dashboards/model.json

    promql            expressions for Prometheus
    panel             the kinds of panels, made with the Grafana Foundation SDK
    dashboard         rows of panels with variables, links and annotations
    service, model    the rows of the two dashboards; operation, replicas: more rows of service

The JSON is committed, so Grafana needs no Python. A test compares it with the program's output.
"""
