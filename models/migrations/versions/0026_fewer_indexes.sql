-- What served browsing alone: the mirror (models/contacts/mirror.py) answers that, and every import paid for it. Until an
-- older program that builds some of them has ended, models/contacts/browsing.py drops those again.
DROP INDEX IF EXISTS contacts_browsed, contacts_lists, contacts_words, contacts_country_seniority;
