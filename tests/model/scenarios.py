"""The worlds that the model visits to the last state."""

from .checker import Scenario
from .world import Faults

SCENARIOS = {
    "loss, duplicates and reordering": Scenario(Faults(changes=3, duplicates=1, reconciles=1)),
    "three messages in flight": Scenario(Faults(changes=3), in_flight=3),
    "a local license of one": Scenario(Faults(changes=4), license=1, seats=2),
    "the customer crashes": Scenario(Faults(changes=2, restarts=1, duplicates=1)),
    "the customer crashes twice": Scenario(Faults(changes=1, restarts=2, duplicates=1)),
    "revoke and restore": Scenario(Faults(changes=2, revokes=2, reconciles=1)),
    "suspend and resume": Scenario(Faults(changes=2, suspends=2, reconciles=1)),
    "a clone": Scenario(Faults(changes=2, clones=1, takeovers=1), in_flight=1),
    "a clone that meets late messages": Scenario(Faults(changes=1, clones=1)),
    "a clone and a crash": Scenario(Faults(changes=1, clones=1, restarts=1), in_flight=1),
    "two takeovers": Scenario(Faults(changes=1, clones=1, takeovers=2), in_flight=1),
    "an old customer": Scenario(
        Faults(changes=3, snapshots=1, customer_restores=1, takeovers=1), in_flight=1
    ),
    "an old customer that meets late answers": Scenario(
        Faults(changes=1, snapshots=1, customer_restores=1, takeovers=1, reconciles=1)
    ),
    "an old provider": Scenario(
        Faults(changes=3, snapshots=1, provider_restores=1, reconciles=1), in_flight=1
    ),
    "an old provider and late messages": Scenario(
        Faults(changes=2, snapshots=1, provider_restores=1, reconciles=1)
    ),
    "an old provider that revokes": Scenario(
        Faults(changes=3, snapshots=1, provider_restores=1, revokes=1), in_flight=1
    ),
    "an announced old provider": Scenario(
        Faults(changes=1, snapshots=1, announced_restores=1, restarts=1), in_flight=2
    ),
    "a provider restored twice": Scenario(
        Faults(changes=2, snapshots=1, announced_restores=1, provider_restores=1), in_flight=1
    ),
    "both restored": Scenario(
        Faults(changes=1, snapshots=2, announced_restores=1, customer_restores=1, takeovers=1),
        in_flight=1,
    ),
}

# A mutant: a rule of the protocol left out, and the world that shows what it is for.
MUTANTS = {
    "tombstone_for_unseen": "loss, duplicates and reordering",
    "fenced_release": "loss, duplicates and reordering",
    "timeout_keeps": "loss, duplicates and reordering",
    "tombstone_for_refusal": "loss, duplicates and reordering",
    "epochs": "a clone",
    "reconcile_asks": "loss, duplicates and reordering",
    "positions": "an old provider",
    "session_compares_first": "a clone",
    "own_session": "a clone that meets late messages",
    "old_nonces_known": "the customer crashes twice",
    "future_epoch_is_rewound": "an old provider",
    "answers_of_old_epochs_ignored": "an old customer that meets late answers",
    "acknowledged_proves_rewind": "an old provider that revokes",
    "resync_sends_renewing_seats": "an old provider",
    "resync_repeatable": "an old provider",
    "resync_is_complete": "a provider restored twice",
    "takeover_repeats_wishes": "an old customer",
}
