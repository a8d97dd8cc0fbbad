"""Which records mean the same person or company: Splink on DuckDB, told by a description of the fields.

`description` says what fields mean, `preparation` brings their values into one form, `comparisons` and `blocking` make
Splink's settings of it, `linking` trains, predicts and clusters; `contacts` is the description of ours. The contacts
take one road with every other table: what is proven on labelled data is what compares them.
"""
