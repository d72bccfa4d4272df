"""Tables of records, plans and results: columns, CSV, pandas, Arrow and HTML."""
