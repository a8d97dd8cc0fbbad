"""What the rule of sql.yml finds, and what it leaves alone."""


def bad(connection, name, cursor, duck, sqlalchemy, psycopg):
    # ruleid: sql-from-an-f-string
    connection.execute(f"SELECT 1 FROM contacts WHERE name = '{name}'")
    # ruleid: sql-from-an-f-string
    connection.execute("SELECT 1 FROM contacts WHERE name = '%s'" % name)
    # ruleid: sql-from-an-f-string
    connection.execute("SELECT 1 FROM contacts WHERE name = '" + name + "'")
    # ruleid: sql-from-an-f-string
    cursor.execute("SELECT 1 FROM contacts WHERE name = '{}'".format(name))
    # ruleid: sql-from-an-f-string
    connection.execute(sqlalchemy.text(f"SELECT '{name}'"))
    # ruleid: sql-from-an-f-string
    statement = text(f"SELECT '{name}'")
    # ruleid: sql-from-an-f-string
    duck.sql(f"SELECT '{name}'")
    # ruleid: sql-from-an-f-string
    connection.exec_driver_sql(f"SELECT '{name}'")
    # ruleid: sql-from-an-f-string
    psycopg.sql.SQL(f"SELECT '{name}'")
    return statement


def good(connection, name, cursor, table):
    # ok: sql-from-an-f-string
    connection.execute(text("SELECT 1 FROM contacts WHERE name = :name"), {"name": name})
    # ok: sql-from-an-f-string
    cursor.execute("SELECT 1 FROM contacts WHERE name = %s", [name])
    # ok: sql-from-an-f-string
    connection.execute(select(table).where(table.name == name))
