"""How records, plans and results become tables: columns, CSV, pandas, Arrow and HTML."""
