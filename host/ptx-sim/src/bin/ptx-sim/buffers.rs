//! From specs to buffers in a memory and the bytes of the parameter block.

use ptx_sim::{Kernel, Memory, TENSOR_MAP_ALIGN, TENSOR_MAP_BYTES, TensorMap};

use crate::spec::{Buffer, Content, Map, Spec, Target, Value};
use crate::tensors::{self, Form};

/// What a launch needs, read and checked once, placed for each run.
pub(crate) struct Plan<'a> {
    specs: &'a [Spec],
    /// First byte of each parameter in the block.
    offsets: Vec<usize>,
    param_bytes: usize,
    pub(crate) buffers: Vec<Planned>,
}

/// A buffer and what it starts with.
pub(crate) struct Planned {
    pub(crate) name: Option<String>,
    /// The parameter that it was given for.
    param: String,
    pub(crate) form: Form,
    start: Start,
}

enum Start {
    Bytes(Vec<u8>),
    Zeros,
    Nothing,
}

/// The buffers of one run: addresses in the order of [`Plan::buffers`], and the parameter block.
pub(crate) struct Placed {
    pub(crate) addresses: Vec<u64>,
    pub(crate) params: Vec<u8>,
}

impl<'a> Plan<'a> {
    /// Holds `specs` against the kernel's parameters and reads the files.
    pub(crate) fn new(specs: &'a [Spec], kernel: &Kernel) -> Result<Self, String> {
        let (name, params) = (kernel.name(), kernel.params());
        if specs.len() != params.len() {
            let list: Vec<String> =
                params.iter().map(|param| format!("{}: {} bytes", param.name, param.size)).collect();
            let list = if list.is_empty() { String::new() } else { format!(" ({})", list.join(", ")) };
            let (wanted, given) = (params.len(), specs.len());
            return Err(format!("kernel {name} takes {wanted} parameters{list}, {given} --arg were given"));
        }
        for (index, (spec, param)) in specs.iter().zip(params).enumerate() {
            let (bytes, align) = spec.value.layout();
            if bytes != param.size as usize || align > param.align.max(param.size) as usize {
                let what = match bytes == param.size as usize {
                    true => format!("is aligned to {align} bytes, the parameter to {}", param.align),
                    false => format!("has {bytes} bytes, the parameter {}", param.size),
                };
                let (number, text, param) = (index + 1, &spec.text, &param.name);
                return Err(format!("--arg {number} ({text}) is for parameter {param} of {name}, but {what}"));
            }
        }
        let offsets = params.iter().map(|param| param.offset as usize).collect();
        let mut plan = Self { specs, offsets, param_bytes: kernel.param_bytes() as usize, buffers: Vec::new() };
        for (spec, param) in specs.iter().zip(params) {
            plan.collect(&spec.value, &param.name).map_err(|what| format!("--arg {}: {what}", spec.text))?;
        }
        for spec in specs {
            plan.resolve(&spec.value).map_err(|what| format!("--arg {}: {what}", spec.text))?;
        }
        Ok(plan)
    }

    /// Reads the buffers of a value, in the order in which they are placed later.
    fn collect(&mut self, value: &Value, param: &str) -> Result<(), String> {
        match value {
            Value::Buffer(buffer) | Value::Map(Map { of: Target::Own(buffer), .. }) => {
                let planned = plan(buffer, param)?;
                if let Some(name) = &planned.name
                    && self.find(name).is_some()
                {
                    return Err(format!("a second buffer is called {name}; names are given once"));
                }
                self.buffers.push(planned);
            }
            Value::Struct(parts) => parts.iter().try_for_each(|part| self.collect(part, param))?,
            Value::Bytes(..) | Value::Pointer { .. } | Value::Map(_) => {}
        }
        Ok(())
    }

    /// Makes sure that every name is that of a buffer.
    fn resolve(&self, value: &Value) -> Result<(), String> {
        match value {
            Value::Pointer { name, offset } => {
                let bytes = self.buffers[self.named(name)?].form.bytes();
                match *offset <= bytes {
                    true => Ok(()),
                    false => Err(format!("buffer {name} has {bytes} bytes, the pointer is to byte {offset}")),
                }
            }
            Value::Map(Map { of: Target::Named(name), .. }) => self.named(name).map(drop),
            Value::Struct(parts) => parts.iter().try_for_each(|part| self.resolve(part)),
            Value::Bytes(..) | Value::Buffer(_) | Value::Map(_) => Ok(()),
        }
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.buffers.iter().position(|buffer| buffer.name.as_deref() == Some(name))
    }

    fn named(&self, name: &str) -> Result<usize, String> {
        self.find(name).ok_or_else(|| {
            let names: Vec<&str> = self.buffers.iter().filter_map(|buffer| buffer.name.as_deref()).collect();
            let names = if names.is_empty() { "none has a name".to_owned() } else { names.join(", ") };
            format!("there is no buffer called {name} ({names})")
        })
    }

