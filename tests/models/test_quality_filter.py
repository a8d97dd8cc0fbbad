"""The filter `check=RULE` in the one syntax."""

import pytest

from models import filters
from models.contacts import quality
from models.errors import InvalidInput
from models.permissions import OPERATOR


def test_a_check_has_its_sentence_and_is_written_as_it_was_read() -> None:
    asked = (
        "check=email_is_an_address&country=Germany&or1.check.not=status_is_a_known_value&or2.check=contact_id_is_unique"
    )
    found = filters.parse_query(asked, by=OPERATOR)
    assert filters.parse_query(found.query(), by=OPERATOR) == found
    assert found.sentence() == (
        "Breaks the rule “E-mail is an e-mail address” and Country is Germany and either Does not break the rule "
        f"“{quality.named()['status_is_a_known_value'].sentence.removesuffix('.')}” or Breaks the rule "
        "“No two contacts have the same Apollo Contact Id”"
    )


def test_what_is_no_check_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"no rule “email_is_an_adress” .+ Did you mean email_is_an_address\?"):
        filters.parse(["check=email_is_an_adress"], by=OPERATOR)
    with pytest.raises(InvalidInput) as refused:
        filters.parse(["check=invoice_amount"], by=OPERATOR)
    assert refused.value.sentence == (
        "There is no rule “invoice_amount” for contacts, and rules for industries and payments find none. Data quality "
        "and `appointment360 checks list` name them."
    )
    with pytest.raises(InvalidInput, match=r"check takes check\.is, check\.not"):
        filters.parse(["check.empty=yes"], by=OPERATOR)
