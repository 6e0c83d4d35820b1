"""Methods side by side: ours and other systems', their results folders, the paired benchmark, tables and the user study."""
