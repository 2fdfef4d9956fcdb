//! What is done to x before its codes are made, chosen when a kernel is compiled: nothing, for [`Plain`].

use rows::{Edge, Float, Window};

use crate::code::Divisor;

/// Which elements of its row a window has.
#[derive(Clone, Copy)]
pub(crate) struct Columns {
    /// Column of the first.
    pub(crate) first: u64,
    /// How many: as many as a window has, fewer in an edge, 0 where the thread has no such window.
    pub(crate) len: u32,
}

impl From<Edge> for Columns {
    #[inline(always)]
    fn from(edge: Edge) -> Self {
        Columns { first: edge.col, len: edge.len }
    }
}

/// x → what is quantized. Elements of a window past `columns.len` are 0 before and must be after.
pub(crate) trait Transform<T: Float>: Copy {
    /// A window as a thread holds it between the maximum of its row and the codes.
    type Held: Copy;

    /// A window without elements.
    const NOTHING: Self::Held;

    /// The elements of a window of x.
    ///
    /// # Safety
    /// What the transform reads of the `columns` is live.
    unsafe fn hold(self, window: Window, columns: Columns) -> Self::Held;

    /// As [`Float::absmax`].
    fn absmax(running: [u32; 2], held: Self::Held) -> [u32; 2];

    /// As [`Float::absmax_bits`].
    fn absmax_bits(running: [u32; 2]) -> u32;

    /// As [`Divisor::codes`].
    fn codes(divisor: Divisor, held: Self::Held) -> Window;
}

/// x as it is.
#[derive(Clone, Copy)]
pub(crate) struct Plain;

impl<T: Float> Transform<T> for Plain {
    type Held = Window;
    const NOTHING: Window = [0; 4];

    #[inline(always)]
    unsafe fn hold(self, window: Window, _: Columns) -> Window {
        window
    }

    #[inline(always)]
    fn absmax(running: [u32; 2], held: Window) -> [u32; 2] {
        T::absmax(running, held)
    }

    #[inline(always)]
    fn absmax_bits(running: [u32; 2]) -> u32 {
        T::absmax_bits(running)
    }

    #[inline(always)]
    fn codes(divisor: Divisor, held: Window) -> Window {
        divisor.codes::<T>(held)
    }
}
