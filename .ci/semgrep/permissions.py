"""What the rules of permissions.yml find, and what they leave alone."""


# ruleid: an-operation-that-asks-nobody
def remove(contact_id: int, *, by: Actor) -> None:
    with writing() as session:
        session.execute(delete(Contact).where(Contact.id == contact_id))


# ok: an-operation-that-asks-nobody
def removed(contact_id: int, *, by: Actor) -> None:
    require(by, Permission.CONTACTS_EDIT)
    with writing() as session:
        session.execute(delete(Contact).where(Contact.id == contact_id))


# ok: an-operation-that-asks-nobody
def handed_on(contact_id: int, *, by: Actor) -> Contact:
    return contacts.get(contact_id, by=by)


# ok: an-operation-that-asks-nobody
def ones_own(*, by: Actor) -> list[Export]:
    with reading() as session:
        return session.scalars(select(Export).where(Export.user_id == by.id)).all()


def shown(by: Actor) -> None:
    # ruleid: a-screen-that-decides-by-role
    if by.role == Role.ADMIN:
        button()
    # ok: a-screen-that-decides-by-role
    if by.may(Permission.USERS_MANAGE):
        button()
