//! The rules of other libraries against the oracle, which states each by itself.

use super::check::{Check, Results};
use super::data::{Pattern, describe, layout, matrix};
use super::quantizers::{SHAPES, by_dtype};
use crate::{
    Activations, Dtype, Float, Result,
    ops::{self, Preset},
};
use contract::limits::padded_row_bytes;

/// The oracle's word for a preset.
pub(crate) fn oracle_preset(preset: Preset) -> oracle::Preset {
    match preset {
        Preset::Vllm => oracle::Preset::Vllm,
        Preset::CompressedTensors => oracle::Preset::CompressedTensors,
        Preset::Bitsandbytes => oracle::Preset::Bitsandbytes,
        Preset::TensorRtLlm => oracle::Preset::TensorRtLlm,
        Preset::Torchao => oracle::Preset::Torchao,
        Preset::OnnxRuntime => oracle::Preset::OnnxRuntime,
        Preset::Roundf => oracle::Preset::Roundf,
    }
}

/// The oracle's word for a type of x.
pub(crate) fn oracle_type(dtype: Dtype) -> oracle::Type {
    match dtype {
        Dtype::F16 => oracle::Type::F16,
        Dtype::Bf16 => oracle::Type::Bf16,
        _ => oracle::Type::F32,
    }
}

pub(crate) fn quantize_preset(check: &mut Check<'_>) -> Result<()> {
    by_dtype!(check, quantize_preset_of)
}

fn quantize_preset_of<T: Float>(check: &mut Check<'_>) -> Result<()> {
    let of = oracle_type(T::DTYPE);
    for (index, (rows, cols)) in SHAPES.into_iter().enumerate() {
        for (way, preset) in Preset::ALL.into_iter().enumerate() {
            let pattern = Pattern::ROWS[(index + way) % Pattern::ROWS.len()];
            let at = layout((index + way) as u64, rows, cols);
            let case = format!("{}, {}", preset.name(), describe(pattern, &at));
            let results = |name, cols: u64| Results { name, cols: cols as usize, case: &case };
            let x = matrix::<T>(&mut check.next_case(), pattern, rows, cols);
            let operand = Activations::upload(check.gpu, &x, at)?;
            let wide: Vec<f32> = x.iter().map(|v| v.widen()).collect();
            let padded = |codes: &[i8]| oracle::pack_rows(codes, rows as usize, cols as usize, cols as usize);
            let by = oracle_preset(preset);
            if let Some(want) = oracle::quantize_preset(&wide, rows as usize, cols as usize, by, of) {
                let (q, absmax, _) = ops::quantize_preset(check.gpu, &operand, preset, check.choice())?;
                check.same(results("scales", 1), &q.scales().download()?, &want.scales);
                check.same(results("absmax", 1), &absmax.download()?, &want.absmax);
                check.same(results("codes", padded_row_bytes(cols)), &q.download_padded()?, &padded(&want.codes));
            }
            // Ties and saturation at both ends.
            let scale = 0.0625;
            if let Some(want) = oracle::quantize_preset_static(&wide, scale, by, of) {
                let (q, _) = ops::quantize_preset_static(check.gpu, &operand, (preset, scale), check.choice())?;
                let results = results("codes under a given scale", padded_row_bytes(cols));
                check.same(results, &q.download_padded()?, &padded(&want));
            }
            if check.found() {
                return Ok(());
            }
        }
    }
    Ok(())
}
