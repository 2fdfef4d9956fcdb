//! Libraries: modules that no context has yet, and their kernels. Each context that uses one loads it once.

use std::{
    collections::HashMap,
    ffi::{CString, c_char, c_int, c_uint, c_void},
};

use super::{
    abi::{In, Out, OutArray, Text},
    context::{with_context, with_working_context},
    device::device,
    engine, function,
    handle::{Handle, Kind},
    jit::{Options, Slots},
    module::{FROM_MEMORY, find_function, place, read_image, read_module},
    state::State,
    status::{Answer, Code, Status, answer},
};
use crate::Module;

pub(super) struct Library {
    module: Module,
    /// By the order of the text.
    kernels: Vec<Handle>,
    /// The module in each context that has used it.
    loaded: HashMap<Handle, Handle>,
}

pub(super) struct Kernel {
    library: Handle,
    name: CString,
}

impl State {
    fn library(&self, handle: Handle) -> Answer<&Library> {
        self.libraries.get(&handle).ok_or_else(|| handle.stale(Kind::Library))
    }

    fn library_kernel(&self, handle: Handle) -> Answer<&Kernel> {
        self.library_kernels.get(&handle).ok_or_else(|| handle.stale(Kind::Kernel))
    }

    /// The module that a library is in a context.
    fn module_in(&mut self, context: Handle, library: Handle) -> Answer<Handle> {
        let found = self.library(library)?;
        // A reset of the context takes its modules with it.
        if let Some(module) = found.loaded.get(&context).filter(|module| self.modules.contains_key(module)) {
            return Ok(*module);
        }
        let module = found.module.clone();
        let handle = place(self, context, &module)?;
        if let Some(library) = self.libraries.get_mut(&library) {
            library.loaded.insert(context, handle);
        }
        Ok(handle)
    }

    /// The function that a handle stands for: itself, or what a library's kernel is in the context.
    pub(super) fn function_or_kernel(&mut self, handle: Handle, context: Handle) -> Answer<Handle> {
        let Some(kernel) = self.library_kernels.get(&handle) else { return Ok(handle) };
        let (library, name) = (kernel.library, kernel.name.clone());
        let module = self.module_in(context, library)?;
        find_function(self, module, &name.to_string_lossy())
    }
}

fn load(out: &Out<Handle>, image: &[u8], file_name: &str, options: &Options) -> Answer<()> {
    let module = read_module(image, file_name, options)?;
    let mut state = State::lock()?;
    let library = Handle::new(Kind::Library);
    out.set(library)?;
    let mut kernels = Vec::new();
    for kernel in module.kernels() {
        let handle = Handle::new(Kind::Kernel);
        let name = CString::new(kernel.name()).unwrap_or_default();
        state.library_kernels.insert(handle, Kernel { library, name });
        kernels.push(handle);
    }
    state.libraries.insert(library, Library { module, kernels, loaded: HashMap::new() });
    Ok(())
}

/// The library's own options (bring memory along, binary preserved) change nothing for a text.
pub(super) extern "C" fn load_data(
    out: Out<Handle>,
    image: Text<'_>,
    names: In<u32>,
    values: Slots,
    count: c_uint,
    _library_names: In<u32>,
    _library_values: *mut *mut c_void,
    _library_count: c_uint,
) -> Code {
    answer(|| load(&out, image.bytes()?, FROM_MEMORY, &Options::new(count, names, values)?))
}

pub(super) extern "C" fn load_from_file(
    out: Out<Handle>,
    path: Text<'_>,
    names: In<u32>,
    values: Slots,
    count: c_uint,
    _library_names: In<u32>,
    _library_values: *mut *mut c_void,
    _library_count: c_uint,
) -> Code {
    answer(|| {
        let path = path.get()?;
        load(&out, &read_image(path)?, path, &Options::new(count, names, values)?)
    })
}

