//! What an output is made of besides its accumulator.

use contract::args::{Bias, Scales, input_type};
use cuda_std::cvt::{cvt_f32_f16, f32_from_bf16};
use cuda_std::math::fma_rn_f32;
use cuda_std::memory::{ld_global_nc_b16, ld_global_nc_b32, ld_global_nc_v2_b32, ld_global_nc_v4_b32};

/// s_x · (s_w · acc) + addend: the product with s_x and the sum rounded once.
#[inline(always)]
pub fn affine(s_x: f32, s_w: f32, acc: i32, addend: f32) -> f32 {
    fma_rn_f32(s_x, s_w * acc as f32, addend)
}

/// Scale `i`.
///
/// # Safety
/// It exists.
#[inline(always)]
pub unsafe fn load_scale(scales: &Scales, i: u64) -> f32 {
    // SAFETY: the caller's.
    f32::from_bits(unsafe { ld_global_nc_b32(scales.ptr + 4 * i * scales.stride) })
}

/// Scales `i` to `i` + 3, `i` a multiple of four: one load where they lie on a 16-byte boundary.
///
/// # Safety
/// They exist.
#[inline(always)]
pub unsafe fn load_four_scales(scales: &Scales, i: u64) -> [f32; 4] {
    // SAFETY: the caller's.
    unsafe {
        if scales.stride == 1 && scales.ptr.is_multiple_of(16) {
            return ld_global_nc_v4_b32(scales.ptr + 4 * i).map(f32::from_bits);
        }
        [0, 1, 2, 3].map(|e| load_scale(scales, i + e))
    }
}

/// Element `i` of the bias, widened, which is exact; +0 where there is none.
///
/// # Safety
/// It exists if there is a bias.
#[inline(always)]
pub unsafe fn load_bias(bias: &Bias, i: u64) -> f32 {
    if bias.ptr == 0 {
        return 0.0;
    }
    // SAFETY: the caller's.
    unsafe {
        match bias.dtype {
            input_type::F32 => f32::from_bits(ld_global_nc_b32(bias.ptr + 4 * i)),
            input_type::F16 => cvt_f32_f16(ld_global_nc_b16(bias.ptr + 2 * i)),
            _ => f32_from_bf16(ld_global_nc_b16(bias.ptr + 2 * i)),
        }
    }
}

/// Elements `i` to `i` + 3 of the bias, `i` a multiple of four, as [`load_bias`] gives them: one load where they lie on
/// a boundary of four.
///
/// # Safety
/// They exist if there is a bias.
#[inline(always)]
pub unsafe fn load_four_biases(bias: &Bias, i: u64) -> [f32; 4] {
    if bias.ptr == 0 {
        return [0.0; 4];
    }
    let is_f32 = bias.dtype == input_type::F32;
    // SAFETY: the caller's.
    unsafe {
        if is_f32 && bias.ptr.is_multiple_of(16) {
            return ld_global_nc_v4_b32(bias.ptr + 4 * i).map(f32::from_bits);
        }
        if !is_f32 && bias.ptr.is_multiple_of(8) {
            let [low, high] = ld_global_nc_v2_b32(bias.ptr + 2 * i);
            let halves = [low as u16, (low >> 16) as u16, high as u16, (high >> 16) as u16];
            return if bias.dtype == input_type::F16 { halves.map(cvt_f32_f16) } else { halves.map(f32_from_bf16) };
        }
        [0, 1, 2, 3].map(|e| load_bias(bias, i + e))
    }
}
