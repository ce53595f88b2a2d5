"""From a detector to stored predictions and all numbers of it, clean and perturbed."""
