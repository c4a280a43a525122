"""OpenTelemetry traces, sent to a collector if DIGITSERVE_OTLP_ENDPOINT names one."""
