//! Property tests: every kernel against the oracle, on whatever drivers there are.
