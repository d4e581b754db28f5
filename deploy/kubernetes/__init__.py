"""What a Kubernetes cluster needs to run a factory: manifests made from the Procfile, and scaling on what waits."""
