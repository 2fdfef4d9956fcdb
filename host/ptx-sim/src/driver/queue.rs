//! The way of a piece of work into its stream: done at once, or noted in the graph that is captured.

use std::sync::Arc;

use super::{engine, graph::NodeKind, handle::Handle, state::State, status::Answer, stream::with_stream};
use crate::Memory;

impl State {
    /// Whether work for a stream is captured; an error where the capture is broken or would be by this.
    pub(super) fn captures(&mut self, stream: Handle, context: Handle, call: &str) -> Answer<bool> {
        if stream.is_legacy() {
            self.refuse_legacy(context, call)?;
        }
        Ok(self.point_of(stream)?.is_some())
    }
}

/// Does `work` in a stream, with the stream's context, or captures it.
pub(super) fn enqueue(
    stream: Handle,
    call: &str,
    kind: NodeKind,
    work: impl Fn(Handle) -> Answer<()> + Send + Sync + 'static,
) -> Answer<()> {
    let (mut state, context) = with_stream(stream)?;
    if state.captures(stream, context, call)? {
        return state.append(stream, kind, Arc::new(work));
    }
    drop(state);
    work(context)
}

/// As [`enqueue`], for work on memory: it comes in its turn, in a context that is still whole.
pub(super) fn enqueue_on_memory(
    stream: Handle,
    call: &str,
    kind: NodeKind,
    work: impl Fn(&Memory) -> Answer<()> + Send + Sync + 'static,
) -> Answer<()> {
    enqueue(stream, call, kind, move |context| {
        let _turn = engine::turn();
        let state = State::lock()?;
        state.check_fault(context)?;
        let memory = Arc::clone(&state.memory);
        drop(state);
        work(&memory)
    })
}
