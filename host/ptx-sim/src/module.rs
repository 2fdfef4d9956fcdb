//! A loaded module and its kernels.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use crate::ir::Program;
use crate::ir::lower::{global_layout, lower_entry};
use crate::ir::{flow, registers};
use crate::memory::{Memory, MemoryError};
use crate::ptx::ast::{Function, Text};
use crate::ptx::{Error, parse};

/// Why a PTX text was refused: what, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct LoadError {
    /// File name given to [`Module::load`].
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// What is wrong with it.
    pub message: String,
}

/// One parameter of a kernel in its parameter block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// Name in the PTX.
    pub name: String,
    /// First byte in the block.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
    /// Alignment in bytes.
    pub align: u32,
}

/// A variable of `.global` or `.const` space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Global {
    /// Name in the PTX.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Alignment in bytes.
    pub align: u64,
    /// Its first bytes; what lies beyond them is zero, as the PTX ISA has it for variables.
    pub init: Vec<u8>,
    /// Places in `init` to which the address of a variable is added, and its number among those of the module.
    pub(crate) relocations: Vec<(usize, usize)>,
    /// Whether it lies in `.const` space.
    pub constant: bool,
}

/// A PTX text that was parsed, checked and decoded. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Module {
    pub(crate) inner: Arc<ModuleInner>,
}

#[derive(Debug)]
pub(crate) struct ModuleInner {
    pub(crate) file: String,
    pub(crate) target: String,
    /// `.file` numbers and names.
    pub(crate) files: Vec<(u32, String)>,
    pub(crate) kernels: Vec<Kernel>,
    pub(crate) globals: Vec<Global>,
}

/// An entry of a module.
#[derive(Clone, Debug)]
pub struct Kernel {
    pub(crate) inner: Arc<KernelInner>,
}

#[derive(Debug)]
pub(crate) struct KernelInner {
    pub(crate) name: String,
    pub(crate) params: Vec<Param>,
    pub(crate) param_bytes: u32,
    pub(crate) static_shared: u32,
    pub(crate) max_threads: Option<[u32; 3]>,
    pub(crate) required_threads: Option<[u32; 3]>,
    pub(crate) cluster: ClusterRules,
    /// Made when the kernel is launched first: of a module's many kernels most processes launch few. It cannot fail.
    pub(crate) program: LazyLock<Program, Allocation>,
}

/// What is left to do of a program after its checks.
type Allocation = Box<dyn FnOnce() -> Program + Send>;

/// What an entry's directives say of clusters (PTX ISA 11.4.4 to 11.4.6).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ClusterRules {
    /// `.reqnctapercluster`.
    pub(crate) required: Option<[u32; 3]>,
    /// `.explicitcluster`: the launch says how large a cluster is.
    pub(crate) explicit: bool,
    /// `.maxclusterrank`: the most blocks of a cluster.
    pub(crate) most: Option<u32>,
}

impl Module {
    /// Parses and checks `source`. Whatever the simulator does not know is an error here, with its line,
    /// never something that a launch finds out. `file_name` is what messages call the text.
    pub fn load(source: &str, file_name: &str) -> Result<Self, LoadError> {
        let located = |error: Error| LoadError { file: file_name.to_owned(), line: error.line, message: error.message };
        let text = parse(source).map_err(located)?;
        let (globals, numbers) = global_layout(&text).map_err(located)?;
        let mut kernels = Vec::new();
        for entry in text.functions.iter().filter(|function| function.entry && function.body.is_some()) {
            kernels.push(Kernel { inner: Arc::new(build(&text, &numbers, entry).map_err(located)?) });
        }
        let files = text.files.iter().map(|(number, name)| (*number, (*name).to_owned())).collect();
        let target = text.target.to_owned();
        Ok(Self { inner: Arc::new(ModuleInner { file: file_name.to_owned(), target, files, kernels, globals }) })
    }

    /// The entry of that name.
    pub fn kernel(&self, name: &str) -> Option<&Kernel> {
        self.kernels().find(|kernel| kernel.name() == name)
    }

    /// Every entry, in the order of the text.
    pub fn kernels(&self) -> impl Iterator<Item = &Kernel> {
        self.inner.kernels.iter()
    }

    /// Every variable of `.global` and `.const` space, in the order of the text.
    pub fn globals(&self) -> impl Iterator<Item = &Global> {
        self.inner.globals.iter()
    }

    /// The `.target` of the text, as `sm_80`.
    pub fn target(&self) -> &str {
        &self.inner.target
    }

    /// The file name given to [`Module::load`].
    pub fn file_name(&self) -> &str {
        &self.inner.file
    }

