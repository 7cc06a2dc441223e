"""Where a method's time goes: phases, traces, their summary, and what the machine could do."""
