//! What breaks a capture, with which code, and for whom.

use std::{
    ffi::{CString, c_void},
    ptr::null_mut,
};

use crate::{bench::*, common, raw::*};

extern "C" fn no_callback(_: Raw, _: u32, _: *mut c_void) {}

/// A call that a capture in global mode does not bear, with the code that it answers and a word of the reason.
type Illegal<'a> = (u32, &'a str, &'a dyn Fn() -> u32);

#[test]
#[allow(clippy::undocumented_unsafe_blocks, reason = "one comment stands for all rows of the table")]
fn illegal_calls_answer_their_code_and_invalidate_the_capture() {
    let _alone = alone();
    let bench = Bench::new();
    let recorded = event(UNTIMED);
    // SAFETY: live handles.
    assert_eq!(unsafe { cuEventRecord(recorded, bench.raw()) }, 0);
    let (stream, other, event, sum) = (bench.raw(), bench.other(), bench.event, bench.sum.as_device_ptr().as_raw());
    let host = [0_u32; LENGTH];
    let image = CString::new(common::ADD).unwrap();
    let null: Raw = null_mut();
    // SAFETY, of every call: live handles, and results that outlive the calls.
    let illegal: &[Illegal<'_>] = &[
        (900, "cuStreamSynchronize", &|| unsafe { cuStreamSynchronize(stream) }),
        (900, "cuStreamQuery", &|| unsafe { cuStreamQuery(stream) }),
        (900, "cuStreamSynchronize", &|| unsafe { cuStreamSynchronize(other) }),
        (900, "cuStreamDestroy", &|| unsafe { cuStreamDestroy_v2(stream) }),
        (900, "cuCtxSynchronize", &|| unsafe { cuCtxSynchronize() }),
        (900, "cuMemAlloc", &|| unsafe { cuMemAlloc_v2(&mut 0, 16) }),
        (900, "cuMemFree", &|| unsafe { cuMemFree_v2(sum) }),
        (900, "cuMemHostAlloc", &|| unsafe { cuMemAllocHost_v2(&mut null_mut(), 16) }),
        (900, "loading a module", &|| unsafe { cuModuleLoadData(&mut null_mut(), image.as_ptr().cast()) }),
        (900, "cuEventQuery", &|| unsafe { cuEventQuery(recorded) }),
        (900, "cuLaunchHostFunc", &|| unsafe { cuStreamAddCallback(stream, no_callback, null_mut(), 0) }),
        (905, "CU_EVENT_WAIT_EXTERNAL", &|| unsafe { cuStreamWaitEvent(stream, recorded, 0) }),
        (906, "cuMemcpyHtoD", &|| unsafe { cuMemcpyHtoD_v2(sum, host.as_ptr().cast(), BYTES) }),
        (906, "cuMemsetD32", &|| unsafe { cuMemsetD32_v2(sum, 0, LENGTH) }),
        (906, "cuLaunchKernel", &|| bench.add_in(null_mut())),
        (906, "cuMemsetD32Async", &|| unsafe { cuMemsetD32Async(sum, 0, LENGTH, null) }),
        (906, "cuStreamSynchronize", &|| unsafe { cuStreamSynchronize(std::ptr::without_provenance_mut(1)) }),
        (906, "cuEventRecord", &|| unsafe { cuEventRecord(event, null) }),
        (907, "cuEventQuery", &|| unsafe { cuEventRecord(event, stream) + cuEventQuery(event) }),
        (907, "cuEventSynchronize", &|| unsafe { cuEventRecord(event, stream) + cuEventSynchronize(event) }),
        (903, "only joined", &|| unsafe {
            cuEventRecord(event, stream)
                + cuStreamWaitEvent(other, event, 0)
                + cuStreamEndCapture(other, &mut null_mut())
        }),
    ];
    for (row, (code, word, call)) in illegal.iter().enumerate() {
        bench.begin(GLOBAL);
        assert_eq!(call(), *code, "row {row}, {word}: {:?}", libcuda::refusal());
        assert!(why().contains(word), "row {row}, {word} is not in: {}", why());
        assert_eq!(bench.status(), 2, "row {row}, {word}");
        assert_eq!(bench.add(), 901, "row {row}: what follows finds the capture broken");
        assert!(why().contains(word), "row {row}, {word} is not in: {}", why());
        let (code, graph) = bench.end();
        assert_eq!((code, graph), (901, null_mut()), "row {row}, {word}");
        assert!(why().contains(word), "row {row}, {word} is not in: {}", why());
        assert_eq!(bench.status(), 0);
    }
    assert_eq!(bench.add(), 0, "the stream works on");
    assert_eq!(bench.sum(), 1.0, "and none of it ran");
}

