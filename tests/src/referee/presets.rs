//! The trial of the kernel that follows the rules of other libraries.

use super::{Input, Trial};
use crate::data::Value;
use contract::preset::QuantizePresetArgs;
use outerscale::{Dtype, ops::Preset};

impl Trial<'_> {
    pub(super) fn quantize_preset<T: Value>(&self, input: &Input<T>) -> Result<(), String> {
        let (rows, cols) = (input.place.rows, input.place.cols);
        let of = match T::DTYPE {
            Dtype::F16 => oracle::Type::F16,
            Dtype::Bf16 => oracle::Type::Bf16,
            _ => oracle::Type::F32,
        };
        // The rules of compressed-tensors and of roundf have every choice but the products and the floor of absmax between
        // them, and the others have these.
        let presets = [
            (Preset::CompressedTensors, oracle::Preset::CompressedTensors),
            (Preset::Roundf, oracle::Preset::Roundf),
            (Preset::Bitsandbytes, oracle::Preset::Bitsandbytes),
            (Preset::Torchao, oracle::Preset::Torchao),
            (Preset::TensorRtLlm, oracle::Preset::TensorRtLlm),
        ];
        for (preset, by) in presets {
            let wrong = |what: String| format!("{}: {what}", preset.name());
            let rule = preset.of_rows(T::DTYPE).ok_or_else(|| wrong("has no rule of rows".to_owned()))?;
            let want = oracle::quantize_preset(&input.wide, rows, cols, by, of).ok_or("the oracle has no rule")?;
            let (x, q) = (self.matrix(input), self.codes(rows, cols));
            let (scales, absmax) = (self.machine.room(4 * rows), self.machine.room(4 * rows));
            self.launch(input.place, &QuantizePresetArgs { x, q, scales, absmax, given: 0.0, rule })?;
            self.compare("scales", scales, &want.scales).map_err(wrong)?;
            self.compare("absmax", absmax, &want.absmax).map_err(wrong)?;
            self.compare("codes", q.ptr, &oracle::pack_rows(&want.codes, rows, cols, cols)).map_err(wrong)?;
        }
        // A scale under which there are ties, and one that no reciprocal stands for.
        let presets =
            [(Preset::Roundf, oracle::Preset::Roundf, 0.0625), (Preset::Torchao, oracle::Preset::Torchao, 0.0157)];
        for (preset, by, given) in presets {
            let wrong = |what: String| format!("{} under a given scale: {what}", preset.name());
            let rule = preset.of_given_scale().ok_or_else(|| wrong("has no rule".to_owned()))?;
            let want = oracle::quantize_preset_static(&input.wide, given, by, of).ok_or("the oracle has no rule")?;
            let (x, q) = (self.matrix(input), self.codes(rows, cols));
            self.launch(input.place, &QuantizePresetArgs { x, q, scales: 0, absmax: 0, given, rule })?;
            self.compare("codes", q.ptr, &oracle::pack_rows(&want, rows, cols, cols)).map_err(wrong)?;
        }
        Ok(())
    }
}
