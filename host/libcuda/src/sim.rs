//! The simulator's driver: functions of the same C interface, in this process.

use ptx_sim::driver;

use crate::table::{self, Absent};

/// Sends every call to the simulated GPU, for the rest of the process.
pub(crate) fn fill_table() {
    table::fill(Absent::NotSimulated, driver::function);
}

/// Starts the simulated GPU.
///
/// Errors: the code that its `cuInit` answers.
pub(crate) fn init() -> Result<(), u32> {
    match driver::init(0) {
        0 => Ok(()),
        code => Err(code),
    }
}
