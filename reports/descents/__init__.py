"""Pictures of descents on functions of two numbers: figures 1 to 3 of the papers that do so."""
