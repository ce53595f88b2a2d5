"""Networks that timm does not have; each module registers its own with timm."""
