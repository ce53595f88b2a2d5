"""Tables, figures and text over all models, beside the published results."""