    /// Allocates and fills the buffers, and writes the parameter block.
    pub(crate) fn place(&self, memory: &Memory) -> Result<Placed, String> {
        let mut addresses = Vec::new();
        for buffer in &self.buffers {
            let refuse = |error| format!("{}: {error}", buffer.title());
            let bytes = buffer.form.bytes();
            let address = memory.alloc(bytes).map_err(refuse)?;
            match &buffer.start {
                Start::Bytes(data) => memory.write(address, data).map_err(refuse)?,
                Start::Zeros => memory.fill(address, bytes, &[0]).map_err(refuse)?,
                Start::Nothing => {}
            }
            addresses.push(address);
        }
        let mut params = vec![0; self.param_bytes];
        let mut own = 0;
        for (spec, offset) in self.specs.iter().zip(&self.offsets) {
            let mut at = *offset;
            self.put(&spec.value, &addresses, &mut own, &mut params, &mut at)
                .map_err(|what| format!("--arg {}: {what}", spec.text))?;
        }
        Ok(Placed { addresses, params })
    }

    /// Writes one value at `at`, which goes on behind it; `own` counts the buffers as [`Plan::collect`] met them.
    fn put(
        &self,
        value: &Value,
        addresses: &[u64],
        own: &mut usize,
        params: &mut [u8],
        at: &mut usize,
    ) -> Result<(), String> {
        let (bytes, align) = value.layout();
        *at = at.next_multiple_of(align);
        let mut next = || {
            *own += 1;
            *own - 1
        };
        let data = match value {
            Value::Bytes(data, _) => data.clone(),
            Value::Buffer(_) => addresses[next()].to_le_bytes().to_vec(),
            Value::Pointer { name, offset } => (addresses[self.named(name)?] + offset).to_le_bytes().to_vec(),
            Value::Map(map) => {
                let index = match &map.of {
                    Target::Own(_) => next(),
                    Target::Named(name) => self.named(name)?,
                };
                encode(map, &self.buffers[index].form, addresses[index])?.to_vec()
            }
            Value::Struct(parts) => {
                let mut inner = *at;
                for part in parts {
                    self.put(part, addresses, own, params, &mut inner)?;
                }
                *at += bytes;
                return Ok(());
            }
        };
        params[*at..*at + bytes].copy_from_slice(&data);
        *at += bytes;
        Ok(())
    }
}

impl Planned {
    /// How messages call it.
    pub(crate) fn title(&self) -> String {
        let sides: Vec<String> = self.form.shape.iter().map(usize::to_string).collect();
        let name = self.name.clone().unwrap_or_else(|| format!("of parameter {}", self.param));
        format!("buffer {name} {}[{}]", self.form.dtype, sides.join(","))
    }
}

impl Value {
    /// Bytes and alignment in a parameter block.
    fn layout(&self) -> (usize, usize) {
        match self {
            Self::Bytes(bytes, align) => (bytes.len(), *align),
            Self::Buffer(_) | Self::Pointer { .. } => (8, 8),
            Self::Map(_) => (TENSOR_MAP_BYTES, TENSOR_MAP_ALIGN as usize),
            Self::Struct(parts) => {
                let (mut end, mut most) = (0_usize, 1);
                for (bytes, align) in parts.iter().map(Self::layout) {
                    end = end.next_multiple_of(align) + bytes;
                    most = most.max(align);
                }
                (end.next_multiple_of(most), most)
            }
        }
    }
}

fn plan(buffer: &Buffer, param: &str) -> Result<Planned, String> {
    let (name, param) = (buffer.name.clone(), param.to_owned());
    Ok(match &buffer.content {
        Content::Tensor { file, tensor } => {
            let (form, data) = tensors::read(file, tensor)?;
            Planned { name, param, form, start: Start::Bytes(data) }
        }
        Content::New { form, zeros } => {
            let start = if *zeros { Start::Zeros } else { Start::Nothing };
            Planned { name, param, form: form.clone(), start }
        }
    })
}

/// The map as the driver would make it; shapes are outermost first, maps innermost first.
fn encode(map: &Map, form: &Form, address: u64) -> Result<[u8; TENSOR_MAP_BYTES], String> {
    let element = form.element().ok_or_else(|| format!("a tensor map has no element type {}", form.dtype))?;
    let dims: Vec<u64> = form.shape.iter().rev().map(|side| *side as u64).collect();
    let sides: Vec<u32> = map.sides.iter().rev().copied().collect();
    let refuse = |error: ptx_sim::TensorMapError| format!("{error} (dimension 0 is the innermost)");
    let mut encoded = TensorMap::packed(element, address, &dims, &sides).map_err(refuse)?.with_swizzle(map.swizzle);
    encoded.fill = map.fill;
    if let Some(strides) = &map.strides {
        if strides.len() != dims.len() {
            return Err(format!("{} element strides for {} dimensions", strides.len(), dims.len()));
        }
        for (slot, stride) in encoded.element_strides.iter_mut().zip(strides.iter().rev()) {
            *slot = *stride;
        }
    }
    encoded.encode().map_err(refuse)
}
