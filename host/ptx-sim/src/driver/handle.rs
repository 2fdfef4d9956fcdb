//! Handles: numbers in the shape of the pointers that the C interface has.

use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::status::{Refused, Status};

/// What a handle stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Context = 1,
    Stream,
    Event,
    Module,
    Function,
    Graph,
    GraphNode,
    GraphExec,
    Library,
    Kernel,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Context => "context",
            Self::Stream => "stream",
            Self::Event => "event",
            Self::Module => "module",
            Self::Function => "function",
            Self::Graph => "graph",
            Self::GraphNode => "graph node",
            Self::Library => "library",
            Self::Kernel => "kernel",
            Self::GraphExec => "executable graph",
        }
    }
}

/// A `CUcontext`, `CUstream` and so on. Never followed as a pointer, and never given out twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub(super) struct Handle(usize);

// The kind sits above every user-space address, so that a real pointer is not taken for a handle.
const KIND_SHIFT: u32 = 56;

impl Handle {
    pub(super) const NULL: Self = Self(0);
    /// `CU_STREAM_LEGACY` and `CU_STREAM_PER_THREAD` of cuda.h.
    pub(super) const LEGACY_STREAM: Self = Self(1);
    pub(super) const PER_THREAD_STREAM: Self = Self(2);

    /// A handle that a caller passed inside other data.
    pub(super) fn from_bits(bits: usize) -> Self {
        Self(bits)
    }

    /// Whether this is the stream that waits for every blocking one.
    pub(super) fn is_legacy(self) -> bool {
        self == Self::NULL || self == Self::LEGACY_STREAM
    }

    pub(super) fn new(kind: Kind) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        Self(((kind as usize) << KIND_SHIFT) | (NEXT.fetch_add(1, Ordering::Relaxed) << 4))
    }

    /// The error for a handle that no live object of that kind has.
    pub(super) fn stale(self, kind: Kind) -> Refused {
        let kind_name = kind.name();
        let article = if kind_name.starts_with('e') { "an" } else { "a" };
        let why = match (self.0, self.0 >> KIND_SHIFT) {
            (0, _) => format!("the {kind_name} is null"),
            (_, tag) if tag == kind as usize => format!("{self:?} is {article} {kind_name} that was destroyed before"),
            _ => format!("{self:?} is not {article} {kind_name} of the simulated GPU"),
        };
        match kind {
            Kind::Context => Status::InvalidContext.because(why),
            _ => Status::InvalidHandle.because(why),
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:#x}", self.0)
    }
}
