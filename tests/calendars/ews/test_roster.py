from presenced.calendars.ews.roster import Discarded, Member, Roster
from presenced.core.ports import Mailbox

KEY = ("https://mail.example.com/EWS/Exchange.asmx", "")


def roster_of(*names: str) -> Roster:
    roster = Roster(KEY)
    roster.take(Member(Mailbox(f"{name}@example.com", *KEY)) for name in names)
    return roster


def test_the_anchor_stays_when_somebody_earlier_in_the_alphabet_comes() -> None:
    roster = roster_of("bob", "carl")
    assert roster.choose_anchor().address == "bob@example.com"
    roster.take([Member(Mailbox("ann@example.com", *KEY))])
    assert roster.choose_anchor().address == "bob@example.com"


def test_when_the_anchor_leaves_the_first_of_the_others_takes_over() -> None:
    roster = roster_of("bob", "carl", "dora")
    roster.part(roster.choose_anchor())
    assert roster.choose_anchor().address == "carl@example.com"
    roster.avoided.add("carl@example.com")
    assert roster.choose_anchor().address == "dora@example.com"


def test_who_moves_leaves_his_subscription_behind_to_be_ended() -> None:
    old, new = roster_of("ann", "bob"), roster_of("carl")
    old.cookie = "cookie"
    anchor, bob = old.choose_anchor(), old.members["bob@example.com"]
    bob.subscription = "sub-b"
    new.take([bob])
    assert list(old.members) == [anchor.address]
    assert bob.roster is new
    assert bob.subscription == ""
    assert old.parted == [Discarded(KEY[0], bob.address, "sub-b", anchor.address, "cookie")]
    assert new.parted == []


def test_parting_twice_or_from_elsewhere_changes_nothing() -> None:
    roster, other = roster_of("ann"), roster_of("ann")
    (stranger,) = other.members.values()
    roster.part(stranger)
    assert len(roster.members) == 1
    assert stranger.roster is other


def test_members_are_known_by_their_subscriptions() -> None:
    roster = roster_of("ann", "bob")
    ann, bob = roster.members.values()
    ann.subscription = "sub-a"
    assert roster.named(["sub-a", "sub-x"]) == [ann]
    assert roster.missing() == [bob]


def test_the_last_of_the_alphabet_are_left_over_by_a_lower_limit() -> None:
    roster = roster_of("dora", "ann", "carl", "bob")
    assert [one.address for one in roster.beyond(3)] == ["dora@example.com"]
    assert roster.beyond(4) == []
