//! What must be true of a packed layer, wherever it comes from.

use super::PackedLayer;
use crate::{
    linear::{OutlierWeights, PresetScale, Scheme},
    operands::check_scale,
    ops::check_threshold,
    smooth::{Alpha, Factors},
};
use contract::{
    limits::{CODE_MAX, MAX_K, ROW_ALIGN_BYTES},
    packed::{self, PANEL_ROWS},
};

/// A part of a layer and the rule that it breaks.
pub type Broken = (&'static str, String);

/// The most rows: sizes that are made of it stay in 64 bits.
const MAX_ROWS: u64 = 1 << 40;

impl PackedLayer {
    /// Holds every part against the others and against the ranges that the kernels count on.
    ///
    /// # Errors
    /// The first part that breaks a rule, and the rule.
    pub fn check(&self) -> Result<(), Broken> {
        let (n, k) = (self.rows, self.cols);
        if k == 0 || k > MAX_K || n == 0 || n > MAX_ROWS {
            return Err(("q_w", format!("N must be at least 1 and K in [1, {MAX_K}], are {n} and {k}")));
        }
        self.check_scheme().map_err(|rule| ("scheme", rule))?;
        same_number("q_w", "code", self.q_w.len(), packed::bytes(n, k))?;
        if let Some((row, col)) = self.code_in_padding() {
            let rule = format!("has a code that is not 0 at ({row}, {col}), beyond [{n}, {k}]: products would add it");
            return Err(("q_w", rule));
        }
        same_number("s_w", "scale", self.s_w.len(), n)?;
        for (index, scale) in self.s_w.iter().enumerate() {
            check_scale(*scale).map_err(|rule| ("s_w", format!("[{index}] {rule}")))?;
        }
        if let Some(bias) = &self.bias {
            same_number("bias", "element", bias.len(), n)?;
        }
        self.check_parts()
    }

    /// What belongs to some schemes only: it is there under those, and right.
    fn check_parts(&self) -> Result<(), Broken> {
        let (n, k) = (self.rows, self.cols);
        let scheme = self.scheme;
        let smooths = scheme.alpha().is_some();
        let given =
            matches!(scheme, Scheme::Static | Scheme::SmoothStatic { .. } | Scheme::Preset(_, PresetScale::Static));
        let half = matches!(scheme, Scheme::LlmInt8 { outlier_weights: OutlierWeights::F16, .. });
        let stores_absmax = scheme.preset().is_some_and(|preset| preset.stores_absmax());
        let parts = [
            ("s_x", self.s_x.is_some(), given),
            ("smooth", self.smooth.is_some(), smooths),
            ("w_f16", self.half_w.is_some(), half),
            ("absmax_w", self.absmax_w.is_some(), stores_absmax),
        ];
        for (part, is_there, belongs) in parts {
            match (is_there, belongs) {
                (true, false) => return Err((part, format!("is no part of the scheme {}", scheme.name()))),
                (false, true) => return Err((part, format!("is missing, and part of the scheme {}", scheme.name()))),
                _ => {}
            }
        }
        if let Some(scale) = self.s_x {
            check_scale(scale).map_err(|rule| ("s_x", rule))?;
        }
        match self.average {
            Some(_) if !matches!(scheme, Scheme::Running(_)) => {
                return Err(("average", format!("is no part of the scheme {}", scheme.name())));
            }
            Some(average) => check_scale(average / CODE_MAX).map_err(|rule| ("average", format!("/ 127: {rule}")))?,
            None => {}
        }
        if let Some(smooth) = &self.smooth {
            same_number("smooth", "factor", smooth.len(), k)?;
            Factors::given(smooth.clone()).map_err(|error| ("smooth", error.to_string()))?;
        }
        if let Some(half_w) = &self.half_w {
            same_number("w_f16", "weight", half_w.len(), k * n.next_multiple_of(4))?;
        }
        if let Some(absmax) = &self.absmax_w {
            same_number("absmax_w", "magnitude", absmax.len(), n)?;
        }
        Ok(())
    }

    fn check_scheme(&self) -> Result<(), String> {
        match self.scheme {
            Scheme::Hybrid => return Err("w8a8-hybrid is a choice between two schemes: which was it?".to_owned()),
            Scheme::Running(by) => by.check().map_err(|error| error.to_string())?,
            Scheme::LlmInt8 { threshold, .. } => check_threshold(threshold)?,
            Scheme::Preset(preset, scale) => preset.check(scale).map_err(|error| error.to_string())?,
            _ => {}
        }
        match self.scheme.alpha() {
            Some(Alpha::Fixed(alpha)) if !(0.0..=1.0).contains(&alpha) => {
                Err(format!("alpha {alpha} is not in [0, 1]"))
            }
            Some(Alpha::Auto | Alpha::Off) => Err("a layer is smoothed by a known exponent".to_owned()),
            _ => Ok(()),
        }
    }

    /// Where a code lies outside of [N, K], if one does.
    fn code_in_padding(&self) -> Option<(u64, u64)> {
        let k_blocks = packed::k_blocks(self.cols);
        let whole =
            |panel, k_block| (panel + 1) * PANEL_ROWS <= self.rows && (k_block + 1) * ROW_ALIGN_BYTES <= self.cols;
        let tiles = (0..packed::panels(self.rows)).flat_map(|panel| (0..k_blocks).map(move |k_block| (panel, k_block)));
        let places = tiles.filter(|(panel, k_block)| !whole(*panel, *k_block)).flat_map(|(panel, k_block)| {
            let rows = panel * PANEL_ROWS..(panel + 1) * PANEL_ROWS;
            let cols = k_block * ROW_ALIGN_BYTES..(k_block + 1) * ROW_ALIGN_BYTES;
            rows.flat_map(move |row| cols.clone().map(move |col| (row, col)))
        });
        let mut outside = places.filter(|(row, col)| *row >= self.rows || *col >= self.cols);
        outside.find(|(row, col)| self.q_w[packed::offset(*row, *col, k_blocks) as usize] != 0)
    }
}

fn same_number(part: &'static str, of_what: &str, got: usize, want: u64) -> Result<(), Broken> {
    if got as u64 == want { Ok(()) } else { Err((part, format!("must have {want} {of_what}s, has {got}"))) }
}
