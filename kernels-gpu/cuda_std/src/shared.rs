//! Shared memory: named static arrays and the dynamic part of a launch.
//!
//! A Rust `static mut` would be one copy in global memory for the whole grid. These macros declare `.shared`
//! variables instead; a kernel pays only for those that it names. Addresses are 32 bits in the block's window,
//! for `ld.shared`, `st.shared`, `ldmatrix` and `cp.async`.
//!
//! Write them in the kernel's own crate: link-time optimisation drops the module-level assembly of its dependencies.

/// A static array of the block's shared memory, as a function that gives its address.
///
/// ```
/// cuda_std::shared_array! {
///     /// One maximum a warp.
///     fn warp_maxima() -> [u32; 8];
/// }
/// # fn kernel() {
/// let addr: u32 = warp_maxima();
/// # }
/// ```
/// The name is a symbol of the device module: it must be unique there.
#[macro_export]
macro_rules! shared_array {
    ($(#[$meta:meta])* $vis:vis fn $name:ident() -> [$element:ty; $len:expr];) => {
        #[cfg(target_arch = "nvptx64")]
        ::core::arch::global_asm!(
            concat!(".shared .align {align} .b8 ", stringify!($name), "[{bytes}];"),
            align = const ::core::mem::align_of::<$element>(),
            bytes = const ::core::mem::size_of::<[$element; $len]>(),
        );
        // Also type-checks the array where there is no device.
        const _: usize = ::core::mem::size_of::<[$element; $len]>();
        $crate::shared_address! { $(#[$meta])* $vis fn $name }
    };
}

/// The dynamic shared memory of a launch, aligned to `$align` bytes, as a function that gives its address.
///
/// ```
/// cuda_std::dynamic_shared_mem! {
///     /// The pipeline's slots.
///     fn pipeline() -> align(128);
/// }
/// # fn kernel() {
/// let addr: u32 = pipeline();
/// # }
/// ```
/// The name is a symbol of the device module: it must be unique there.
#[macro_export]
macro_rules! dynamic_shared_mem {
    ($(#[$meta:meta])* $vis:vis fn $name:ident() -> align($align:literal);) => {
        #[cfg(target_arch = "nvptx64")]
        ::core::arch::global_asm!(concat!(".extern .shared .align ", $align, " .b8 ", stringify!($name), "[];"));
        $crate::shared_address! { $(#[$meta])* $vis fn $name }
    };
}

/// The function that gives the address of a `.shared` symbol.
#[doc(hidden)]
#[macro_export]
macro_rules! shared_address {
    ($(#[$meta:meta])* $vis:vis fn $name:ident) => {
        $(#[$meta])*
        #[inline(always)]
        $vis fn $name() -> u32 {
            #[cfg(target_arch = "nvptx64")]
            {
                let addr: u32;
                // SAFETY: the address of a symbol that the same macro declares.
                unsafe {
                    ::core::arch::asm!(
                        concat!("mov.u32 {}, ", stringify!($name), ";"),
                        out(reg32) addr,
                        options(pure, nomem, nostack)
                    )
                };
                addr
            }
            #[cfg(not(target_arch = "nvptx64"))]
            {
                panic!(concat!("`", stringify!($name), "` is shared memory of the GPU"))
            }
        }
    };
}
