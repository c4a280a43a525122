"""Grafana's configuration; a program writes the dashboards.

    python -m deploy.grafana      panels ──► dashboards/service.json, dashboards/model.json

    promql       expressions for Prometheus
    panel        the kinds of panels, made with the Grafana Foundation SDK
    dashboard    rows of panels with variables, links and annotations
    overview, traffic, latency, resources      the rows of the service dashboard
    model                                      the rows of the model dashboard

The JSON is committed, so Grafana needs no Python; a test compares it with what the program writes.
"""
