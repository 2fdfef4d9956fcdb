//! The flags that give a layer a calibration other than its file's.

use crate::{
    Error, Result,
    calibration::{Observer, StatisticsFile},
    linear::{Calibration, Scheme},
};
use clap::Args;
use std::path::PathBuf;

/// Statistics, and the rule asked of them.
#[derive(Args, Clone)]
pub struct StatsFlags {
    /// Take calibration from this file, which outerscale calibrate wrote, and not from the layer's.
    #[arg(long, value_name = "STATS.safetensors")]
    stats: Option<PathBuf>,
    /// The rule that makes a static scale of the statistics: absmax, percentile:P, mse, entropy or moving-average:M.
    #[arg(long, value_name = "RULE", default_value_t, requires = "stats")]
    observer: Observer,
}

impl StatsFlags {
    /// The calibration of `linear`, whose input has K = `k` channels; `None` where no statistics were given.
    ///
    /// # Errors
    /// [`Error::Input`] where the file is none of statistics, or of another model, or `scheme` finds no scale in it.
    pub fn calibration(&self, linear: &str, k: u64, scheme: Scheme) -> Result<Option<Calibration>> {
        let Some(file) = &self.stats else { return Ok(None) };
        let all = StatisticsFile::read(file)?;
        let calibration = all.of(linear, k, file)?.calibration(self.observer);
        calibration.check(scheme).map_err(|_| {
            let rule = format!("{} gives {linear} an absmax of {:e}: no scale", self.observer, calibration.absmax());
            Error::input(file, None, rule)
        })?;
        Ok(Some(calibration))
    }
}
