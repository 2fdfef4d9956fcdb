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
pub(super) const FROM_MEMORY: &str = "module.ptx";
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
    drop(with_working_context()?);
    let module = read_module(image, file_name, options)?;
    let (mut state, context) = with_working_context()?;
    out.set(place(&mut state, context, &module)?)
}

/// Parses an image and writes the logs that its caller wants.
pub(super) fn read_module(image: &[u8], file_name: &str, options: &Options) -> Answer<Module> {
    let mut state = State::lock()?;
    state.refuse_unsafe("loading a module")?;
    let spec = state.spec;
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
    Ok(module)
}

/// Gives a module its variables in a context.
pub(super) fn place(state: &mut State, context: Handle, module: &Module) -> Answer<Handle> {
    let instance = module.instantiate(&state.memory)?;
    let handle = Handle::new(Kind::Module);
    state.modules.insert(handle, LoadedModule { context, instance, functions: HashMap::new() });
    Ok(handle)
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
        load(&out, &read_image(path)?, path, &Options::none())
    })
}

pub(super) fn read_image(path: &str) -> Answer<Vec<u8>> {
    std::fs::read(path).map_err(|error| Status::FileNotFound.because(format!("{path} could not be read: {error}")))
}

pub(super) extern "C" fn unload(handle: Handle) -> Code {
    answer(|| {
        // A launch of another thread may be using the variables.
        let _turn = engine::turn();
        let (mut state, _) = with_working_context()?;
        state.refuse_unsafe("cuModuleUnload")?;
        state.unload_module(handle)
    })
}

impl State {
    pub(super) fn unload_module(&mut self, handle: Handle) -> Answer<()> {
        let module = self.modules.remove(&handle).ok_or_else(|| handle.stale(Kind::Module))?;
        self.functions.retain(|_, function| function.module != handle);
        self.release(module.instance);
        Ok(())
    }

    /// Address and bytes of a variable.
    pub(super) fn global(&self, module: Handle, name: &str) -> Answer<(u64, u64)> {
        let instance = &self.module(module)?.instance;
        instance.global(name).ok_or_else(|| {
            Status::NotFound.because(format!("{} has no variable {name:?}", instance.module().file_name()))
        })
    }

    fn module(&self, handle: Handle) -> Answer<&LoadedModule> {
        self.modules.get(&handle).ok_or_else(|| handle.stale(Kind::Module))
    }
}

pub(super) extern "C" fn get_function(out: Out<Handle>, module: Handle, name: Text<'_>) -> Code {
    answer(|| {
        let name = name.get()?;
        let (mut state, _) = with_working_context()?;
        out.set(find_function(&mut state, module, name)?)
    })
}

/// The function of a kernel; the same for every call.
pub(super) fn find_function(state: &mut State, module: Handle, name: &str) -> Answer<Handle> {
    let loaded = state.module(module)?;
    if let Some(handle) = loaded.functions.get(name) {
        return Ok(*handle);
    }
    let ptx = loaded.instance.module();
    let Some(kernel) = ptx.kernel(name) else {
        let names: Vec<_> = ptx.kernels().map(|kernel| kernel.name()).collect();
        let why = format!("{} has no kernel {name:?}; it has: {}", ptx.file_name(), names.join(", "));
        return Err(Status::NotFound.because(why));
    };
    let function = Function::new(loaded.context, module, loaded.instance.clone(), kernel.clone());
    let handle = Handle::new(Kind::Function);
    state.functions.insert(handle, Arc::new(function));
    if let Some(loaded) = state.modules.get_mut(&module) {
        loaded.functions.insert(name.to_owned(), handle);
    }
    Ok(handle)
}

pub(super) extern "C" fn get_global(address: Out<u64>, bytes: Out<usize>, module: Handle, name: Text<'_>) -> Code {
    answer(|| {
        let name = name.get()?;
        let (state, _) = with_working_context()?;
        let (base, size) = state.global(module, name)?;
        address.set_if_wanted(base);
        bytes.set_if_wanted(size as usize);
        Ok(())
    })
}

/// 1, eager: a module is whole once it is loaded.
pub(super) extern "C" fn get_loading_mode(out: Out<c_uint>) -> Code {
    answer(|| State::lock().and_then(|_| out.set(1)))
}
