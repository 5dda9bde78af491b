"""The judgement: pure functions of snapshots and an instant. Live, ready, quorum, and why."""
