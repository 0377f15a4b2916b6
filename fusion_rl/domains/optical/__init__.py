"""Dynamic routing, modulation and spectrum assignment in elastic optical networks."""
