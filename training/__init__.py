"""Making the networks: anatomy, pairs, network, loss, fit, evaluate, export."""
