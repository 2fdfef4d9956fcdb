//! The kernels as PTX, embedded when the library was built: a text for each device module and architecture that the
//! module is compiled for. A GPU takes each module's newest text that runs on it.

/// A device module: the kernels of one crate under `kernels-gpu/kernels`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Module {
    /// Absmax reductions.
    Reduce,
    /// Quantizers and the packing of codes.
    Quantize,
    /// The int8 product.
    Gemm,
    /// The int8 product on Hopper.
    GemmSm90,
}

impl Module {
    /// Every module.
    pub const ALL: [Module; 4] = [Module::Reduce, Module::Quantize, Module::Gemm, Module::GemmSm90];

    /// The name of its crate and file.
    pub const fn name(self) -> &'static str {
        match self {
            Module::Reduce => "reduce",
            Module::Quantize => "quantize",
            Module::Gemm => "gemm",
            Module::GemmSm90 => "gemm_sm90",
        }
    }
}

/// The PTX that is compiled for one architecture.
#[derive(Clone, Copy, Debug)]
pub struct Arch {
    /// As ptxas calls it: `sm_80`.
    pub name: &'static str,
    /// The text of each module, in the order of [`Module::ALL`]; none where it is not compiled for this one.
    texts: [Option<&'static str>; Module::ALL.len()],
}

/// A module's PTX.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// The architecture that it is compiled for.
    pub arch: &'static Arch,
    /// The text.
    pub ptx: &'static str,
}

/// What compiled the kernels: `rustc 1.96.0 (LLVM 22.1.8)`.
pub const COMPILER: &str = env!("OUTERSCALE_DEVICE_COMPILER");

/// Every architecture that PTX is embedded for, oldest first.
pub static ARCHS: &[Arch] = include!(concat!(env!("OUT_DIR"), "/archs.rs"));

impl Arch {
    /// The architecture called `name`.
    pub fn named(name: &str) -> Option<&'static Arch> {
        ARCHS.iter().find(|arch| arch.name == name)
    }

    /// The PTX of a module as it is compiled for this architecture, if it is.
    pub fn own(&self, module: Module) -> Option<&'static str> {
        self.texts[module as usize]
    }

    /// The PTX of a module for a GPU whose newest architecture this is: its own, or the newest before it. None where
    /// the module is for other architectures only.
    pub fn text(&self, module: Module) -> Option<Text> {
        let (major, minor, _) = self.version();
        let runs = ARCHS.iter().rev().filter(|arch| arch.name == self.name || arch.runs_on(major, minor));
        runs.filter_map(|arch| arch.own(module).map(|ptx| Text { arch, ptx })).next()
    }

    /// Major and minor version, and whether the code runs on this very version only (`sm_90a`).
    pub fn version(&self) -> (u32, u32, bool) {
        let digits = self.name.trim_start_matches("sm_");
        let exact = digits.ends_with('a');
        let number: u32 = digits.trim_end_matches('a').parse().expect("cuda_builder's names are sm_, digits, maybe a");
        (number / 10, number % 10, exact)
    }

    /// Whether the driver can compile this PTX for a GPU of version (`major`, `minor`).
    pub fn runs_on(&self, major: u32, minor: u32) -> bool {
        let (own_major, own_minor, exact) = self.version();
        if exact { (own_major, own_minor) == (major, minor) } else { (own_major, own_minor) <= (major, minor) }
    }

    /// The names of a module's kernels, in the order of its own text.
    pub fn entries(&self, module: Module) -> impl Iterator<Item = &'static str> {
        self.own(module).unwrap_or_default().lines().filter_map(|line| {
            let rest = line.trim_start().strip_prefix(".visible")?.trim_start().strip_prefix(".entry")?;
            rest.trim_start().split(['(', ' ', '\t', '{']).next().filter(|name| !name.is_empty())
        })
    }
}

/// A module's text with those entries alone that are `wanted`, by name: what concerns one kernel, assembled in a
/// fraction of the time.
pub fn only_entries(ptx: &str, wanted: impl Fn(&str) -> bool) -> String {
    let mut kept = String::with_capacity(ptx.len() / 16);
    let mut skipping = false;
    for line in ptx.lines() {
        if let Some(rest) = line.strip_prefix(".visible .entry ") {
            skipping = !rest.split('(').next().is_some_and(&wanted);
        }
        if !skipping {
            kept.push_str(line);
            kept.push('\n');
        }
        // An entry ends with a brace at the start of a line.
        skipping &= line != "}";
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arch(name: &'static str, text: &'static str) -> Arch {
        Arch { name, texts: [Some(text); Module::ALL.len()] }
    }

    #[test]
    fn accelerated_code_runs_on_its_own_version_only() {
        assert!(arch("sm_80", "").runs_on(12, 0));
        assert!(!arch("sm_90", "").runs_on(8, 9));
        assert!(arch("sm_90a", "").runs_on(9, 0));
        assert!(!arch("sm_90a", "").runs_on(10, 0));
        assert_eq!(arch("sm_100a", "").version(), (10, 0, true));
    }

    #[test]
    fn a_gpu_has_the_newest_text_that_runs_on_it() {
        for arch in ARCHS {
            let text = arch.text(Module::Gemm).unwrap();
            assert!(text.ptx.contains(&format!(".target {}", text.arch.name)), "{} for {}", text.arch.name, arch.name);
        }
    }

    #[test]
    fn entries_are_found_by_their_directive() {
        let text = ".visible .entry a_f32(\n\t.param .b64 p\n)\n.func helper()\n  .visible .entry b\n(\n// .visible .entry c(\n";
        assert_eq!(arch("sm_80", text).entries(Module::Gemm).collect::<Vec<_>>(), ["a_f32", "b"]);
    }

    #[test]
    fn wanted_entries_are_kept_with_what_is_outside_of_them() {
        let ptx = ".version 7.0\n.visible .entry a(\n)\n{\n\tret;\n}\n\n.visible .entry ab(\n)\n{\n\texit;\n}\n.file 1 \"x\"\n";
        let kept = only_entries(ptx, |entry| entry == "a");
        assert!(kept.contains("ret;") && !kept.contains("exit;") && kept.contains(".file 1"), "{kept}");
        assert_eq!(only_entries(ptx, |_| true), ptx);
    }
}
