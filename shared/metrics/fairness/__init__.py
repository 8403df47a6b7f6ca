"""Whether a model serves every group of patients alike: groups, their figures and gaps, and small cells."""