#[test]
fn a_question_about_the_legacy_stream_leaves_the_capture_as_it_is() {
    let _alone = alone();
    let bench = Bench::new();
    bench.begin(GLOBAL);
    let mut status = 0;
    // SAFETY: `status` outlives the calls.
    unsafe {
        assert_eq!(cuStreamIsCapturing(null_mut(), &mut status), 906);
        assert_eq!(cuStreamBeginCapture_v2(bench.raw(), GLOBAL), 401, "it captures already");
        assert_eq!(cuStreamBeginCapture_v2(null_mut(), GLOBAL), 900);
        assert_eq!(cuStreamBeginCapture_v2(bench.other(), 3), 1);
        assert_eq!(cuStreamEndCapture(null_mut(), &mut null_mut()), 401);
        assert_eq!(cuStreamEndCapture(bench.other(), &mut null_mut()), 401);
        assert_eq!(cuEventQuery(bench.event), 0, "an event that was never recorded has nothing to ask for");
    }
    assert!(kinds(bench.ended()).is_empty());
}

#[test]
fn a_capture_in_a_non_blocking_stream_leaves_the_legacy_stream_alone() {
    let _alone = alone();
    let bench = Bench::new();
    let mut free: Raw = null_mut(); // cust drops NON_BLOCKING from its streams' flags
    let sum = bench.sum.as_device_ptr().as_raw();
    // SAFETY: live handles, results that outlive the calls.
    unsafe {
        assert_eq!(cuStreamCreate(&mut free, 1), 0);
        assert_eq!(cuStreamBeginCapture_v2(free, GLOBAL), 0);
        assert_eq!(bench.add_in(null_mut()), 0);
        assert_eq!(cuMemsetD32_v2(sum, 0, LENGTH), 900, "{:?}", libcuda::refusal());
        assert_eq!(cuStreamEndCapture(free, &mut null_mut()), 901);
        assert_eq!(cuStreamBeginCapture_v2(free, RELAXED), 0);
        assert_eq!(cuMemsetD32_v2(sum, 0, LENGTH), 0);
        assert_eq!(cuStreamEndCapture(free, &mut null_mut()), 0);
        assert_eq!(cuStreamDestroy_v2(free), 0);
    }
}

/// What an allocation answers in a thread of its own.
fn allocation_elsewhere(mode: u32) -> u32 {
    let work = move || {
        let _context = common::simulated();
        let (mut mode, mut address) = (mode, 0);
        // SAFETY: the results outlive the calls.
        unsafe {
            assert_eq!(cuThreadExchangeStreamCaptureMode(&mut mode), 0);
            assert_eq!(mode, GLOBAL, "every thread begins with it");
            let code = cuMemAlloc_v2(&mut address, 16);
            assert_eq!(cuMemFree_v2(address), code, "null is freed without effect, where freeing is allowed");
            code
        }
    };
    std::thread::spawn(work).join().unwrap()
}

