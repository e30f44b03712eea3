"""How often the box errs, over a labelled set: scores through the vision room, rates, curves, a plot."""
