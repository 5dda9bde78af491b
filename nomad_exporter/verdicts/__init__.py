"""Health verdicts: live, ready and quorum, as pure functions of snapshots and an instant."""
