"""Many jobs at once: in processes of this machine, on a cluster's own engine, or claimed from a shared folder."""
