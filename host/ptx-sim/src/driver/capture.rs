//! Stream capture: work that goes into a graph instead of being done, and the calls that break it.
//!
//! The rules are those of the CUDA programming guide ("Prohibited and Unhandled Operations") and of
//! cuThreadExchangeStreamCaptureMode. A call against them invalidates every capture that it touches, and
//! the reason is kept until cuStreamEndCapture hands it out.

use std::{
    cell::Cell,
    collections::HashMap,
    sync::Arc,
    thread::{self, ThreadId},
};

use super::{
    graph::{Node, NodeKind, Work},
    handle::{Handle, Kind},
    state::State,
    status::{Answer, Refused, Status},
};

/// `CUstreamCaptureMode`: whom a capture keeps from potentially unsafe calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Every thread that has not opted out.
    Global,
    /// The thread that began the capture.
    ThreadLocal,
    /// Nobody.
    Relaxed,
}

impl Mode {
    pub(super) fn of(number: u32) -> Answer<Self> {
        match number {
            0 => Ok(Self::Global),
            1 => Ok(Self::ThreadLocal),
            2 => Ok(Self::Relaxed),
            _ => Err(Status::InvalidValue
                .because(format!("capture mode {number} is unknown: 0 (global), 1 (thread-local) or 2 (relaxed)"))),
        }
    }
}

thread_local! {
    /// The mode of cuThreadExchangeStreamCaptureMode.
    pub(super) static THREAD_MODE: Cell<Mode> = const { Cell::new(Mode::Global) };
}

/// A capture from its beginning to its end.
pub(super) struct Capture {
    pub(super) origin: Handle,
    pub(super) context: Handle,
    pub(super) mode: Mode,
    pub(super) thread: ThreadId,
    /// The graph under construction.
    pub(super) graph: Handle,
    /// What invalidated it.
    pub(super) broken: Option<String>,
}

/// A place in a capture: the nodes that work added there comes after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) capture: u64,
    /// Indices of nodes, ascending.
    pub(super) tips: Vec<usize>,
}

/// The captures in progress by their numbers, which are never used twice.
#[derive(Default)]
pub(super) struct Captures {
    live: HashMap<u64, Capture>,
    begun: u64,
}

impl Captures {
    pub(super) fn get(&self, id: u64) -> Option<&Capture> {
        self.live.get(&id)
    }

    pub(super) fn begin(&mut self, capture: Capture) -> u64 {
        self.begun += 1;
        self.live.insert(self.begun, capture);
        self.begun
    }

    pub(super) fn end(&mut self, id: u64) -> Option<Capture> {
        self.live.remove(&id)
    }

    pub(super) fn forget_context(&mut self, context: Handle) {
        self.live.retain(|_, capture| capture.context != context);
    }

    /// Whether a graph is still under construction.
    pub(super) fn build(&self, graph: Handle) -> bool {
        self.live.values().any(|capture| capture.graph == graph)
    }

    /// The first reason is the cause; what comes after follows from it.
    fn invalidate(&mut self, id: u64, why: &str) {
        if let Some(capture) = self.live.get_mut(&id) {
            capture.broken.get_or_insert_with(|| why.to_owned());
        }
    }

    /// The captures that keep the calling thread from potentially unsafe calls.
    fn prohibiting(&self) -> Vec<u64> {
        let own_mode = THREAD_MODE.get();
        let caller = thread::current().id();
        let prohibits = |capture: &Capture| match own_mode {
            Mode::Relaxed => false,
            _ if capture.thread == caller && capture.mode != Mode::Relaxed => true,
            Mode::Global => capture.mode == Mode::Global,
            Mode::ThreadLocal => false,
        };
        self.live.iter().filter(|(_, capture)| prohibits(capture)).map(|(id, _)| *id).collect()
    }
}

impl State {
    /// Where a stream stands in a capture; an error where that capture is broken.
    pub(super) fn point_of(&self, stream: Handle) -> Answer<Option<&Point>> {
        let Some(point) = self.streams.get(&stream).and_then(|stream| stream.point.as_ref()) else {
            return Ok(None);
        };
        self.check_capture(point.capture)?;
        Ok(Some(point))
    }

    pub(super) fn check_capture(&self, id: u64) -> Answer<()> {
        match self.captures.get(id).and_then(|capture| capture.broken.as_ref()) {
            Some(why) => Err(Status::CaptureInvalidated.because(format!(
                "the capture was invalidated before: {why}; end it with cuStreamEndCapture and capture anew"
            ))),
            None => Ok(()),
        }
    }