#[test]
fn modes_say_whom_a_capture_keeps_from_unsafe_calls() {
    let _alone = alone();
    let bench = Bench::new();
    let allocate = || {
        let mut address = 0;
        // SAFETY: the result outlives the call.
        let code = unsafe { cuMemAlloc_v2(&mut address, 16) };
        // SAFETY: as above.
        assert_eq!(unsafe { cuMemFree_v2(address) }, code);
        code
    };
    // Mode of the capture; codes in its own thread, in a global, a thread-local and a relaxed thread beside it.
    let table = [(GLOBAL, [900, 900, 0, 0]), (THREAD_LOCAL, [900, 0, 0, 0]), (RELAXED, [0, 0, 0, 0])];
    for (mode, codes) in table {
        bench.begin(mode);
        let got = [GLOBAL, THREAD_LOCAL, RELAXED].map(allocation_elsewhere);
        assert_eq!(got, codes[1..], "mode {mode}");
        assert_eq!(bench.status(), if codes[1] == 0 { 1 } else { 2 }, "mode {mode}");
        assert_eq!(allocate(), codes[0], "mode {mode}");
        let _ = bench.end();
        // A thread that has opted out may, whatever it captures.
        let mut own = RELAXED;
        // SAFETY: the mode outlives the calls.
        unsafe {
            assert_eq!(cuThreadExchangeStreamCaptureMode(&mut own), 0);
            bench.begin(mode);
            assert_eq!(allocate(), 0, "mode {mode}");
            assert_eq!(cuThreadExchangeStreamCaptureMode(&mut own), 0);
        }
        assert_eq!(own, RELAXED);
        bench.ended();
    }
    // SAFETY: the mode outlives the call.
    assert_eq!(unsafe { cuThreadExchangeStreamCaptureMode(&mut 7) }, 1);
}

#[test]
fn forks_must_join_captures_must_not_and_the_thread_matters() {
    let _alone = alone();
    let bench = Bench::new();
    let second = Bench::new();
    // SAFETY: live handles throughout.
    unsafe {
        bench.begin(GLOBAL);
        assert_eq!(cuEventRecord(bench.event, bench.raw()), 0);
        assert_eq!(cuStreamWaitEvent(bench.other(), bench.event, 0), 0);
        assert_eq!(bench.add_in(bench.other()), 0);
        assert_eq!(bench.end(), (904, null_mut()));
        assert!(why().contains("work (kernel) in another stream"), "{}", why());
        assert_eq!(bench.add_in(bench.other()), 0, "both streams are free again");
        assert_eq!(cuStreamWaitEvent(bench.raw(), bench.event, 0), 907, "the event marks a capture that ended");

        // A stream that joined without work need not come back.
        bench.begin(GLOBAL);
        assert_eq!(cuEventRecord(bench.event, bench.raw()), 0);
        assert_eq!(cuStreamWaitEvent(bench.other(), bench.event, 0), 0);
        assert!(kinds(bench.ended()).is_empty());

        bench.begin(GLOBAL);
        second.begin(GLOBAL);
        assert_eq!(cuEventRecord(bench.event, bench.raw()), 0);
        assert_eq!(cuStreamWaitEvent(second.raw(), bench.event, 0), 902);
        assert!(why().contains("two captures cannot be merged"), "{}", why());
        assert_eq!((bench.end().0, second.end().0), (901, 901));

        bench.begin(GLOBAL);
        assert_eq!(cuEventRecord(bench.event, bench.raw()), 0);
        assert_eq!(cuStreamWaitEvent(null_mut(), bench.event, 0), 906);
        assert_eq!(bench.end().0, 901);
    }
    for (mode, code, left) in [(GLOBAL, 908, 901), (THREAD_LOCAL, 908, 901), (RELAXED, 0, 401)] {
        bench.begin(mode);
        let stream = bench.raw() as usize;
        let elsewhere = move || {
            let _context = common::simulated();
            // SAFETY: the stream is alive.
            unsafe { cuStreamEndCapture(stream as Raw, &mut null_mut()) }
        };
        assert_eq!(std::thread::spawn(elsewhere).join().unwrap(), code);
        assert_eq!(bench.end().0, left, "mode {mode}");
    }
}
