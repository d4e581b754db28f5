"""What Prometheus, Alertmanager and Grafana need to watch a factory: configuration made from the code that exports."""
