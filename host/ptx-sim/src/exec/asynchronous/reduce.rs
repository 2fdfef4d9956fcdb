//! The element-wise operations of reductions (PTX ISA 9.7.9.25.4.2).

use half::{bf16, f16};

use crate::exec::atomic::combine;
use crate::ir::op::Atomic;
use crate::ir::types::{Space, Type};
use crate::memory::Allocation;

/// What an element becomes; bits of its type.
fn element((op, ty): (Atomic, Type), space: Space, old: u64, new: u64) -> u64 {
    match ty {
        Type::F16 => u64::from(half_float(op, f16::from_bits(old as u16), f16::from_bits(new as u16)).to_bits()),
        Type::BF16 => {
            let (old, new) = (bf16::from_bits(old as u16), bf16::from_bits(new as u16));
            let wide = single(op, old.to_f32(), new.to_f32());
            u64::from(if wide.is_nan() { 0x7FFF } else { bf16::from_f32(wide).to_bits() })
        }
        _ => combine(op, ty, space, [old, new, 0]),
    }
}

/// Sums and extremes of two numbers of 16 bits are exact enough in f32: one rounding is left, that to 16 bits.
fn single(op: Atomic, old: f32, new: f32) -> f32 {
    let before = |one: f32, two: f32| one < two || (one == two && one.is_sign_negative());
    match op {
        Atomic::Add => old + new,
        _ if old.is_nan() => new,
        _ if new.is_nan() => old,
        Atomic::Min => {
            if before(new, old) {
                new
            } else {
                old
            }
        }
        _ => {
            if before(old, new) {
                new
            } else {
                old
            }
        }
    }
}

fn half_float(op: Atomic, old: f16, new: f16) -> f16 {
    let wide = single(op, old.to_f32(), new.to_f32());
    if wide.is_nan() { f16::from_bits(0x7FFF) } else { f16::from_f32(wide) }
}

fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// Reduces `data` into shared memory.
pub(super) fn in_shared(change: (Atomic, Type), target: &mut [u8], data: &[u8]) {
    let size = change.1.bytes() as usize;
    for (old, new) in target.chunks_exact_mut(size).zip(data.chunks_exact(size)) {
        let value = element(change, Space::Shared, word(old), word(new));
        old.copy_from_slice(&value.to_le_bytes()[..size]);
    }
}

/// Reduces `data` into global memory, each element in one step that no other block can come between.
pub(super) fn in_global(change: (Atomic, Type), found: &Allocation, offset: u64, data: &[u8]) {
    use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};
    let size = change.1.bytes() as usize;
    for (index, new) in data.chunks_exact(size).enumerate() {
        let target = found.writable(offset + (index * size) as u64, size);
        let update = |old: u64| element(change, Space::Global, old, word(new));
        // The bytes lie in the allocation and, aligned as bulk copies are, in one chunk.
        // SAFETY: valid and aligned to `size`; other blocks change it by atomics too, unless the kernel races.
        unsafe {
            match size {
                2 => {
                    let cell = AtomicU16::from_ptr(target.cast());
                    let _ = cell
                        .fetch_update(Ordering::AcqRel, Ordering::Acquire, |old| Some(update(u64::from(old)) as u16));
                }
                4 => {
                    let cell = AtomicU32::from_ptr(target.cast());
                    let _ = cell
                        .fetch_update(Ordering::AcqRel, Ordering::Acquire, |old| Some(update(u64::from(old)) as u32));
                }
                _ => {
                    let cell = AtomicU64::from_ptr(target.cast());
                    let _ = cell.fetch_update(Ordering::AcqRel, Ordering::Acquire, |old| Some(update(old)));
                }
            }
        }
    }
}
