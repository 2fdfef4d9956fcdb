//! All that the simulated driver remembers, behind one lock.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    capture::Captures,
    context::Context,
    device::{self, Spec},
    event::Event,
    function::Function,
    graph::{Graph, GraphExec},
    handle::{Handle, Kind},
    host_memory::HostBlock,
    library::{Kernel, Library},
    module::LoadedModule,
    status::{self, Answer, Code, Status, answer},
    stream::Stream,
};
use crate::{Instance, Memory};

/// The driver once it has started. Work is never done under the lock, only looked up.
pub(super) struct State {
    pub(super) spec: &'static Spec,
    pub(super) memory: Arc<Memory>,
    pub(super) contexts: HashMap<Handle, Context>,
    pub(super) primary: Primary,
    pub(super) streams: HashMap<Handle, Stream>,
    pub(super) events: HashMap<Handle, Event>,
    pub(super) modules: HashMap<Handle, LoadedModule>,
    pub(super) functions: HashMap<Handle, Arc<Function>>,
    pub(super) libraries: HashMap<Handle, Library>,
    pub(super) library_kernels: HashMap<Handle, Kernel>,
    pub(super) captures: Captures,
    pub(super) graphs: HashMap<Handle, Graph>,
    pub(super) graph_execs: HashMap<Handle, GraphExec>,
    /// Device allocations: base and owner.
    pub(super) allocations: HashMap<u64, Handle>,
    /// Pinned host memory by its address.
    pub(super) host_blocks: HashMap<usize, HostBlock>,
}

/// The context that everyone shares: one handle for ever, alive while it is retained.
pub(super) struct Primary {
    pub(super) handle: Handle,
    pub(super) retained: u32,
    pub(super) flags: u32,
}

static STATE: Mutex<Option<State>> = Mutex::new(None);

/// The state, locked; only made where the driver has started.
pub(super) struct Locked(MutexGuard<'static, Option<State>>);

impl std::ops::Deref for Locked {
    type Target = State;
    fn deref(&self) -> &State {
        self.0.as_ref().expect("Locked is made of a started driver only")
    }
}

impl std::ops::DerefMut for Locked {
    fn deref_mut(&mut self) -> &mut State {
        self.0.as_mut().expect("Locked is made of a started driver only")
    }
}

pub(super) fn init(flags: u32) -> Code {
    answer(|| {
        if flags != 0 {
            return Err(Status::InvalidValue.because(format!("cuInit has no flags, and was given {flags:#x}")));
        }
        device::settle(|spec| {
            lock().get_or_insert_with(|| State::new(spec));
        })
    })
}

fn lock() -> MutexGuard<'static, Option<State>> {
    // A panic leaves the maps whole; what it interrupted is gone, as after a failed call.
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn new(spec: &'static Spec) -> Self {
        Self {
            spec,
            memory: Arc::new(Memory::with_capacity(spec.memory_bytes)),
            contexts: HashMap::new(),
            primary: Primary { handle: Handle::new(Kind::Context), retained: 0, flags: 0 },
            streams: HashMap::new(),
            events: HashMap::new(),
            modules: HashMap::new(),
            functions: HashMap::new(),
            libraries: HashMap::new(),
            library_kernels: HashMap::new(),
            captures: Captures::default(),
            graphs: HashMap::new(),
            graph_execs: HashMap::new(),
            allocations: HashMap::new(),
            host_blocks: HashMap::new(),
        }
    }

    pub(super) fn lock() -> Answer<Locked> {
        let state = lock();
        match *state {
            Some(_) => Ok(Locked(state)),
            None => Err(Status::NotInitialized.because("cuInit comes before every other call")),
        }
    }

    /// The figures of the GPU that has started.
    pub(super) fn started() -> Option<&'static Spec> {
        lock().as_ref().map(|state| state.spec)
    }

    /// Frees everything that belongs to a context; the context itself stays.
    pub(super) fn clear_context(&mut self, context: Handle) {
        self.streams.retain(|_, stream| stream.context != context);
        self.events.retain(|_, event| event.context != context);
        self.graphs.retain(|_, graph| graph.context != context);
        self.graph_execs.retain(|_, exec| exec.context != context);
        self.captures.forget_context(context);
        self.functions.retain(|_, function| function.context != context);
        self.host_blocks.retain(|_, block| block.context != context);
        let gone: HashSet<u64> =
            self.allocations.iter().filter(|(_, owner)| **owner == context).map(|(base, _)| *base).collect();
        for base in gone {
            self.allocations.remove(&base);
            self.memory.free(base).expect("the list of allocations follows the memory's own");
        }
        let modules: Vec<Handle> =
            self.modules.iter().filter(|(_, module)| module.context == context).map(|(handle, _)| *handle).collect();
        for handle in modules {
            let module = self.modules.remove(&handle).expect("listed above");
            self.release(module.instance);
        }
        if let Some(context) = self.contexts.get_mut(&context)
            && context.fault.take().is_some()
        {
            status::set_fault(None);
        }
    }

    /// Frees the variables of a module that nobody can launch any more.
    pub(super) fn release(&self, instance: Instance) {
        instance.release(&self.memory).expect("only the module itself frees its variables");
    }
}
