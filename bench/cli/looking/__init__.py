"""The commands that show what there is: machine, data sets, methods and presets."""
