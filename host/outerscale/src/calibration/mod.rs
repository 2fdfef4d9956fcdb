//! Calibration: what a linear's input was like, kept small, and the rules that make a static scale of it.
//!
//! [`Statistics`] is what batches leave: it knows nothing of the rule that will be asked of it, takes batches one by
//! one, and two of them merge to exactly what one would be that had met both sequences of batches. An [`Observer`] is
//! such a rule; [`StatisticsFile`] is the form on disk; [`Capture`] reads the inputs. All of it runs on the host: a
//! histogram over half a million possible bins is no work for a block's shared memory, and calibration is done once.

mod capture;
mod entropy;
mod file;
mod histogram;
mod observers;
mod statistics;

pub use capture::{Capture, Captured, samples};
pub use file::StatisticsFile;
pub use histogram::Histogram;
pub use observers::Observer;
pub use statistics::Statistics;
