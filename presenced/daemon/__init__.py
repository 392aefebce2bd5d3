"""The running program: it alone has a clock, tasks and signals, and asks the doors for the rest."""
