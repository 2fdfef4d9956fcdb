//! The architectures that PTX can be made for.

use std::{fmt, str::FromStr};

macro_rules! architectures {
    ($($name:ident = $suffix:literal),* $(,)?) => {
        /// A GPU architecture, named as in Rust-CUDA.
        ///
        /// PTX without a suffix runs on its own and every later architecture. The suffix `f` (family) reaches later
        /// minor versions of the same major one; the suffix `a` (architecture) only that one GPU, and is what wgmma
        /// and tcgen05 need.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "each name is its own number")]
        pub enum NvvmArch {
            $($name),*
        }

        impl NvvmArch {
            /// Every architecture, in rising order.
            pub const ALL: &[NvvmArch] = &[$(NvvmArch::$name),*];

            /// The number and suffix: `"80"`, `"90a"`.
            pub const fn suffix(self) -> &'static str {
                match self {
                    $(NvvmArch::$name => $suffix),*
                }
            }
        }
    };
}

architectures! {
    Compute70 = "70",
    Compute72 = "72",
    Compute75 = "75",
    Compute80 = "80",
    Compute86 = "86",
    Compute87 = "87",
    Compute89 = "89",
    Compute90 = "90",
    Compute90a = "90a",
    Compute100 = "100",
    Compute100f = "100f",
    Compute100a = "100a",
    Compute101 = "101",
    Compute101f = "101f",
    Compute101a = "101a",
    Compute103 = "103",
    Compute103f = "103f",
    Compute103a = "103a",
    Compute120 = "120",
    Compute120f = "120f",
    Compute120a = "120a",
    Compute121 = "121",
    Compute121f = "121f",
    Compute121a = "121a",
}

impl NvvmArch {
    /// Ten times the compute capability: 80 for 8.0, 90 for 9.0 and 9.0a.
    pub fn capability_value(self) -> u32 {
        let digits = self.suffix().trim_end_matches(|c: char| c.is_ascii_alphabetic());
        digits.parse().expect("every suffix begins with its number")
    }

    /// The name that rustc (`-Ctarget-cpu`), ptxas (`-arch`) and PTX (`.target`) use: `sm_90a`.
    pub fn sm(self) -> String {
        format!("sm_{}", self.suffix())
    }

    /// Whether PTX made for `self` can be assembled for, and runs on, `device`.
    pub fn runs_on(self, device: NvvmArch) -> bool {
        let (own, other) = (self.capability_value(), device.capability_value());
        match self.suffix().as_bytes().last() {
            Some(b'a') => self == device,
            // A family is the later minor versions of one major version.
            Some(b'f') => own / 10 == other / 10 && own <= other,
            _ => own <= other,
        }
    }
}

impl fmt::Display for NvvmArch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sm_{}", self.suffix())
    }
}

/// The text is not the name of an architecture.
#[derive(Debug, thiserror::Error)]
#[error("unknown architecture `{0}`: write for instance sm_80, sm_89, sm_90a, sm_100a or sm_120")]
pub struct UnknownArch(String);

impl FromStr for NvvmArch {
    type Err = UnknownArch;

    /// Reads `sm_90a`, `compute_90a` or `90a`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let suffix = text.strip_prefix("sm_").or_else(|| text.strip_prefix("compute_")).unwrap_or(text);
        let found = NvvmArch::ALL.iter().copied().find(|arch| arch.suffix() == suffix);
        found.ok_or_else(|| UnknownArch(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for arch in NvvmArch::ALL {
            assert_eq!(arch.sm().parse::<NvvmArch>().unwrap(), *arch);
            assert_eq!(format!("Compute{}", arch.suffix()), format!("{arch:?}"));
        }
        assert!("sm_81".parse::<NvvmArch>().unwrap_err().to_string().contains("sm_81"));
    }

    #[test]
    fn suffixes_bound_where_ptx_runs() {
        use NvvmArch::*;
        assert!(Compute80.runs_on(Compute120) && !Compute90.runs_on(Compute89));
        assert!(Compute90a.runs_on(Compute90a) && !Compute90a.runs_on(Compute100a));
        assert!(Compute100f.runs_on(Compute103) && !Compute100f.runs_on(Compute120));
    }
}
