"""Networks and data sets that teleports are measured on."""
