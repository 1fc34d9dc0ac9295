"""Which protocols one pass over the images serves, and which of its crops are whose."""

from harness.recipes.protocol import Protocol

CENTER_OF_FIVE = 4
"""Four corners come before it; after the center the same five of the mirrored image."""


def positions_within(protocol: Protocol, widest: Protocol) -> tuple[int, ...] | None:
    """Where a protocol's crops are among those of another; None where it shows others too.

    Both are the same but for name, crops, mirror and average.
    """
    own, all_of = _offsets(protocol), _offsets(widest)
    if (protocol.mirror and not widest.mirror) or not set(own) <= set(all_of):
        return None
    plain = tuple(all_of.index(offset) for offset in own)
    mirrored = tuple(len(all_of) + place for place in plain)
    return plain + mirrored if protocol.mirror else plain


def shared_passes(protocols: tuple[Protocol, ...]) -> tuple[tuple[Protocol, ...], ...]:
    """Group protocols that one pass over the images can serve, in order of first mention.

    One of each group shows all of its crops: a center crop is one of the ten.
    """
    groups: list[list[Protocol]] = []
    for protocol in protocols:
        fitting = (group for group in groups if _fits(protocol, group))
        group = next(fitting, None)
        if group is None:
            groups.append([protocol])
        else:
            group.append(protocol)
    return tuple(tuple(group) for group in groups)


def widest_of(protocols: tuple[Protocol, ...]) -> Protocol:
    """The one of a group that shows all of its crops."""
    return max(protocols, key=lambda one: one.views)


def _fits(protocol: Protocol, group: list[Protocol]) -> bool:
    widest = widest_of(tuple(group))
    if protocol.identity() | _SHARED != widest.identity() | _SHARED:
        return False
    if "full" in {protocol.crops, widest.crops}:
        return protocol == widest.model_copy(update={"name": protocol.name})
    narrow, wide = sorted((protocol, widest), key=lambda one: one.views)
    return positions_within(narrow, wide) is not None


_SHARED = dict.fromkeys(("name", "mirror", "average", "crops"))


def _offsets(protocol: Protocol) -> tuple[int, ...]:
    return (CENTER_OF_FIVE,) if protocol.crops == "center" else tuple(range(5))
