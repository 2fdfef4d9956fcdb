//! Pointers that cross the C boundary, each with the one way of using it.
//!
//! The types are transparent over raw pointers and only a C caller makes them. cuda.h lays down that a
//! pointer is null or valid for what its function does with it; null is checked here.

use std::{
    ffi::{CStr, c_char, c_void},
    marker::PhantomData,
    slice,
};

use super::status::{Answer, Status};

/// Where one result goes.
#[repr(transparent)]
pub(super) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// A result that nobody wants.
    pub(super) fn null() -> Self {
        Self(std::ptr::null_mut())
    }

    pub(super) fn new(pointer: *mut T) -> Self {
        Self(pointer)
    }

    pub(super) fn set(&self, value: T) -> Answer<()> {
        if self.0.is_null() {
            return Err(Status::InvalidValue.because("the pointer that the result goes to is null"));
        }
        self.set_if_wanted(value);
        Ok(())
    }

    /// For results that a caller may decline with a null pointer.
    pub(super) fn set_if_wanted(&self, value: T) {
        if !self.0.is_null() {
            // SAFETY: not null, hence valid for a write by the caller's contract (see the module).
            unsafe { self.0.write(value) };
        }
    }
}

/// Where an array of results goes, or null.
#[repr(transparent)]
pub(super) struct OutArray<T>(*mut T);

impl<T> OutArray<T> {
    pub(super) fn is_null(&self) -> bool {
        self.0.is_null()
    }

    /// Sets element `index`, which the function's contract says is there. Nothing where the array is null.
    pub(super) fn set(&self, index: usize, value: T) {
        if !self.0.is_null() {
            // SAFETY: not null, and the caller's contract says that the array reaches `index`.
            unsafe { self.0.add(index).write(value) };
        }
    }
}

/// A caller's pointers kept for work that is done later, or again and again. cuda.h lays down that what they point
/// to stays there until the stream has done the work, or the graph that captured it is destroyed.
pub(super) struct Kept<T>(T);

// SAFETY: the caller's contract holds whichever thread does the work, and the engine does one piece at a time.
unsafe impl<T> Send for Kept<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Kept<T> {}

impl<T: Copy> Kept<T> {
    pub(super) fn new(pointers: T) -> Self {
        Self(pointers)
    }

    pub(super) fn get(&self) -> T {
        self.0
    }
}

/// One value or an array of them that a caller passes.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct In<T: Copy>(*const T);

impl<T: Copy> In<T> {
    pub(super) fn null() -> Self {
        Self::new(std::ptr::null())
    }

    /// `pointer` must keep the promise of the module's first lines.
    pub(super) fn new(pointer: *const T) -> Self {
        Self(pointer)
    }

    pub(super) fn is_null(self) -> bool {
        self.0.is_null()
    }

    pub(super) fn get(self) -> Answer<T> {
        self.at(0)
    }

    /// Element `index` of the array, which the function's contract says is there.
    pub(super) fn at(self, index: usize) -> Answer<T> {
        if self.0.is_null() {
            return Err(Status::InvalidValue.because("a pointer to arguments is null"));
        }
        // SAFETY: not null, and the caller's contract says that the array reaches `index`. Arrays of bytes
        // that stand for a parameter need no alignment.
        Ok(unsafe { self.0.add(index).read_unaligned() })
    }
}

/// A NUL-terminated string.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Text<'a>(*const c_char, PhantomData<&'a CStr>);

impl<'a> Text<'a> {
    pub(super) fn bytes(self) -> Answer<&'a [u8]> {
        if self.0.is_null() {
            return Err(Status::InvalidValue.because("a pointer to a string is null"));
        }
        // SAFETY: not null, hence NUL-terminated by the caller's contract, and untouched during the call.
        Ok(unsafe { CStr::from_ptr(self.0) }.to_bytes())
    }

    pub(super) fn get(self) -> Answer<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Status::InvalidValue.because("a string is not UTF-8"))
    }
}

/// Host memory to read from.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct HostSource<'a>(*const c_void, PhantomData<&'a [u8]>);

impl<'a> HostSource<'a> {
    pub(super) fn new(pointer: *const c_void) -> Self {
        Self(pointer, PhantomData)
    }

    pub(super) fn bytes(self, offset: usize, length: usize) -> Answer<&'a [u8]> {
        match (length, self.0.is_null()) {
            (0, _) => Ok(&[]),
            (_, true) => Err(Status::InvalidValue.because("the host pointer to copy from is null")),
            // SAFETY: not null, and the caller's contract says that the range can be read.
            (_, false) => Ok(unsafe { slice::from_raw_parts(self.0.cast::<u8>().add(offset), length) }),
        }
    }
}

/// Host memory to write to.
#[repr(transparent)]
pub(super) struct HostTarget<'a>(*mut c_void, PhantomData<&'a mut [u8]>);

impl HostTarget<'_> {
    pub(super) fn is_null(&self) -> bool {
        self.0.is_null()
    }

    pub(super) fn new(pointer: *mut c_void) -> Self {
        Self(pointer, PhantomData)
    }

    pub(super) fn bytes(&mut self, offset: usize, length: usize) -> Answer<&mut [u8]> {
        match (length, self.0.is_null()) {
            (0, _) => Ok(&mut []),
            (_, true) => Err(Status::InvalidValue.because("the host pointer to copy to is null")),
            // SAFETY: not null, and the caller's contract says that the range can be written. The memory may
            // be uninitialised for Rust, but bytes are only ever written through this slice.
            (_, false) => Ok(unsafe { slice::from_raw_parts_mut(self.0.cast::<u8>().add(offset), length) }),
        }
    }

    /// Copies on the host; the ranges may overlap.
    pub(super) fn copy_from(&mut self, source: HostSource<'_>, length: usize) -> Answer<()> {
        if length != 0 && (self.0.is_null() || source.0.is_null()) {
            return Err(Status::InvalidValue.because("a host pointer of the copy is null"));
        }
        // SAFETY: neither is null, and the caller's contract says that both ranges are there.
        unsafe { source.0.cast::<u8>().copy_to(self.0.cast(), length) };
        Ok(())
    }

    /// Writes `text` with its NUL, cut to `room` bytes as the driver's names are.
    pub(super) fn write_text(&mut self, text: &str, room: usize) -> Answer<()> {
        let Some(longest) = room.checked_sub(1) else {
            return Err(Status::InvalidValue.because("there is no room for a name in 0 bytes"));
        };
        let length = text.len().min(longest);
        let out = self.bytes(0, length + 1)?;
        out[..length].copy_from_slice(&text.as_bytes()[..length]);
        out[length] = 0;
        Ok(())
    }
}
