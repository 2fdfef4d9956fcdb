//! What the tests of captures work with: streams, an event, a kernel, and a look at the graph that comes out.

use std::{
    ffi::c_void,
    ptr::{from_mut, null_mut},
    sync::{Mutex, MutexGuard, PoisonError},
};

use cust::{
    context::Context,
    function::Function,
    memory::DeviceBuffer,
    module::Module,
    stream::{Stream, StreamFlags},
};

use crate::{common, raw::*};

/// A capture in global mode keeps every thread of the process from unsafe calls: one test at a time.
pub(super) fn alone() -> (MutexGuard<'static, ()>, Context) {
    static TURN: Mutex<()> = Mutex::new(());
    (TURN.lock().unwrap_or_else(PoisonError::into_inner), common::simulated())
}

pub(super) const LENGTH: usize = 64;
pub(super) const BYTES: usize = 4 * LENGTH;

pub(super) const TIMED: u32 = 0;
pub(super) const UNTIMED: u32 = 2;

/// An event, which ends with the process: cust keeps the handles of its own to itself.
pub(super) fn event(flags: u32) -> Raw {
    let mut event = null_mut();
    // SAFETY: `event` outlives the call.
    assert_eq!(unsafe { cuEventCreate(&mut event, flags) }, 0);
    event
}

/// Two blocking streams, an event, and `add` with two buffers.
pub(super) struct Bench {
    pub(super) stream: Stream,
    pub(super) other: Stream,
    pub(super) event: Raw,
    pub(super) module: Module,
    pub(super) ones: DeviceBuffer<f32>,
    pub(super) sum: DeviceBuffer<f32>,
}

impl Bench {
    pub(super) fn new() -> Self {
        let stream = || Stream::new(StreamFlags::DEFAULT, None).unwrap();
        Self {
            stream: stream(),
            other: stream(),
            event: event(UNTIMED),
            module: Module::from_ptx(common::ADD, &[]).unwrap(),
            ones: DeviceBuffer::from_slice(&[1.0; LENGTH]).unwrap(),
            sum: DeviceBuffer::from_slice(&[0.0; LENGTH]).unwrap(),
        }
    }

    pub(super) fn raw(&self) -> Raw {
        self.stream.as_inner().cast()
    }

    pub(super) fn other(&self) -> Raw {
        self.other.as_inner().cast()
    }

    /// sum += ones, in a stream.
    pub(super) fn add_in(&self, stream: Raw) -> u32 {
        let (mut n, mut ones, mut sum) =
            (LENGTH as u32, self.ones.as_device_ptr().as_raw(), self.sum.as_device_ptr().as_raw());
        let mut sum_again = sum;
        let mut params: [*mut c_void; 4] = [
            from_mut(&mut n).cast(),
            from_mut(&mut ones).cast(),
            from_mut(&mut sum).cast(),
            from_mut(&mut sum_again).cast(),
        ];
        let function: Function<'_> = self.module.get_function("add").unwrap();
        // SAFETY: the kernel's signature; LENGTH elements everywhere.
        unsafe {
            cuLaunchKernel(
                function.to_raw().cast(),
                1,
                1,
                1,
                LENGTH as u32,
                1,
                1,
                0,
                stream,
                params.as_mut_ptr(),
                null_mut(),
            )
        }
    }

    pub(super) fn add(&self) -> u32 {
        self.add_in(self.raw())
    }

    pub(super) fn sum(&self) -> f32 {
        let sum = self.sum.as_host_vec().unwrap();
        assert!(sum.iter().all(|value| *value == sum[0]));
        sum[0]
    }

    pub(super) fn begin(&self, mode: u32) {
        // SAFETY: a live stream.
        assert_eq!(unsafe { cuStreamBeginCapture_v2(self.raw(), mode) }, 0);
    }

    pub(super) fn end(&self) -> (u32, Raw) {
        let mut graph = std::ptr::dangling_mut();
        // SAFETY: a live stream, and `graph` outlives the call.
        let code = unsafe { cuStreamEndCapture(self.raw(), &mut graph) };
        (code, graph)
    }

    pub(super) fn ended(&self) -> Raw {
        let (code, graph) = self.end();
        assert_eq!(code, 0, "{:?}", libcuda::refusal());
        graph
    }

    pub(super) fn status(&self) -> u32 {
        let mut status = 9;
        // SAFETY: a live stream, and `status` outlives the call.
        assert_eq!(unsafe { cuStreamIsCapturing(self.raw(), &mut status) }, 0);
        status
    }
}

pub(super) fn why() -> String {
    libcuda::refusal().expect("an error has its reason")
}

pub(super) fn kinds(graph: Raw) -> Vec<u32> {
    let mut count = 0;
    let mut nodes = [null_mut(); 16];
    // SAFETY: the arrays are as long as `count` says.
    unsafe {
        assert_eq!(cuGraphGetNodes(graph, null_mut(), &mut count), 0);
        assert!(count <= nodes.len());
        assert_eq!(cuGraphGetNodes(graph, nodes.as_mut_ptr(), &mut count), 0);
    }
    let kind = |node: &Raw| {
        let mut kind = 99;
        // SAFETY: `kind` outlives the call.
        assert_eq!(unsafe { cuGraphNodeGetType(*node, &mut kind) }, 0);
        kind
    };
    nodes[..count].iter().map(kind).collect()
}

pub(super) fn edges(graph: Raw) -> usize {
    let mut count = 0;
    // SAFETY: the number alone is asked for.
    assert_eq!(unsafe { cuGraphGetEdges(graph, null_mut(), null_mut(), &mut count) }, 0);
    count
}

pub(super) fn instantiate(graph: Raw) -> Raw {
    let mut exec = null_mut();
    // SAFETY: `exec` outlives the call.
    assert_eq!(unsafe { cuGraphInstantiateWithFlags(&mut exec, graph, 0) }, 0);
    exec
}
