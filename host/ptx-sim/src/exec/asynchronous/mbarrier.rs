//! The state of an mbarrier object and its transitions (PTX ISA 9.7.13.15.2 to .7).

/// Most that the arrival counts and the magnitude of the transaction count can be.
pub(crate) const MOST: u32 = (1 << 20) - 1;

/// What an operation on an mbarrier object did wrong.
pub(crate) type Misuse = String;

/// An mbarrier object: a phase completes when no arrival and no transaction is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mbarrier {
    /// The current phase: how many are complete.
    pub(crate) phase: u64,
    /// Arrivals that the current phase waits for.
    pub(crate) pending: u32,
    /// Arrivals that the next phase will wait for.
    pub(crate) expected: u32,
    /// Bytes that are expected and have not come; negative where they came first.
    pub(crate) tx: i64,
}

/// What a test for the completion of a phase finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    /// The phase before the current one was meant.
    Complete,
    /// The current phase was meant.
    Incomplete,
}

impl Mbarrier {
    /// `mbarrier.init`.
    pub(crate) fn new(count: u32) -> Result<Self, Misuse> {
        if count == 0 || count > MOST {
            return Err(format!("an mbarrier is initialised with a count of {count}; it can be 1 to {MOST}"));
        }
        Ok(Self { phase: 0, pending: count, expected: count, tx: 0 })
    }

    /// Goes to the next phase if the current one is complete; whether it was.
    fn turn(&mut self) -> bool {
        let complete = self.pending == 0 && self.tx == 0;
        if complete {
            self.phase += 1;
            self.pending = self.expected;
        }
        complete
    }

    /// `count` arrivals; with `drop` later phases wait for that many fewer. Whether the phase is complete now.
    pub(crate) fn arrive(&mut self, count: u32, drop: bool) -> Result<bool, Misuse> {
        if count == 0 || count > MOST {
            return Err(format!("an arrival with a count of {count}; it can be 1 to {MOST}"));
        }
        if count > self.pending {
            return Err(format!(
                "{count} arrivals where the phase waits for {} more: too many threads arrive, or the count that \
                 the mbarrier was initialised with is too low",
                self.pending
            ));
        }
        if drop && count > self.expected {
            return Err(format!("{count} threads drop out of an mbarrier for {}", self.expected));
        }
        self.expected -= if drop { count } else { 0 };
        self.pending -= count;
        Ok(self.turn())
    }

    /// `cp.async.mbarrier.arrive` without `.noinc`: one more arrival is waited for in this phase.
    pub(crate) fn increment(&mut self) -> Result<(), Misuse> {
        if self.pending == MOST {
            return Err(format!("more than {MOST} pending arrivals"));
        }
        self.pending += 1;
        Ok(())
    }

    /// expect-tx: the phase waits for `bytes` more.
    pub(crate) fn expect(&mut self, bytes: u32) -> Result<(), Misuse> {
        self.move_tx(i64::from(bytes))
    }

    /// complete-tx: `bytes` have come. Whether the phase is complete now.
    pub(crate) fn complete(&mut self, bytes: u32) -> Result<bool, Misuse> {
        self.move_tx(-i64::from(bytes))?;
        Ok(self.turn())
    }

    fn move_tx(&mut self, change: i64) -> Result<(), Misuse> {
        let tx = self.tx + change;
        if tx.unsigned_abs() > u64::from(MOST) {
            return Err(format!("the transaction count would become {tx}; it can be -{MOST} to {MOST}"));
        }
        self.tx = tx;
        Ok(())
    }

    /// The opaque state that an arrival returns: the phase, and what was pending.
    pub(crate) fn state(&self) -> u64 {
        self.phase << 20 | u64::from(self.pending)
    }

    /// The pending count in a state (`mbarrier.pending_count`).
    pub(crate) fn pending_of(state: u64) -> u32 {
        state as u32 & MOST
    }

    /// Tests for the phase of a state.
    pub(crate) fn test_state(&self, state: u64) -> Result<Test, Misuse> {
        match state >> 20 {
            phase if phase == self.phase => Ok(Test::Incomplete),
            phase if phase + 1 == self.phase => Ok(Test::Complete),
            phase => Err(format!(
                "a wait for phase {phase} of an mbarrier in phase {}: only the current phase and the one before it \
                 can be tested",
                self.phase
            )),
        }
    }

