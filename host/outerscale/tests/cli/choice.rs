//! Which variant a launch takes, as a user asks: `inspect --shape` and `tune`.

use super::{assert_refused, outerscale, stderr, stdout};
use serde_json::Value;

fn json(arguments: &[&str]) -> Value {
    let output = outerscale(&[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap()
}

#[test]
fn a_shape_names_its_variant_and_why_none_of_the_others() {
    let answer = json(&["inspect", "--shape", "8192,8192,8192"]);
    let candidates = answer["candidates"].as_array().unwrap();
    let of = |verdict: &str| candidates.iter().filter(|c| c["verdict"] == verdict).count();
    assert_eq!((of("chosen"), candidates[0]["verdict"].as_str()), (1, Some("chosen")));
    assert!(of("could run") >= 2, "{answer:#}");
    assert_eq!(candidates[0]["variant"], answer["chosen"]);
    assert!(answer["kernel"].as_str().unwrap().ends_with("_bf16"), "{answer:#}");
    assert!(candidates.iter().all(|c| !c["why"].as_str().unwrap().is_empty()), "{answer:#}");
    // Several variants launch one kernel: each is named, and its clusters with it.
    let of_kernel = |kernel: &str| candidates.iter().filter(|c| c["kernel"] == kernel).collect::<Vec<_>>();
    let shared = of_kernel("gemm_t64x64_bf16");
    let names: Vec<_> = shared.iter().map(|c| c["variant"].as_str().unwrap()).collect();
    assert!(names.len() == 2 && names.contains(&"t64x64") && names.contains(&"t64x64_streamk"), "{names:?}");
    let pair = candidates.iter().find(|c| c["variant"] == "h128x256_pair").unwrap();
    assert_eq!((&pair["kernel"], &pair["blocks_of_a_cluster"]), (&"gemm_h128x256_bf16".into(), &2.into()));
    // Another shape takes another variant.
    let few = json(&["inspect", "--shape", "1,8192,8192", "--out-dtype", "i32"]);
    assert_ne!(few["chosen"], answer["chosen"]);
    assert!(few["kernel"].as_str().unwrap().ends_with("_i32"), "{few:#}");
}

#[test]
fn what_a_gpu_has_no_room_for_is_said() {
    // sm_86 has 99 KiB a block.
    let output = outerscale(&["inspect", "--shape", "4096,4096,4096", "--arch", "sm_80", "--workspace", "0"]);
    let text = stdout(&output);
    assert!(
        output.status.success() && text.contains("chosen") && text.contains("clocks modelled"),
        "{text}{}",
        stderr(&output)
    );
    let quantizer = json(&["inspect", "quantize_token", "--shape", "8,1,4096", "--out-dtype", "f16"]);
    assert!(quantizer["kernel"].as_str().unwrap().starts_with("quantize_token_"), "{quantizer:#}");
}

#[test]
fn questions_that_cannot_be_answered_are_refused() {
    assert_refused(&outerscale(&["inspect", "gemv", "--shape", "1,2,3"]), "\"gemv\" is none; there are row_absmax");
    assert_refused(&outerscale(&["inspect", "--shape", "1,2"]), "give three numbers of at least 1");
    assert_refused(&outerscale(&["inspect", "--out-dtype", "i32"]), "--shape");
    assert_refused(
        &outerscale(&["inspect", "quantize_token", "--shape", "1,2,3", "--out-dtype", "i32"]),
        "it is not compiled for i32",
    );
}

#[test]
fn tuning_wants_a_gpu_and_lists_without_one() {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("sm_90.json");
    let refused = outerscale(&["tune", "--out", file.to_str().unwrap()]);
    assert_refused(&refused, "times of the simulator mean nothing");
    assert!(!file.exists() && out.path().read_dir().unwrap().next().is_none());
    let listed = json(&["tune", "--list", "--shape", "16,4096,4096", "--shape", "1,8,8"]);
    let shapes = listed["shapes"].as_array().unwrap();
    assert_eq!((shapes.len(), &shapes[0]["m"]), (2, &Value::from(16)));
    assert!(shapes.iter().all(|shape| shape["variants"].as_array().unwrap().len() >= 3), "{listed:#}");
    assert_refused(&outerscale(&["tune", "--list", "--out", "x"]), "cannot be used with");
    // On Hopper every tile alone and in pairs: what pays is measured, not ruled.
    let listed = json(&["tune", "--list", "--arch", "sm_90a", "--shape", "512,4096,4096"]);
    let names = listed["shapes"][0]["variants"].as_array().unwrap();
    for tile in ["h128x256", "h256x128", "h128x128"] {
        let pair = Value::from(format!("{tile}_pair"));
        assert!(names.contains(&tile.into()) && names.contains(&pair), "{pair}: {names:?}");
    }
}
