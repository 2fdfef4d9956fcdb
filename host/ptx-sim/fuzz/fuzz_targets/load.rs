//! The loader answers Ok or Err, whatever the text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ptx_sim::Module;

fuzz_target!(|text: &str| {
    if let Err(error) = Module::load(text, "fuzzed.ptx") {
        assert!(error.line >= 1 && !error.message.is_empty(), "{error:?}");
    }
});