    /// Tests for the phase of that parity: of the current one and the one before, one has it.
    pub(crate) fn test_parity(&self, parity: u32) -> Result<Test, Misuse> {
        match parity {
            0 | 1 if u64::from(parity) == self.phase & 1 => Ok(Test::Incomplete),
            0 | 1 => Ok(Test::Complete),
            _ => Err(format!("a wait for parity {parity}; it can be 0 or 1")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_phase_completes_when_neither_arrivals_nor_bytes_are_pending() {
        let mut bar = Mbarrier::new(2).unwrap();
        assert!(!bar.arrive(1, false).unwrap());
        bar.expect(64).unwrap();
        assert!(!bar.arrive(1, false).unwrap());
        assert!(!bar.complete(48).unwrap());
        assert!(bar.complete(16).unwrap());
        assert_eq!(bar, Mbarrier { phase: 1, pending: 2, expected: 2, tx: 0 });
        // Bytes may come before they are expected.
        assert!(!bar.complete(32).unwrap());
        assert!(!bar.arrive(2, false).unwrap());
        bar.expect(16).unwrap();
        assert_eq!((bar.phase, bar.tx), (1, -16));
    }

    #[test]
    fn dropping_lowers_later_phases() {
        let mut bar = Mbarrier::new(3).unwrap();
        assert!(!bar.arrive(1, true).unwrap());
        assert!(bar.arrive(2, false).unwrap());
        assert_eq!((bar.phase, bar.pending), (1, 2));
        assert!(bar.arrive(2, false).unwrap());
    }

    #[test]
    fn counts_stay_in_their_ranges() {
        assert!(Mbarrier::new(0).is_err() && Mbarrier::new(MOST + 1).is_err());
        let mut bar = Mbarrier::new(MOST).unwrap();
        assert!(bar.increment().is_err());
        assert!(bar.arrive(0, false).is_err());
        bar.expect(MOST).unwrap();
        assert!(bar.expect(1).unwrap_err().contains("transaction count"));
        bar.complete(MOST).unwrap();
        bar.complete(MOST).unwrap();
        assert!(bar.complete(1).is_err());
        let mut one = Mbarrier::new(1).unwrap();
        assert!(one.arrive(2, false).unwrap_err().contains("too many"));
    }

    #[test]
    fn only_the_current_phase_and_the_one_before_can_be_tested() {
        let mut bar = Mbarrier::new(1).unwrap();
        // On a fresh object the phase before the first counts as complete.
        assert_eq!(bar.test_parity(0), Ok(Test::Incomplete));
        assert_eq!(bar.test_parity(1), Ok(Test::Complete));
        assert!(bar.test_parity(2).is_err());
        let state = bar.state();
        assert_eq!(Mbarrier::pending_of(state), 1);
        assert_eq!(bar.test_state(state), Ok(Test::Incomplete));
        assert!(bar.arrive(1, false).unwrap());
        assert_eq!(bar.test_state(state), Ok(Test::Complete));
        assert_eq!(bar.test_parity(0), Ok(Test::Complete));
        assert!(bar.arrive(1, false).unwrap());
        assert!(bar.test_state(state).unwrap_err().contains("phase 0"));
    }

    proptest! {
        /// Against the definition: a phase is complete whenever both counts have come to zero.
        #[test]
        fn any_sequence_keeps_the_definition(count in 1_u32..5, steps in prop::collection::vec((0_u8..4, 1_u32..4), 1..60)) {
            let mut bar = Mbarrier::new(count).unwrap();
            let (mut pending, mut expected, mut tx, mut phase) = (count, count, 0_i64, 0_u64);
            for (what, value) in steps {
                let before = (pending, expected);
                match what {
                    0 | 3 if value > pending => {
                        prop_assert!(bar.arrive(value, what == 3).is_err());
                        continue;
                    }
                    3 if value > expected => {
                        prop_assert!(bar.arrive(value, true).is_err());
                        continue;
                    }
                    0 => pending -= value,
                    1 => tx += i64::from(value),
                    2 => tx -= i64::from(value),
                    _ => (pending, expected) = (pending - value, expected - value),
                }
                let completes = pending == 0 && tx == 0 && what != 1;
                match what {
                    1 => bar.expect(value).unwrap(),
                    2 => prop_assert_eq!(bar.complete(value).unwrap(), completes, "{:?}", before),
                    _ => prop_assert_eq!(bar.arrive(value, what == 3).unwrap(), completes, "{:?}", before),
                }
                if completes {
                    (phase, pending) = (phase + 1, expected);
                }
                prop_assert_eq!(bar, Mbarrier { phase, pending, expected, tx });
            }
        }
    }
}
