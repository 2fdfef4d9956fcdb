//! What is captured, and what its launches do.

use std::{
    ffi::c_void,
    ptr::{from_mut, null_mut},
};

use crate::{bench::*, raw::*};

#[test]
fn captured_work_is_done_by_each_launch_of_its_graph_and_not_before() {
    let _alone = alone();
    let bench = Bench::new();
    let mut result = vec![0.0_f32; LENGTH];
    let sum = bench.sum.as_device_ptr().as_raw();
    bench.begin(GLOBAL);
    assert_eq!(bench.status(), 1);
    // SAFETY: the buffers have BYTES bytes and outlive the graph.
    unsafe {
        assert_eq!(cuMemsetD32Async(sum, 2.0_f32.to_bits(), LENGTH, bench.raw()), 0);
        assert_eq!(bench.add(), 0);
        assert_eq!(cuMemcpyDtoHAsync_v2(result.as_mut_ptr().cast(), sum, BYTES, bench.raw()), 0);
    }
    let graph = bench.ended();
    assert_eq!(bench.status(), 0);
    assert_eq!((bench.sum(), result[0]), (0.0, 0.0), "nothing has run");
    assert_eq!(kinds(graph), [2, 0, 1], "memset, kernel, memcpy");
    assert_eq!(edges(graph), 2);
    let exec = instantiate(graph);
    // SAFETY: live handles; the executable graph lives on without the graph.
    unsafe {
        assert_eq!(cuGraphDestroy(graph), 0);
        assert_eq!(cuGraphDestroy(graph), 400);
        for _ in 0..2 {
            result.fill(0.0);
            assert_eq!(cuGraphLaunch(exec, bench.raw()), 0);
            assert_eq!(cuStreamSynchronize(bench.raw()), 0);
            assert!(result.iter().all(|value| *value == 3.0));
        }
        assert_eq!(cuGraphExecDestroy(exec), 0);
        assert_eq!(cuGraphLaunch(exec, bench.raw()), 400);
    }
    assert!(why().contains("executable graph that was destroyed before"));
}

#[test]
fn a_fork_joined_by_events_is_one_graph() {
    let _alone = alone();
    let bench = Bench::new();
    let joined = event(UNTIMED);
    let sum = bench.sum.as_device_ptr().as_raw();
    bench.begin(GLOBAL);
    // SAFETY: live handles throughout.
    unsafe {
        assert_eq!(cuMemsetD32Async(sum, 0, LENGTH, bench.raw()), 0);
        assert_eq!(cuEventRecord(bench.event, bench.raw()), 0);
        assert_eq!(cuStreamWaitEvent(bench.other(), bench.event, 0), 0);
        let (mut status, mut id, mut graph, mut tips, mut edges, mut count) =
            (9, 0, null_mut(), std::ptr::null(), std::ptr::null(), 9);
        let info = cuStreamGetCaptureInfo_v3(
            bench.other(),
            &mut status,
            &mut id,
            &mut graph,
            &mut tips,
            &mut edges,
            &mut count,
        );
        assert_eq!((info, status, count), (0, 1, 1), "the other stream has joined behind the memset");
        assert_eq!(cuGraphDestroy(graph), 401, "not while it is captured");
        assert_eq!(cuGraphNodeGetType(*tips, &mut status), 0);
        assert_eq!(status, 2);
        assert_eq!(bench.add_in(bench.other()), 0);
        assert_eq!(cuEventRecord(joined, bench.other()), 0);
        assert_eq!(cuStreamWaitEvent(bench.raw(), joined, 0), 0);
        assert_eq!(bench.add(), 0);
    }
    let graph = bench.ended();
    assert_eq!(kinds(graph), [2, 0, 0]);
    assert_eq!(edges(graph), 3, "the second kernel comes after the memset and after the first");
    assert_eq!(bench.add_in(bench.other()), 0, "the other stream has left the capture");
    assert_eq!(bench.sum(), 1.0);
    let exec = instantiate(graph);
    // SAFETY: live handles.
    assert_eq!(unsafe { cuGraphLaunch(exec, bench.other()) }, 0);
    assert_eq!(bench.sum(), 2.0);
}

extern "C" fn increment(data: *mut c_void) {
    // SAFETY: the tests pass a number that outlives the graph.
    unsafe { *data.cast::<u32>() += 1 };
}

#[test]
fn host_functions_external_events_and_child_graphs_are_nodes() {
    let _alone = alone();
    let bench = Bench::new();
    let timed = event(TIMED);
    let mut calls = 0_u32;
    // SAFETY: live handles; `calls` outlives both graphs.
    unsafe {
        assert_eq!(cuEventRecordWithFlags(timed, bench.raw(), 1), 1, "only in a capture");
        bench.begin(GLOBAL);
        assert_eq!(cuLaunchHostFunc(bench.raw(), increment, from_mut(&mut calls).cast()), 0);
        assert_eq!(cuEventRecordWithFlags(timed, bench.raw(), 1), 0);
        assert_eq!(cuStreamWaitEvent(bench.raw(), timed, 1), 0);
        let child = bench.ended();
        assert_eq!(kinds(child), [3, 7, 6]);
        let child = instantiate(child);
        bench.begin(GLOBAL);
        assert_eq!(cuGraphLaunch(child, bench.raw()), 0);
        assert_eq!(cuGraphLaunch(child, bench.raw()), 0);
        let graph = bench.ended();
        assert_eq!(kinds(graph), [4, 4]);
        assert_eq!(calls, 0);
        let mut time = 0.0;
        assert_eq!(cuEventElapsedTime(&mut time, timed, timed), 400, "not recorded yet");
        assert_eq!(cuGraphLaunch(instantiate(graph), bench.raw()), 0);
        assert_eq!(calls, 2);
        assert_eq!(cuEventElapsedTime(&mut time, timed, timed), 0);
    }
}

#[test]
fn memory_is_allocated_in_the_order_of_a_stream_outside_captures() {
    let _alone = alone();
    let bench = Bench::new();
    let mut address = 0;
    // SAFETY: the results outlive the calls.
    unsafe {
        assert_eq!(cuMemAllocAsync(&mut address, BYTES, bench.raw()), 0);
        assert_eq!(cuMemsetD32Async(address, 5, LENGTH, bench.raw()), 0);
        bench.begin(GLOBAL);
        assert_eq!(cuMemFreeAsync(address, bench.raw()), 801);
        assert!(why().contains("graphs with their own allocations are not simulated"));
        bench.ended();
        assert_eq!(cuMemFreeAsync(address, bench.raw()), 0);
        assert_eq!(cuMemsetD32Async(address, 5, LENGTH, bench.raw()), 1, "freed in the stream's order");
    }
}
