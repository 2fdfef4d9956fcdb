//! The presets against what the libraries themselves made of the same numbers (`goldens/make.py`): the oracle and every
//! variant of the kernel, codes and scales bit for bit.

use half::{bf16, f16};
use outerscale::{
    Activations, Float, Layout, Weights,
    ops::{self, Preset},
};
use outerscale_tests::harness::*;
use safetensors::SafeTensors;

const FILE: &[u8] = include_bytes!("../../goldens/presets.safetensors");

fn goldens() -> SafeTensors<'static> {
    SafeTensors::deserialize(FILE).unwrap()
}

fn f32s(goldens: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let data = goldens.tensor(name).unwrap_or_else(|_| panic!("no golden {name}")).data().to_vec();
    data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

fn i8s(goldens: &SafeTensors<'_>, name: &str) -> Vec<i8> {
    let data = goldens.tensor(name).unwrap_or_else(|_| panic!("no golden {name}")).data().to_vec();
    data.into_iter().map(|b| b as i8).collect()
}

fn oracle_of(preset: Preset) -> oracle::Preset {
    match preset {
        Preset::Vllm => oracle::Preset::Vllm,
        Preset::CompressedTensors => oracle::Preset::CompressedTensors,
        Preset::Bitsandbytes => oracle::Preset::Bitsandbytes,
        Preset::TensorRtLlm => oracle::Preset::TensorRtLlm,
        Preset::Torchao => oracle::Preset::Torchao,
        Preset::OnnxRuntime => oracle::Preset::OnnxRuntime,
        Preset::Roundf => oracle::Preset::Roundf,
    }
}

/// x of one type: what was not finite in it was the largest number there, as make.py has it.
fn typed<T: Float>(goldens: &SafeTensors<'_>) -> (Vec<T>, usize, usize) {
    let largest = match T::DTYPE {
        outerscale::Dtype::F16 => f16::MAX.to_f32(),
        outerscale::Dtype::Bf16 => bf16::MAX.to_f32(),
        _ => f32::MAX,
    };
    let shape = goldens.tensor("x").unwrap().shape().to_vec();
    let x = f32s(goldens, "x").into_iter().map(|v| T::narrow(v.clamp(-largest, largest))).collect();
    (x, shape[0], shape[1])
}

/// One preset for one type; whether there are goldens of it at all.
fn check<T: Float>(preset: Preset, of: oracle::Type) -> (bool, bool) {
    let goldens = goldens();
    let (x, rows, cols) = typed::<T>(&goldens);
    let wide: Vec<f32> = x.iter().map(|v| v.widen()).collect();
    let layout = Layout::contiguous(rows as u64, cols as u64);
    let (tokens, weights) =
        (Activations::upload(gpu(), &x, layout).unwrap(), Weights::upload(gpu(), &x, layout).unwrap());
    let by = oracle_of(preset);

    let name = format!("{}.token.{}", preset.name(), T::DTYPE);
    let of_rows = goldens.tensor(&format!("{name}.codes")).is_ok();
    let want = oracle::quantize_preset(&wide, rows, cols, by, of);
    assert_eq!(want.is_some(), of_rows, "{name}");
    if let Some(want) = want {
        let (codes, scales) = (i8s(&goldens, &format!("{name}.codes")), f32s(&goldens, &format!("{name}.scales")));
        // bitsandbytes stores the absmax itself.
        let stored = if preset == Preset::Bitsandbytes { &want.absmax } else { &want.scales };
        assert_bits(&format!("oracle {name} scales"), stored, &scales, 1);
        assert_bits(&format!("oracle {name}"), &want.codes, &codes, cols);
        for variant in variants("quantize_preset") {
            let (q, absmax, _) = ops::quantize_preset(gpu(), &tokens, preset, variant).unwrap();
            let of_rows = q.scales().download().unwrap();
            let stored = if preset == Preset::Bitsandbytes { absmax.download().unwrap() } else { of_rows };
            assert_bits(&format!("{variant:?} {name} scales"), &stored, &scales, 1);
            assert_bits(&format!("{variant:?} {name}"), &q.download_codes().unwrap(), &codes, cols);
            let (q, _, _) = ops::quantize_preset_weights(gpu(), &weights, preset, variant).unwrap();
            assert_bits(&format!("{variant:?} {name} of weights"), &q.download_codes().unwrap(), &codes, cols);
        }
    }

    let name = format!("{}.static.{}", preset.name(), T::DTYPE);
    let of_given = goldens.tensor(&format!("{name}.codes")).is_ok();
    if of_given {
        let scale = f32s(&goldens, "static_scale")[0];
        let codes = i8s(&goldens, &format!("{name}.codes"));
        let want = oracle::quantize_preset_static(&wide, scale, by, of).expect("the library has one");
        assert_bits(&format!("oracle {name}"), &want, &codes, cols);
        for variant in variants("quantize_preset") {
            let (q, _) = ops::quantize_preset_static(gpu(), &tokens, (preset, scale), variant).unwrap();
            assert_bits(&format!("{variant:?} {name}"), &q.download_codes().unwrap(), &codes, cols);
        }
    }
    (of_rows, of_given)
}

#[test]
fn presets_are_their_libraries() {
    for preset in Preset::ALL {
        let found = [
            check::<f32>(preset, oracle::Type::F32),
            check::<f16>(preset, oracle::Type::F16),
            check::<bf16>(preset, oracle::Type::Bf16),
        ];
        let has_rows = preset.of_rows(outerscale::Dtype::F32).is_some();
        assert_eq!(found.map(|(of_rows, _)| of_rows), [has_rows; 3], "{}", preset.name());
        // ONNX Runtime's CPU provider has no QuantizeLinear of bf16; the rule does.
        let has_bf16 = preset != Preset::OnnxRuntime;
        let has_given = preset.of_given_scale().is_some();
        assert_eq!(
            found.map(|(_, of_given)| of_given),
            [has_given, has_given, has_given && has_bf16],
            "{}",
            preset.name()
        );
    }
}

/// Without data on which the rules differ the goldens would prove little.
#[test]
fn goldens_tell_the_rules_apart() {
    let goldens = goldens();
    let codes: Vec<(&str, Vec<i8>)> = Preset::ALL
        .into_iter()
        .filter(|preset| preset.of_rows(outerscale::Dtype::F32).is_some())
        .map(|preset| (preset.name(), i8s(&goldens, &format!("{}.token.f32.codes", preset.name()))))
        .collect();
    for (index, (name, one)) in codes.iter().enumerate() {
        for (other_name, other) in &codes[..index] {
            assert!(one != other, "{name} and {other_name}");
        }
    }
}
