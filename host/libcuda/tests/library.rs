//! Libraries: a module that each context loads when it first uses it.

mod common;
#[path = "common/raw.rs"]
mod raw;

use std::{
    ffi::CString,
    ptr::{from_mut, null, null_mut},
};

use raw::*;

#[test]
fn a_kernel_of_a_library_is_launched_as_it_is_and_as_a_function() {
    let _context = common::simulated();
    let image = CString::new(common::ADD).unwrap();
    let (mut library, mut kernel, mut function, mut again) = (null_mut(), null_mut(), null_mut(), null_mut());
    let (mut count, mut value, mut address, mut bytes) = (0, 0, 0, 0);
    // SAFETY: results outlive their calls; `add` over no elements touches nothing.
    unsafe {
        let load = |library: &mut Raw| {
            cuLibraryLoadData(library, image.as_ptr().cast(), null(), null_mut(), 0, null(), null_mut(), 0)
        };
        assert_eq!(load(&mut library), 0, "{:?}", libcuda::refusal());
        assert_eq!(cuLibraryGetKernelCount(&mut count, library), 0);
        assert_eq!(count, 1);
        assert_eq!(cuLibraryGetKernel(&mut kernel, library, c"sub".as_ptr()), 500);
        assert!(libcuda::refusal().unwrap().contains("it has: add"));
        assert_eq!(cuLibraryGetKernel(&mut kernel, library, c"add".as_ptr()), 0);
        assert_eq!(cuKernelGetFunction(&mut function, kernel), 0);
        assert_eq!(cuKernelGetFunction(&mut again, kernel), 0);
        assert_eq!(function, again, "a context loads it once");
        assert_ne!(function, kernel);
        let mut zero = 0_u64;
        let mut params = [from_mut(&mut zero).cast(); 4];
        for launched in [kernel, function] {
            let params = params.as_mut_ptr();
            assert_eq!(cuLaunchKernel(launched, 1, 1, 1, 32, 1, 1, 0, null_mut(), params, null_mut()), 0);
            assert_eq!(cuLaunchKernel(launched, 1, 1, 1, 512, 1, 1, 0, null_mut(), params, null_mut()), 1);
        }
        assert_eq!(cuKernelGetAttribute(&mut value, 0, kernel, 0), 0);
        assert_eq!(value, 256, "its .maxntid");
        assert_eq!(cuKernelSetAttribute(8, 64 << 10, kernel, 0), 0);
        assert_eq!(cuFuncGetAttribute(&mut value, 8, function), 0);
        assert_eq!(value, 64 << 10);
        assert_eq!(cuKernelGetAttribute(&mut value, 0, kernel, 1), 101);
        assert_eq!(cuLibraryGetGlobal(&mut address, &mut bytes, library, c"answer".as_ptr()), 0);
        assert_eq!((cuMemcpyDtoH_v2(from_mut(&mut value).cast(), address, bytes), bytes, value), (0, 4, 42));

        assert_eq!(cuLibraryUnload(library), 0);
        assert_eq!(cuLibraryUnload(library), 400);
        for stale in [kernel, function] {
            let params = params.as_mut_ptr();
            assert_eq!(cuLaunchKernel(stale, 1, 1, 1, 32, 1, 1, 0, null_mut(), params, null_mut()), 400);
        }
        assert_eq!(cuMemcpyDtoH_v2(from_mut(&mut value).cast(), address, bytes), 1, "its variables are gone");
    }
}