    /// Gives the module's variables their place in `memory` and their first values.
    pub fn instantiate(&self, memory: &Memory) -> Result<Instance, MemoryError> {
        let mut addresses = Vec::new();
        for global in self.globals() {
            let address = memory.alloc(global.size.max(1))?;
            memory.fill(address, global.size, &[0])?;
            memory.write(address, &global.init)?;
            addresses.push(address);
        }
        // Only now has every variable its address.
        for (global, address) in self.globals().zip(&addresses) {
            for (at, target) in &global.relocations {
                let mut word = [0; 8];
                word.copy_from_slice(&global.init[*at..*at + 8]);
                let value = u64::from_le_bytes(word).wrapping_add(addresses[*target]);
                memory.write(address + *at as u64, &value.to_le_bytes())?;
            }
        }
        Ok(Instance { module: self.clone(), addresses })
    }
}

fn build<'a>(text: &Text<'a>, globals: &HashMap<&'a str, usize>, entry: &Function<'a>) -> Result<KernelInner, Error> {
    let (mut max_threads, mut required_threads) = (None, None);
    let mut cluster = ClusterRules::default();
    let (mut most_registers, mut resident) = (None, None);
    let number = |values: &[u64]| values.first().and_then(|value| u32::try_from(*value).ok());
    for (line, word, values) in &entry.tuning {
        let shape = || {
            let mut shape = [1_u32; 3];
            for (slot, value) in shape.iter_mut().zip(values) {
                *slot = u32::try_from(*value).unwrap_or(u32::MAX);
            }
            Some(shape)
        };
        match *word {
            ".maxntid" => max_threads = shape(),
            ".reqntid" => required_threads = shape(),
            ".reqnctapercluster" => cluster.required = shape(),
            ".explicitcluster" => cluster.explicit = true,
            ".maxclusterrank" => cluster.most = values.first().map(|most| u32::try_from(*most).unwrap_or(u32::MAX)),
            ".maxnreg" => most_registers = number(values),
            ".minnctapersm" => resident = number(values),
            // Hints to ptxas.
            ".maxnctapersm" | ".noreturn" => {}
            _ => return Err(Error::new(*line, format!("{word} is not supported"))),
        }
    }
    let threads = max_threads
        .or(required_threads)
        .map(|shape: [u32; 3]| shape.iter().map(|axis| u64::from(*axis)).product::<u64>());
    let entry_registers = most_registers.or(resident.zip(threads).map(|(blocks, threads)| {
        // What ptxas gives each thread so that as many blocks fit the 65,536 registers of a multiprocessor.
        let each = 65_536 / (u64::from(blocks) * threads).max(1);
        each.min(256) as u32 & !7
    }));
    let mut lowered = lower_entry(text, globals, entry)?;
    flow::lay_out(&mut lowered);
    let params = std::mem::take(&mut lowered.params);
    let (param_bytes, static_shared) = (lowered.param_bytes, lowered.static_shared);
    let allocation: Allocation = Box::new(move || Program { entry_registers, ..registers::allocate(lowered) });
    Ok(KernelInner {
        name: entry.name.to_owned(),
        params,
        param_bytes,
        static_shared,
        max_threads,
        required_threads,
        cluster,
        program: LazyLock::new(allocation),
    })
}

/// A module whose variables have their place in a [`Memory`]: what a launch runs in.
#[derive(Clone, Debug)]
pub struct Instance {
    module: Module,
    pub(crate) addresses: Vec<u64>,
}

impl Instance {
    /// The module.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// Address and size in bytes of the variable `name`.
    pub fn global(&self, name: &str) -> Option<(u64, u64)> {
        let at = self.module.globals().position(|global| global.name == name)?;
        Some((self.addresses[at], self.module.inner.globals[at].size))
    }

    /// Frees the variables; the instance must not be launched again.
    pub fn release(self, memory: &Memory) -> Result<(), MemoryError> {
        self.addresses.iter().try_for_each(|address| memory.free(*address))
    }
}

impl Kernel {
    /// Name in the PTX.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Bytes of the parameter block that a launch takes.
    pub fn param_bytes(&self) -> u32 {
        self.inner.param_bytes
    }

    /// The parameters with their places in the block.
    pub fn params(&self) -> &[Param] {
        &self.inner.params
    }

    /// Bytes of shared memory that the kernel's own variables take in a block.
    pub fn static_shared(&self) -> u32 {
        self.inner.static_shared
    }

    /// `.maxntid`: the most threads that a block may have (their product counts), or `.reqntid`.
    pub fn max_threads(&self) -> Option<[u32; 3]> {
        self.inner.required_threads.or(self.inner.max_threads)
    }

    /// `.reqntid`: the one block shape that is allowed.
    pub fn required_threads(&self) -> Option<[u32; 3]> {
        self.inner.required_threads
    }

    /// `.reqnctapercluster`: the one cluster shape that is allowed, and that a launch has without asking.
    pub fn required_cluster(&self) -> Option<[u32; 3]> {
        self.inner.cluster.required
    }

    /// `.explicitcluster`: whether a launch must say how large its clusters are.
    pub fn explicit_cluster(&self) -> bool {
        self.inner.cluster.explicit
    }

    /// `.maxclusterrank`: the most blocks that a cluster may have.
    pub fn max_cluster_rank(&self) -> Option<u32> {
        self.inner.cluster.most
    }
}
