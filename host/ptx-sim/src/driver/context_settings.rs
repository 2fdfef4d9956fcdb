//! What a context remembers for its caller and the simulation does not depend on.

use std::{collections::HashMap, ffi::c_uint};

use super::{
    abi::Out,
    context::{current_handle, with_context},
    handle::{Handle, Kind},
    state::State,
    status::{Answer, Code, Status, answer},
};

#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) cache_config: u32,
    pub(super) shared_config: u32,
    pub(super) limits: HashMap<u32, usize>,
}

/// The limits of cuda.h (`CUlimit`) with the values that hardware starts with.
const LIMITS: [(u32, usize); 6] = [
    (0, 1024),    // bytes of a thread's stack
    (1, 1 << 20), // bytes of the printf buffer
    (2, 8 << 20), // bytes of the device heap
    (3, 2),       // depth of launches from the device
    (4, 2048),    // pending launches from the device
    (5, 128),     // bytes fetched into L2 at a time
];

fn default_limit(limit: u32) -> Answer<usize> {
    let found = LIMITS.iter().find(|(number, _)| *number == limit);
    found.map(|(_, value)| *value).ok_or_else(|| {
        Status::UnsupportedLimit.because(format!("the simulated GPU has no limit {limit}; it has 0 to 5"))
    })
}

pub(super) extern "C" fn get_limit(out: Out<usize>, limit: c_uint) -> Code {
    answer(|| {
        let default = default_limit(limit)?;
        let (state, handle) = with_context()?;
        out.set(state.contexts[&handle].settings.limits.get(&limit).copied().unwrap_or(default))
    })
}

pub(super) extern "C" fn set_limit(limit: c_uint, value: usize) -> Code {
    answer(|| {
        default_limit(limit)?;
        with_settings(|settings| {
            settings.limits.insert(limit, value);
        })
    })
}

fn with_settings(change: impl FnOnce(&mut Settings)) -> Answer<()> {
    let (mut state, handle) = with_context()?;
    let context = state.contexts.get_mut(&handle).expect("with_context answers a live one");
    change(&mut context.settings);
    Ok(())
}

fn check_config(config: u32, most: u32) -> Answer<u32> {
    if config <= most {
        Ok(config)
    } else {
        Err(Status::InvalidValue.because(format!("configuration {config} is not one of 0 to {most}")))
    }
}

pub(super) extern "C" fn get_cache_config(out: Out<c_uint>) -> Code {
    answer(|| {
        let (state, handle) = with_context()?;
        out.set(state.contexts[&handle].settings.cache_config)
    })
}

pub(super) extern "C" fn set_cache_config(config: c_uint) -> Code {
    answer(|| {
        let config = check_config(config, 3)?;
        with_settings(|settings| settings.cache_config = config)
    })
}

pub(super) extern "C" fn get_shared_config(out: Out<c_uint>) -> Code {
    answer(|| {
        let (state, handle) = with_context()?;
        out.set(state.contexts[&handle].settings.shared_config)
    })
}

pub(super) extern "C" fn set_shared_config(config: c_uint) -> Code {
    answer(|| {
        let config = check_config(config, 2)?;
        with_settings(|settings| settings.shared_config = config)
    })
}

pub(super) extern "C" fn get_flags(out: Out<c_uint>) -> Code {
    answer(|| {
        let (state, handle) = with_context()?;
        out.set(state.contexts[&handle].flags)
    })
}

/// The version of the context interface, not of the driver; 3020 for every context since CUDA 3.2.
pub(super) extern "C" fn get_api_version(handle: Handle, out: Out<c_uint>) -> Code {
    answer(|| {
        let state = State::lock()?;
        let asked = if handle == Handle::NULL { current_handle() } else { Some(handle) };
        match asked.filter(|asked| state.contexts.contains_key(asked)) {
            Some(_) => out.set(3020),
            None => Err(handle.stale(Kind::Context)),
        }
    })
}

/// Every stream has the one priority there is.
pub(super) extern "C" fn get_stream_priority_range(least: Out<i32>, greatest: Out<i32>) -> Code {
    answer(|| {
        with_context()?;
        least.set_if_wanted(0);
        greatest.set_if_wanted(0);
        Ok(())
    })
}
