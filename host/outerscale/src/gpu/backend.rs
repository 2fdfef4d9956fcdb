//! Which driver carries the work.

use crate::{Error, Result};
use libcuda::Driver;

/// The driver to use. One a process: the first [`Gpu`](crate::Gpu) decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// NVIDIA's driver where it finds a device, else the simulator.
    #[default]
    Auto,
    /// NVIDIA's driver, or an error.
    Cuda,
    /// The simulator.
    Sim,
}

impl std::str::FromStr for Backend {
    type Err = String;
    fn from_str(word: &str) -> std::result::Result<Self, String> {
        match word {
            "auto" => Ok(Backend::Auto),
            "cuda" => Ok(Backend::Cuda),
            "sim" => Ok(Backend::Sim),
            _ => Err(format!("a backend is auto, cuda or sim, got {word:?}")),
        }
    }
}

impl Backend {
    /// As libcuda calls it.
    pub(crate) fn as_choice(self) -> libcuda::Choice {
        match self {
            Backend::Auto => libcuda::Choice::Auto,
            Backend::Cuda => libcuda::Choice::Cuda,
            Backend::Sim => libcuda::Choice::Sim,
        }
    }

    /// Whether work that `driver` carries is what was asked for.
    pub(crate) fn accepts(self, driver: Driver) -> bool {
        match self {
            Backend::Auto => true,
            Backend::Cuda => driver == Driver::Cuda,
            Backend::Sim => driver == Driver::Sim,
        }
    }

    /// The environment variable that names the default.
    pub const VARIABLE: &'static str = "OUTERSCALE_BACKEND";

    /// The backend that the environment asks for; [`Backend::Auto`] where it does not.
    ///
    /// # Errors
    /// [`Error::Backend`] where the variable holds another word.
    pub fn from_env() -> Result<Backend> {
        match std::env::var(Self::VARIABLE) {
            Ok(word) => word.parse().map_err(|rule| Error::Backend(format!("{}: {rule}", Self::VARIABLE))),
            Err(_) => Ok(Backend::Auto),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_accepts_either_driver() {
        assert!(Backend::Auto.accepts(Driver::Cuda) && Backend::Auto.accepts(Driver::Sim));
        assert!(!Backend::Cuda.accepts(Driver::Sim) && !Backend::Sim.accepts(Driver::Cuda));
    }

    #[test]
    fn words() {
        assert_eq!("sim".parse(), Ok(Backend::Sim));
        assert_eq!("gpu".parse::<Backend>(), Err("a backend is auto, cuda or sim, got \"gpu\"".to_owned()));
    }
}
