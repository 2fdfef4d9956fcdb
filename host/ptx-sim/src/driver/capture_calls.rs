//! The calls that begin, end and ask about a capture.

use std::{ffi::c_uint, thread};

use super::{
    abi::Out,
    capture::{Capture, Mode, Point, THREAD_MODE},
    graph::Graph,
    handle::{Handle, Kind},
    state::State,
    status::{Answer, Code, Status, answer},
    stream::with_stream,
};

// `CUstreamCaptureStatus`.
const NOT_CAPTURING: c_uint = 0;
const ACTIVE: c_uint = 1;
const INVALIDATED: c_uint = 2;

/// The form of CUDA 10.0, without a mode.
pub(super) extern "C" fn begin_global(stream: Handle) -> Code {
    begin(stream, Mode::Global as c_uint)
}

pub(super) extern "C" fn begin(handle: Handle, mode: c_uint) -> Code {
    answer(|| {
        let mode = Mode::of(mode)?;
        if handle.is_legacy() {
            let why = "the legacy stream cannot capture, since it waits for all others: create a stream";
            return Err(Status::CaptureUnsupported.because(why));
        }
        let (mut state, context) = with_stream(handle)?;
        let Some(stream) = state.streams.get(&handle) else {
            return Err(Status::NotSupported.because("the per-thread stream does not capture here: create a stream"));
        };
        if stream.point.is_some() {
            return Err(Status::IllegalState.because("the stream takes part in a capture already: end that first"));
        }
        let graph = Handle::new(Kind::Graph);
        state.graphs.insert(graph, Graph::new(context));
        let thread = thread::current().id();
        let capture = state.captures.begin(Capture { origin: handle, context, mode, thread, graph, broken: None });
        if let Some(stream) = state.streams.get_mut(&handle) {
            stream.point = Some(Point { capture, tips: Vec::new() });
        }
        Ok(())
    })
}

pub(super) extern "C" fn end(handle: Handle, out: Out<Handle>) -> Code {
    answer(|| {
        let (mut state, _) = with_stream(handle)?;
        let point = state.streams.get(&handle).and_then(|stream| stream.point.clone());
        let Some(point) = point else {
            return Err(Status::IllegalState.because("the stream does not capture: cuStreamBeginCapture comes first"));
        };
        let Some(capture) = state.captures.get(point.capture) else {
            return Err(Status::IllegalState.because("the capture ended with its context"));
        };
        let (id, graph) = (point.capture, capture.graph);
        if capture.origin != handle {
            let why = "cuStreamEndCapture of a stream that only joined the capture: end it in the stream that began it";
            return Err(state.break_captures(&[id], Status::CaptureUnmatched, why.to_owned()));
        }
        if capture.mode != Mode::Relaxed && capture.thread != thread::current().id() {
            let why =
                "cuStreamEndCapture in another thread than cuStreamBeginCapture: only a relaxed capture allows that";
            return Err(state.break_captures(&[id], Status::CaptureWrongThread, why.to_owned()));
        }
        let result = state.check_capture(id).and_then(|()| state.check_joined(graph, &point));
        state.close_capture(id);
        let result = result.and_then(|()| out.set(graph));
        if result.is_err() {
            out.set_if_wanted(Handle::NULL);
            state.graphs.remove(&graph);
        }
        result
    })
}

impl State {
    /// Whether all that was captured comes before the end of the stream that began.
    fn check_joined(&self, graph: Handle, end: &Point) -> Answer<()> {
        match self.graphs.get(&graph).and_then(|graph| graph.not_before(&end.tips)) {
            None => Ok(()),
            Some(node) => Err(Status::CaptureUnjoined.because(format!(
                "the capture ended with work ({}) in another stream that it does not wait for: record an event behind \
                 that work and wait for it (cuStreamWaitEvent) in the stream that began the capture",
                node.kind.name()
            ))),
        }
    }

    /// Takes every stream out of a capture.
    fn close_capture(&mut self, id: u64) {
        self.captures.end(id);
        for stream in self.streams.values_mut() {
            stream.point.take_if(|point| point.capture == id);
        }
    }

    /// The condition of a stream's capture and its number.
    fn capture_status(&self, stream: Handle, context: Handle, call: &str) -> Answer<(c_uint, Option<&Point>)> {
        if stream.is_legacy() {
            self.check_legacy(context, call)?;
        }
        let point = self.streams.get(&stream).and_then(|stream| stream.point.as_ref());
        Ok(match point {
            None => (NOT_CAPTURING, None),
            Some(point) if self.check_capture(point.capture).is_err() => (INVALIDATED, Some(point)),
            Some(point) => (ACTIVE, Some(point)),
        })
    }
}

pub(super) extern "C" fn is_capturing(handle: Handle, out: Out<c_uint>) -> Code {
    answer(|| {
        let (state, context) = with_stream(handle)?;
        out.set(state.capture_status(handle, context, "cuStreamIsCapturing")?.0)
    })
}

pub(super) extern "C" fn get_info(handle: Handle, status: Out<c_uint>, id: Out<u64>) -> Code {
    get_info_v2(handle, status, id, Out::null(), Out::null(), Out::null())
}

pub(super) extern "C" fn get_info_v2(
    handle: Handle,
    status: Out<c_uint>,
    id: Out<u64>,
    graph: Out<Handle>,
    dependencies: Out<*const Handle>,
    count: Out<usize>,
) -> Code {
    get_info_v3(handle, status, id, graph, dependencies, Out::null(), count)
}

/// Edges carry no data here; the array of dependencies lives until the stream's next call.
pub(super) extern "C" fn get_info_v3(
    handle: Handle,
    status: Out<c_uint>,
    id: Out<u64>,
    graph: Out<Handle>,
    dependencies: Out<*const Handle>,
    edges: Out<*const u8>,
    count: Out<usize>,
) -> Code {
    answer(|| {
        let (mut state, context) = with_stream(handle)?;
        let (condition, point) = state.capture_status(handle, context, "cuStreamGetCaptureInfo")?;
        status.set(condition)?;
        let Some(Point { capture, tips }) = point.filter(|_| condition == ACTIVE).cloned() else { return Ok(()) };
        id.set_if_wanted(capture);
        edges.set_if_wanted(std::ptr::null());
        let under_way = state.captures.get(capture).map_or(Handle::NULL, |capture| capture.graph);
        graph.set_if_wanted(under_way);
        let nodes = state.graphs.get(&under_way).map_or(&[][..], |graph| &graph.nodes);
        let handles: Vec<Handle> = tips.iter().filter_map(|tip| nodes.get(*tip)).map(|node| node.handle).collect();
        count.set_if_wanted(handles.len());
        if let Some(stream) = state.streams.get_mut(&handle) {
            stream.shown = handles;
            dependencies.set_if_wanted(stream.shown.as_ptr());
        }
        Ok(())
    })
}

pub(super) extern "C" fn exchange_mode(mode: Option<&mut c_uint>) -> Code {
    answer(|| {
        let slot = mode.ok_or_else(|| Status::InvalidValue.because("the pointer to the mode is null"))?;
        let wanted = Mode::of(*slot)?;
        *slot = THREAD_MODE.replace(wanted) as c_uint;
        Ok(())
    })
}
