"""A real Kubernetes on one machine: a control plane and four workers, each a container."""
