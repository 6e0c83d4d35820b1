"""Methods side by side: their results folders, the paired benchmark, tables and plots, and the user study."""