    /// Invalidates captures and gives the error to answer.
    pub(super) fn break_captures(&mut self, ids: &[u64], status: Status, why: String) -> Refused {
        for id in ids {
            self.captures.invalidate(*id, &why);
        }
        status.because(why)
    }

    /// Puts work behind a stream's point. The caller has seen that the stream captures.
    pub(super) fn append(&mut self, stream: Handle, kind: NodeKind, work: Work) -> Answer<()> {
        let found = self.streams.get_mut(&stream).ok_or_else(|| stream.stale(Kind::Stream))?;
        let (context, Some(point)) = (found.context, found.point.as_mut()) else {
            return Err(Status::IllegalState.because("the stream does not capture any more"));
        };
        let graph = self.captures.get(point.capture).and_then(|capture| self.graphs.get_mut(&capture.graph));
        let graph = graph.ok_or_else(|| Status::CaptureInvalidated.because("the captured graph is gone"))?;
        let dependencies = std::mem::replace(&mut point.tips, vec![graph.nodes.len()]);
        let handle = Handle::new(Kind::GraphNode);
        graph.nodes.push(Arc::new(Node { handle, context, kind, dependencies, work }));
        Ok(())
    }

    /// Refuses a call that no stream sees, as an allocation, while a capture forbids those.
    pub(super) fn refuse_unsafe(&mut self, call: &str) -> Answer<()> {
        let prohibiting = self.captures.prohibiting();
        if prohibiting.is_empty() {
            return Ok(());
        }
        let why = format!(
            "{call} during a stream capture: no stream orders it, so the graph would not repeat it; call it before the \
             capture, or capture in relaxed mode (cuStreamBeginCapture, cuThreadExchangeStreamCaptureMode)"
        );
        Err(self.break_captures(&prohibiting, Status::CaptureUnsupported, why))
    }

    /// The captures that a blocking stream of the context takes part in: those that the legacy stream would wait for.
    fn blocking_captures(&self, context: Handle) -> Vec<u64> {
        let blocking = self.streams.values().filter(|stream| stream.context == context && stream.is_blocking());
        blocking.filter_map(|stream| stream.point.as_ref().map(|point| point.capture)).collect()
    }

    /// Refuses a use of the legacy stream while a stream that it waits for captures.
    pub(super) fn refuse_legacy(&mut self, context: Handle, call: &str) -> Answer<()> {
        let captures = self.blocking_captures(context);
        if captures.is_empty() {
            Ok(())
        } else {
            Err(self.break_captures(&captures, Status::CaptureImplicit, implicit(call)))
        }
    }

    /// As [`State::refuse_legacy`], for a question that leaves the capture as it is.
    pub(super) fn check_legacy(&self, context: Handle, call: &str) -> Answer<()> {
        match self.blocking_captures(context).as_slice() {
            [] => Ok(()),
            _ => Err(Status::CaptureImplicit.because(implicit(call))),
        }
    }

    /// Refuses a copy or fill that is done when the call returns: it uses the legacy stream and waits for it.
    pub(super) fn refuse_synchronous(&mut self, context: Handle, call: &str) -> Answer<()> {
        self.refuse_legacy(context, call)?;
        self.refuse_unsafe(call)
    }

    /// Refuses to wait for a stream, or to ask whether it is done.
    pub(super) fn refuse_wait(&mut self, stream: Handle, context: Handle, call: &str) -> Answer<()> {
        if stream.is_legacy() {
            self.refuse_legacy(context, call)?;
        }
        if let Some(Point { capture, .. }) = self.point_of(stream)? {
            let capture = *capture;
            let why =
                format!("{call} of a stream that captures: nothing runs that could be waited for; end the capture");
            return Err(self.break_captures(&[capture], Status::CaptureUnsupported, why));
        }
        self.refuse_unsafe(call)
    }

    /// Refuses to wait for a context in which any stream captures.
    pub(super) fn refuse_context_wait(&mut self, context: Handle) -> Answer<()> {
        let streams = self.streams.values().filter(|stream| stream.context == context);
        let captures: Vec<u64> =
            streams.filter_map(|stream| stream.point.as_ref().map(|point| point.capture)).collect();
        if captures.is_empty() {
            return self.refuse_unsafe("cuCtxSynchronize");
        }
        let why = "cuCtxSynchronize while a stream of the context captures: it would wait for work that is not \
                   running; end the capture first";
        Err(self.break_captures(&captures, Status::CaptureUnsupported, why.to_owned()))
    }
}

fn implicit(call: &str) -> String {
    format!(
        "{call} uses the legacy stream, which waits for every blocking stream, and one of those captures: use a stream \
         of its own (the asynchronous call), or capture in a non-blocking stream"
    )
}
