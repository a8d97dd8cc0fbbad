"""How the database and what is asked of it perform: reports, made daily, and what they are made of."""
