"""What can be simulated. Each domain is a folder that meets `fusion_rl.domains.base.BatchSimulator`."""