pub(super) extern "C" fn unload(handle: Handle) -> Code {
    answer(|| {
        let _turn = engine::turn();
        let mut state = State::lock()?;
        state.refuse_unsafe("cuLibraryUnload")?;
        let library = state.libraries.remove(&handle).ok_or_else(|| handle.stale(Kind::Library))?;
        state.library_kernels.retain(|_, kernel| kernel.library != handle);
        for module in library.loaded.values() {
            if state.modules.contains_key(module) {
                state.unload_module(*module)?;
            }
        }
        Ok(())
    })
}

pub(super) extern "C" fn get_kernel(out: Out<Handle>, library: Handle, name: Text<'_>) -> Code {
    answer(|| {
        let name = name.get()?;
        let state = State::lock()?;
        let found = state.library(library)?;
        match found.module.kernels().position(|kernel| kernel.name() == name) {
            Some(index) => out.set(found.kernels[index]),
            None => {
                let names: Vec<_> = found.module.kernels().map(|kernel| kernel.name()).collect();
                let why = format!("{} has no kernel {name:?}; it has: {}", found.module.file_name(), names.join(", "));
                Err(Status::NotFound.because(why))
            }
        }
    })
}

pub(super) extern "C" fn get_kernel_count(out: Out<c_uint>, library: Handle) -> Code {
    answer(|| out.set(State::lock()?.library(library)?.kernels.len() as c_uint))
}

pub(super) extern "C" fn enumerate_kernels(out: OutArray<Handle>, count: c_uint, library: Handle) -> Code {
    answer(|| {
        let state = State::lock()?;
        for (index, kernel) in state.library(library)?.kernels.iter().take(count as usize).enumerate() {
            out.set(index, *kernel);
        }
        Ok(())
    })
}

pub(super) extern "C" fn get_module(out: Out<Handle>, library: Handle) -> Code {
    answer(|| {
        let (mut state, context) = with_working_context()?;
        out.set(state.module_in(context, library)?)
    })
}

pub(super) extern "C" fn get_global(address: Out<u64>, bytes: Out<usize>, library: Handle, name: Text<'_>) -> Code {
    answer(|| {
        let name = name.get()?;
        let (mut state, context) = with_working_context()?;
        let module = state.module_in(context, library)?;
        let (base, size) = state.global(module, name)?;
        address.set_if_wanted(base);
        bytes.set_if_wanted(size as usize);
        Ok(())
    })
}

pub(super) extern "C" fn kernel_get_function(out: Out<Handle>, kernel: Handle) -> Code {
    answer(|| {
        let (mut state, context) = with_working_context()?;
        state.library_kernel(kernel)?;
        out.set(state.function_or_kernel(kernel, context)?)
    })
}

pub(super) extern "C" fn kernel_get_library(out: Out<Handle>, kernel: Handle) -> Code {
    answer(|| out.set(State::lock()?.library_kernel(kernel)?.library))
}

/// The name lives as long as the library.
pub(super) extern "C" fn kernel_get_name(out: Out<*const c_char>, kernel: Handle) -> Code {
    answer(|| out.set(State::lock()?.library_kernel(kernel)?.name.as_ptr()))
}

/// A kernel's attributes are those of its function in the current context; there is one device.
pub(super) extern "C" fn kernel_get_attribute(
    out: Out<c_int>,
    attribute: c_uint,
    kernel: Handle,
    ordinal: c_int,
) -> Code {
    match function_of(kernel, ordinal) {
        Ok(handle) => function::get_attribute(out, attribute, handle),
        Err(refused) => answer(|| Err(refused)),
    }
}

pub(super) extern "C" fn kernel_set_attribute(attribute: c_uint, value: c_int, kernel: Handle, ordinal: c_int) -> Code {
    match function_of(kernel, ordinal) {
        Ok(handle) => function::set_attribute(handle, attribute, value),
        Err(refused) => answer(|| Err(refused)),
    }
}

fn function_of(kernel: Handle, ordinal: c_int) -> Answer<Handle> {
    device(ordinal)?;
    let (mut state, context) = with_context()?;
    state.library_kernel(kernel)?;
    state.function_or_kernel(kernel, context)
}
