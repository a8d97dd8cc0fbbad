"""What good industries look like: named once, and where they were merged, without contacts of their own."""

from models.check_rules import ALL, USUALLY, About, Demand, Rule

TABLE = "industries"
LONGEST_NAME = 100  # characters; longer ones are sentences that came into the wrong column

# The name as nobody would tell two apart: without capitals, blanks and signs.
_SQUEEZED = r"regexp_replace(lower({name}), '[^[:alnum:]]', '', 'g')"


def rules() -> list[Rule]:
    return [
        _rule(
            "industry_name_is_clean",
            f"An industry's name is filled, has no blanks around it and at most {LONGEST_NAME} characters.",
            f"name <> '' AND name = btrim(name) AND length(name) <= {LONGEST_NAME}",
        ),
        _rule(
            "industry_name_has_letters",
            "An industry's name holds letters: a bare number or sign came from another column.",
            "name ~ '[[:alpha:]]'",
        ),
        _rule(
            "industry_is_named_once",
            "No two industries in use differ by capitals, blanks and signs alone.",
            f"""NOT is_active OR {_SQUEEZED.format(name="name")} NOT IN (
                SELECT {_SQUEEZED.format(name="i.name")} FROM industries i WHERE i.is_active
                GROUP BY 1 HAVING count(*) > 1)""",
        ),
        _rule(
            "industry_out_of_use_has_no_contacts",
            "No contact has an industry that is out of use.",
            "is_active OR NOT EXISTS (SELECT FROM contacts c WHERE c.industry_id = industries.id)",
        ),
        _rule(
            "industry_merge_leads_to_one_in_use",
            "An industry that was merged leads to one that is in use.",
            """merged_into IS NULL OR EXISTS (
                SELECT FROM industries i WHERE i.id = industries.merged_into AND i.id <> industries.id
                    AND i.is_active)""",
        ),
        _rule(
            "industry_in_use_has_contacts",
            "An industry in use usually has contacts.",
            "NOT is_active OR EXISTS (SELECT FROM contacts c WHERE c.industry_id = industries.id)",
            USUALLY,
        ),
    ]


def _rule(name: str, sentence: str, condition: str, tolerance: float = ALL) -> Rule:
    given = {"table": TABLE, "condition": condition}
    return Rule(name, None, sentence, Demand.HOLDS, ("name",), given, tolerance, about=About.INDUSTRIES)
