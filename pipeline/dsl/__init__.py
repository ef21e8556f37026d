"""What a user calls: streams, tables, groupings and joins, declared as nodes."""
