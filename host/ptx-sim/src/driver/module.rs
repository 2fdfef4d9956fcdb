//! Modules: PTX that was loaded, its kernels and its variables.

use std::{collections::HashMap, ffi::c_uint, sync::Arc, time::Instant};

use super::{
    abi::{In, Out, Text},
    context::with_working_context,
    engine,
    function::Function,
    handle::{Handle, Kind},
    jit::{Options, Slots},
    state::State,
    status::{Answer, Code, Refused, Status, answer},
};
use crate::{Instance, Module};

/// What messages call a text that came from memory.
const FROM_MEMORY: &str = "module.ptx";
const ELF: &[u8] = b"\x7fELF";
/// Fat binaries of nvcc: the container, and the struct that points to one.
const FATBIN: [&[u8]; 2] = [b"\x50\xed\x55\xba", b"\xb1\x43\x62\x46"];

pub(super) struct LoadedModule {
    pub(super) context: Handle,
    pub(super) instance: Instance,
    /// The functions that were asked for: the same name gets the same handle.
    functions: HashMap<String, Handle>,
}

fn load(out: &Out<Handle>, image: &[u8], file_name: &str, options: &Options) -> Answer<()> {
    let (mut state, context) = with_working_context()?;
    state.refuse_unsafe("loading a module")?;
    let (spec, memory) = (state.spec, Arc::clone(&state.memory));
    drop(state); // parsing takes its time
    let start = Instant::now();
    let module = parse(image, file_name).and_then(|module| {
        if spec.runs(module.target()) {
            return Ok(module);
        }
        Err(Status::InvalidPtx.because(format!(
            "{file_name}: .target {} does not run on {}: build it for {} or lower",
            module.target(),
            spec.name(),
            spec.arch
        )))
    });
    options.set_wall_time(start.elapsed())?;
    let module = match module {
        Ok(module) => module,
        Err(refused) => {
            options.write_error(&refused.why)?;
            return Err(refused);
        }
    };
    let names: Vec<_> = module.kernels().map(|kernel| kernel.name()).collect();
    options.write_info(&format!("{file_name}: {} for {}: {}", module.target(), spec.name(), names.join(", ")))?;
    options.write_error("")?;

    let instance = module.instantiate(&memory)?;
    let (mut state, _) = with_working_context()?;
    let handle = Handle::new(Kind::Module);
    out.set(handle)?;
    state.modules.insert(handle, LoadedModule { context, instance, functions: HashMap::new() });
    Ok(())
}

fn parse(image: &[u8], file_name: &str) -> Answer<Module> {
    if image.starts_with(ELF) || FATBIN.iter().any(|magic| image.starts_with(magic)) {
        let why = format!("{file_name} is machine code; the simulated GPU runs PTX: load the .ptx text");
        return Err(Status::NoBinaryForGpu.because(why));
    }
    let text = std::str::from_utf8(image).map_err(|error| invalid(format!("{file_name} is not text: {error}")))?;
    Module::load(text, file_name).map_err(|error| invalid(error.to_string()))
}

fn invalid(why: String) -> Refused {
    Status::InvalidPtx.because(why)
}

pub(super) extern "C" fn load_data(out: Out<Handle>, image: Text<'_>) -> Code {
    answer(|| load(&out, image.bytes()?, FROM_MEMORY, &Options::none()))
}

pub(super) extern "C" fn load_data_ex(
    out: Out<Handle>,
    image: Text<'_>,
    count: c_uint,
    names: In<u32>,
    values: Slots,
) -> Code {
    answer(|| load(&out, image.bytes()?, FROM_MEMORY, &Options::new(count, names, values)?))
}

pub(super) extern "C" fn load_file(out: Out<Handle>, path: Text<'_>) -> Code {
    answer(|| {
        let path = path.get()?;
        let image = std::fs::read(path)
            .map_err(|error| Status::FileNotFound.because(format!("{path} could not be read: {error}")))?;
        load(&out, &image, path, &Options::none())
    })
}

pub(super) extern "C" fn unload(handle: Handle) -> Code {
    answer(|| {
        // A launch of another thread may be using the variables.
        let _turn = engine::turn();
        let (mut state, _) = with_working_context()?;
        state.refuse_unsafe("cuModuleUnload")?;
        let module = state.modules.remove(&handle).ok_or_else(|| handle.stale(Kind::Module))?;
        state.functions.retain(|_, function| function.module != handle);
        state.release(module.instance);
        Ok(())
    })
}

impl State {
    fn module(&self, handle: Handle) -> Answer<&LoadedModule> {
        self.modules.get(&handle).ok_or_else(|| handle.stale(Kind::Module))
    }
}

pub(super) extern "C" fn get_function(out: Out<Handle>, module: Handle, name: Text<'_>) -> Code {
    answer(|| {
        let name = name.get()?;
        let (mut state, _) = with_working_context()?;
        let loaded = state.module(module)?;
        if let Some(handle) = loaded.functions.get(name) {
            return out.set(*handle);
        }
        let ptx = loaded.instance.module();
        let Some(kernel) = ptx.kernel(name) else {
            let names: Vec<_> = ptx.kernels().map(|kernel| kernel.name()).collect();
            let why = format!("{} has no kernel {name:?}; it has: {}", ptx.file_name(), names.join(", "));
            return Err(Status::NotFound.because(why));
        };
        let function = Function::new(loaded.context, module, loaded.instance.clone(), kernel.clone());
        let handle = Handle::new(Kind::Function);
        out.set(handle)?;
        state.functions.insert(handle, Arc::new(function));
        if let Some(loaded) = state.modules.get_mut(&module) {
            loaded.functions.insert(name.to_owned(), handle);
        }
        Ok(())
    })
}

pub(super) extern "C" fn get_global(address: Out<u64>, bytes: Out<usize>, module: Handle, name: Text<'_>) -> Code {
    answer(|| {
        let name = name.get()?;
        let (state, _) = with_working_context()?;
        let instance = &state.module(module)?.instance;
        let Some((base, size)) = instance.global(name) else {
            let why = format!("{} has no variable {name:?}", instance.module().file_name());
            return Err(Status::NotFound.because(why));
        };
        address.set_if_wanted(base);
        bytes.set_if_wanted(size as usize);
        Ok(())
    })
}

/// 1, eager: a module is whole once it is loaded.
pub(super) extern "C" fn get_loading_mode(out: Out<c_uint>) -> Code {
    answer(|| State::lock().and_then(|_| out.set(1)))
}
