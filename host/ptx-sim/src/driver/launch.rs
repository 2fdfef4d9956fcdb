//! Launches.

use std::{
    ffi::{c_uint, c_void},
    sync::Arc,
};

use super::{
    abi::In,
    engine,
    event::record_event,
    function::Function,
    graph::NodeKind,
    handle::Handle,
    launch_attributes::{Attributes, LaunchAttribute},
    launch_checks::{Bounds, Shape},
    launch_params::Given,
    queue::enqueue,
    state::State,
    status::{Answer, Code, Status, answer},
    stream::with_stream,
};
use crate::{Fault, FaultKind, Launch, Memory};

struct Request {
    function: Handle,
    stream: Handle,
    shape: Shape,
    /// The clusters that the launch asks for.
    cluster: Option<[u32; 3]>,
    given: Given,
}

/// Checks as hardware does before a launch, and answers those checks. What the kernel itself does wrong
/// breaks the context and is answered by the calls after this one.
fn run(request: &Request) -> Answer<()> {
    let (mut state, context) = with_stream(request.stream)?;
    let handle = state.function_or_kernel(request.function, context)?;
    let function = state.function(handle)?;
    if function.context != context {
        return Err(Status::InvalidHandle.because("the function and the stream are of different contexts"));
    }
    let (spec, memory) = (state.spec, Arc::clone(&state.memory));
    drop(state);

    let kernel = &function.kernel;
    let bounds = Bounds {
        kernel: kernel.name(),
        max_threads: function.max_threads(),
        required_block: kernel.required_threads(),
        static_shared: kernel.static_shared(),
        max_dynamic_shared: function.max_dynamic_shared(),
    };
    request.shape.check(spec, bounds)?;
    let cluster = function.cluster_of(spec, request.cluster, request.shape.grid)?;
    let params = request.given.gather(kernel)?;
    let plan = Plan { handle, function, memory, shape: request.shape, cluster, params };
    enqueue(request.stream, "cuLaunchKernel", NodeKind::Kernel, move |context| plan.run(context))
}

/// A launch that passed the checks, to be run once or as often as its graph is.
struct Plan {
    handle: Handle,
    function: Arc<Function>,
    memory: Arc<Memory>,
    shape: Shape,
    cluster: [u32; 3],
    params: Vec<u8>,
}

impl Plan {
    fn run(&self, context: Handle) -> Answer<()> {
        // A graph may outlive the module that its kernels are of.
        State::lock()?.function(self.handle)?;
        match self.execute() {
            Ok(()) => Ok(()),
            // The driver's checks and the simulator's should agree; where they do not, nothing has run.
            Err(fault) if fault.kind == FaultKind::BadLaunch => Err(Status::InvalidValue.because(fault.to_string())),
            Err(fault) => {
                State::lock()?.break_context(context, status_of(fault.kind), fault.to_string());
                Ok(())
            }
        }
    }

    fn execute(&self) -> Result<(), Box<Fault>> {
        let Self { function, shape, .. } = self;
        let (checks, schedule) = engine::chosen();
        let launch = Launch {
            dynamic_shared: shape.dynamic_shared,
            cluster: self.cluster,
            checks,
            schedule,
            listing: false,
            ..Launch::new(&function.kernel, shape.grid, shape.block, &self.params)
        };
        let report = engine::run(|| crate::launch(&function.instance, &self.memory, &launch))?;
        engine::count(function.kernel.name(), &report.counters);
        engine::note(report.notes);
        Ok(())
    }
}

/// The code that hardware answers; for what hardware would not notice, that of a failed launch.
fn status_of(kind: FaultKind) -> Status {
    match kind {
        FaultKind::OutOfBounds => Status::IllegalAddress,
        FaultKind::Misaligned => Status::MisalignedAddress,
        FaultKind::Divergence | FaultKind::BadMask | FaultKind::BadBarrier => Status::IllegalInstruction,
        FaultKind::Deadlock | FaultKind::InstructionLimit => Status::LaunchTimeout,
        _ => Status::LaunchFailed,
    }
}

pub(super) extern "C" fn launch_kernel(
    function: Handle,
    grid_x: c_uint,
    grid_y: c_uint,
    grid_z: c_uint,
    block_x: c_uint,
    block_y: c_uint,
    block_z: c_uint,
    dynamic_shared: c_uint,
    stream: Handle,
    pointers: In<*const c_void>,
    extra: In<*const c_void>,
) -> Code {
    let shape = Shape { grid: [grid_x, grid_y, grid_z], block: [block_x, block_y, block_z], dynamic_shared };
    answer(|| run(&Request { function, stream, shape, cluster: None, given: Given { pointers, extra } }))
}

/// `CUlaunchConfig` of cuda.h, 56 bytes.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct LaunchConfig {
    pub(super) grid: [c_uint; 3],
    pub(super) block: [c_uint; 3],
    pub(super) dynamic_shared: c_uint,
    stream: Handle,
    pub(super) attributes: In<LaunchAttribute>,
    pub(super) attribute_count: c_uint,
}

const _: () = assert!(size_of::<LaunchConfig>() == 56);

pub(super) extern "C" fn launch_kernel_ex(
    config: In<LaunchConfig>,
    function: Handle,
    pointers: In<*const c_void>,
    extra: In<*const c_void>,
) -> Code {
    answer(|| {
        let config = config.get()?;
        let Attributes { cluster, events } = config.attributes()?;
        let shape = Shape { grid: config.grid, block: config.block, dynamic_shared: config.dynamic_shared };
        run(&Request { function, stream: config.stream, shape, cluster, given: Given { pointers, extra } })?;
        // The kernel has ended, or is the node that the event marks: that is after what the event waits for.
        events.iter().try_for_each(|event| record_event(*event, config.stream, 0))
    })
}
