//! Graphs, which captures make, and their executable copies.

use std::{
    ffi::{c_int, c_uint},
    sync::Arc,
};

use super::{
    abi::{HostTarget, Out, OutArray},
    context::with_working_context,
    handle::{Handle, Kind},
    queue::enqueue,
    state::State,
    status::{Answer, Code, Status, answer},
    stream::with_stream,
};

/// A piece of work that can be done again and again, in the context that it is given.
pub(super) type Work = Arc<dyn Fn(Handle) -> Answer<()> + Send + Sync>;

/// `CUgraphNodeType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum NodeKind {
    Kernel = 0,
    Copy = 1,
    Fill = 2,
    Host = 3,
    Graph = 4,
    WaitEvent = 6,
    RecordEvent = 7,
}

impl NodeKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Copy => "memcpy",
            Self::Fill => "memset",
            Self::Host => "host function",
            Self::Graph => "child graph",
            Self::WaitEvent => "event wait",
            Self::RecordEvent => "event record",
        }
    }
}

/// One piece of work and what it comes after.
pub(super) struct Node {
    pub(super) handle: Handle,
    pub(super) context: Handle,
    pub(super) kind: NodeKind,
    /// Indices of earlier nodes: the order of the nodes is one that their edges allow.
    pub(super) dependencies: Vec<usize>,
    pub(super) work: Work,
}

/// A graph: nodes may only be added, and only by a capture.
pub(super) struct Graph {
    pub(super) context: Handle,
    pub(super) nodes: Vec<Arc<Node>>,
}

impl Graph {
    pub(super) fn new(context: Handle) -> Self {
        Self { context, nodes: Vec::new() }
    }

    /// The node that none of `tips` comes after, if there is one.
    pub(super) fn not_before(&self, tips: &[usize]) -> Option<&Node> {
        let mut before = vec![false; self.nodes.len()];
        let mut pending = tips.to_vec();
        while let Some(index) = pending.pop() {
            if !std::mem::replace(&mut before[index], true) {
                pending.extend(&self.nodes[index].dependencies);
            }
        }
        before.iter().position(|before| !before).map(|index| &*self.nodes[index])
    }
}

/// A graph as it was when it was instantiated.
pub(super) struct GraphExec {
    pub(super) context: Handle,
    nodes: Arc<[Arc<Node>]>,
}

impl State {
    fn graph(&self, handle: Handle) -> Answer<&Graph> {
        self.graphs.get(&handle).ok_or_else(|| handle.stale(Kind::Graph))
    }

    /// A graph that no capture is adding to.
    fn finished_graph(&self, handle: Handle) -> Answer<&Graph> {
        if self.captures.build(handle) {
            return Err(Status::IllegalState.because("the graph is still being captured: end the capture first"));
        }
        self.graph(handle)
    }
}

fn instantiate_graph(out: &Out<Handle>, graph: Handle, flags: u64) -> Answer<()> {
    const DEVICE_LAUNCH: u64 = 4;
    /// That, and: free on launch, upload, use the nodes' priorities, which change nothing here.
    const KNOWN: u64 = 0xf;
    if flags & !KNOWN != 0 {
        return Err(Status::InvalidValue.because(format!("graph flags {flags:#x} are unknown")));
    }
    if flags & DEVICE_LAUNCH != 0 {
        return Err(Status::NotSupported.because("graphs that kernels launch are not simulated"));
    }
    let (mut state, context) = with_working_context()?;
    let nodes = state.finished_graph(graph)?.nodes.clone().into();
    let handle = Handle::new(Kind::GraphExec);
    out.set(handle)?;
    state.graph_execs.insert(handle, GraphExec { context, nodes });
    Ok(())
}

pub(super) extern "C" fn instantiate_with_flags(out: Out<Handle>, graph: Handle, flags: u64) -> Code {
    answer(|| instantiate_graph(&out, graph, flags))
}

/// The form of CUDA 10 and 11, with room for the node that is at fault and a log.
pub(super) extern "C" fn instantiate_with_log(
    out: Out<Handle>,
    graph: Handle,
    error_node: Out<Handle>,
    mut log: HostTarget<'_>,
    room: usize,
) -> Code {
    answer(|| {
        error_node.set_if_wanted(Handle::NULL);
        if room > 0 && !log.is_null() {
            log.write_text("", room)?;
        }
        instantiate_graph(&out, graph, 0)
    })
}

/// `CUDA_GRAPH_INSTANTIATE_PARAMS` of cuda.h.
#[repr(C)]
pub(super) struct InstantiateParams {
    flags: u64,
    upload_stream: Handle,
    error_node: Handle,
    result: c_uint,
}

pub(super) extern "C" fn instantiate_with_params(
    out: Out<Handle>,
    graph: Handle,
    params: Option<&mut InstantiateParams>,
) -> Code {
    answer(|| {
        let params = params.ok_or_else(|| Status::InvalidValue.because("the parameters are null"))?;
        (params.error_node, params.result) = (Handle::NULL, 1); // CUDA_GRAPH_INSTANTIATE_ERROR until it is not
        instantiate_graph(&out, graph, params.flags)?;
        params.result = 0;
        Ok(())
    })
}

