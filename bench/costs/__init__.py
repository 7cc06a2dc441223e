"""Operations and bytes of a call, and what the machine can do; runs in the worker."""
