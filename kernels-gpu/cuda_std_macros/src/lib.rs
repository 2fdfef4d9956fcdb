//! The attribute that makes a function a kernel.