/// An empty graph; nodes come by captures only.
pub(super) extern "C" fn create(out: Out<Handle>, flags: c_uint) -> Code {
    answer(|| {
        if flags != 0 {
            return Err(Status::InvalidValue.because("cuGraphCreate has no flags"));
        }
        let (mut state, context) = with_working_context()?;
        let handle = Handle::new(Kind::Graph);
        out.set(handle)?;
        state.graphs.insert(handle, Graph::new(context));
        Ok(())
    })
}

pub(super) extern "C" fn destroy(graph: Handle) -> Code {
    answer(|| {
        let mut state = State::lock()?;
        state.finished_graph(graph)?;
        state.graphs.remove(&graph);
        Ok(())
    })
}

pub(super) extern "C" fn exec_destroy(exec: Handle) -> Code {
    answer(|| {
        let removed = State::lock()?.graph_execs.remove(&exec);
        removed.map(drop).ok_or_else(|| exec.stale(Kind::GraphExec))
    })
}

/// Instantiating has done all that an upload does.
pub(super) extern "C" fn upload(exec: Handle, stream: Handle) -> Code {
    answer(|| {
        let (state, _) = with_stream(stream)?;
        state.graph_execs.get(&exec).map(drop).ok_or_else(|| exec.stale(Kind::GraphExec))
    })
}

/// Launched into a stream that captures, the graph becomes a child of the one that is captured.
pub(super) extern "C" fn launch(exec: Handle, stream: Handle) -> Code {
    answer(|| {
        let state = State::lock()?;
        let found = state.graph_execs.get(&exec).ok_or_else(|| exec.stale(Kind::GraphExec))?;
        let nodes = Arc::clone(&found.nodes);
        drop(state);
        enqueue(stream, "cuGraphLaunch", NodeKind::Graph, move |context| run(&nodes, context))
    })
}

/// Does the work of every node. As on hardware, a launch does not tell what its nodes do wrong: that breaks the
/// context, and what comes after the broken node is not done.
fn run(nodes: &[Arc<Node>], context: Handle) -> Answer<()> {
    for (index, node) in nodes.iter().enumerate() {
        if State::lock()?.check_fault(context).is_err() {
            break;
        }
        if let Err(refused) = (node.work)(node.context) {
            let status = match refused.status {
                // A copy of memory that was there at the capture and is not any more.
                Status::InvalidValue => Status::IllegalAddress,
                _ => Status::LaunchFailed,
            };
            let text = format!("node {index} ({}) of the launched graph failed: {}", node.kind.name(), refused.why);
            State::lock()?.break_context(node.context, status, text);
        }
    }
    Ok(())
}

/// Hands out as many of `all` as there is room for, or their number where there is no room.
fn list(all: impl ExactSizeIterator<Item = Handle>, out: &OutArray<Handle>, count: &mut usize) {
    let total = all.len();
    if out.is_null() {
        *count = total;
        return;
    }
    let room = *count;
    *count = room.min(total);
    let mut all = all;
    for index in 0..room {
        // Slots past the last node are set to null, as cuda.h has it.
        out.set(index, all.next().unwrap_or(Handle::NULL));
    }
}

pub(super) extern "C" fn get_nodes(graph: Handle, out: OutArray<Handle>, count: Option<&mut usize>) -> Code {
    answer(|| {
        let count = count.ok_or_else(|| Status::InvalidValue.because("the pointer to the number of nodes is null"))?;
        let state = State::lock()?;
        list(state.graph(graph)?.nodes.iter().map(|node| node.handle), &out, count);
        Ok(())
    })
}

pub(super) extern "C" fn get_root_nodes(graph: Handle, out: OutArray<Handle>, count: Option<&mut usize>) -> Code {
    answer(|| {
        let count = count.ok_or_else(|| Status::InvalidValue.because("the pointer to the number of nodes is null"))?;
        let state = State::lock()?;
        let roots = state.graph(graph)?.nodes.iter().filter(|node| node.dependencies.is_empty());
        let roots: Vec<_> = roots.map(|node| node.handle).collect();
        list(roots.into_iter(), &out, count);
        Ok(())
    })
}

pub(super) extern "C" fn get_edges(
    graph: Handle,
    from: OutArray<Handle>,
    to: OutArray<Handle>,
    count: Option<&mut usize>,
) -> Code {
    answer(|| {
        let count = count.ok_or_else(|| Status::InvalidValue.because("the pointer to the number of edges is null"))?;
        if from.is_null() != to.is_null() {
            return Err(Status::InvalidValue.because("of the two arrays of an edge's ends one is null"));
        }
        let state = State::lock()?;
        let nodes = &state.graph(graph)?.nodes;
        let ends =
            nodes.iter().flat_map(|node| node.dependencies.iter().map(|from| (nodes[*from].handle, node.handle)));
        let (sources, targets): (Vec<_>, Vec<_>) = ends.unzip();
        let mut same = *count;
        list(sources.into_iter(), &from, &mut same);
        list(targets.into_iter(), &to, count);
        Ok(())
    })
}

pub(super) extern "C" fn node_get_type(node: Handle, out: Out<c_int>) -> Code {
    answer(|| {
        let state = State::lock()?;
        let mut nodes = state.graphs.values().flat_map(|graph| &graph.nodes);
        let found = nodes.find(|found| found.handle == node).ok_or_else(|| node.stale(Kind::GraphNode))?;
        out.set(found.kind as c_int)
    })
}

const _: () = assert!(size_of::<InstantiateParams>() == 32);
