//! A layer without allocations: what a batch needs besides x and y, made once.

use super::{QuantizedLinear, Tokens};
use crate::{
    Activations, Error, Float, Gpu, Output, OutputElement, Result, Workspace,
    ops::{self, Choice},
};

/// Memory for all that a layer makes of a batch on the way to y, for batches of up to so many tokens.
///
/// Nothing of it carries over from one batch to the next but counters, which add up.
pub struct Buffers {
    tokens: Tokens,
    workspace: Workspace,
}

impl Buffers {
    /// The batch that was written last: its codes, the kernels that made them, what they did not fit.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }
}

impl QuantizedLinear {
    /// Memory for batches of up to `most` tokens. A layer of the same scheme and K can use it too.
    ///
    /// # Errors
    /// A CUDA error.
    pub fn buffers(&self, gpu: &Gpu, most: u64) -> Result<Buffers> {
        let (n, k) = (self.weights().rows(), self.weights().cols());
        let workspace = Workspace::new(gpu, ops::workspace_bytes_up_to(gpu, most, n, k))?;
        Ok(Buffers { tokens: self.room(gpu, most)?, workspace })
    }

    /// x [tokens, K] → y [tokens, N], by launches alone: nothing is allocated, nothing waits, nothing is read by the
    /// host. So it can be captured in a CUDA graph ([`Gpu::capture`]), which then runs on whatever x holds.
    ///
    /// # Errors
    /// `x` where its K is not that of the weights; `tokens` where the buffers are too small or of another scheme; `y`
    /// where its shape is not [tokens, N]; a CUDA error.
    pub fn forward_into<T: Float, O: OutputElement>(
        &self,
        gpu: &Gpu,
        x: &Activations<T>,
        buffers: &mut Buffers,
        y: &mut Output<O>,
    ) -> Result<()> {
        let shape = (x.rows(), self.weights().rows());
        if (y.rows(), y.cols()) != shape {
            // Before anything is launched: a running scale would count the batch.
            let rule = format!("must be [{}, {}], got [{}, {}]", shape.0, shape.1, y.rows(), y.cols());
            return Err(Error::argument("forward_into", "y", rule));
        }
        self.quantize_into(gpu, x, &mut buffers.tokens)?;
        self.multiply(gpu, &buffers.tokens, y, &mut buffers.workspace, Choice::Auto)?;
        Ok(())
    }
}
