//! What `capture` writes: a file of all inputs, and layers that the library reads.

use minilm::{
    calibrate::Learnt,
    capture::Captured,
    text::{self, Batch},
    units::{Kind, Unit},
};
use outerscale::files::{Layer, OutputFile};
use safetensors::SafeTensors;

#[test]
fn captures_and_layers_hold_the_same_inputs() {
    let Some(model) = super::model() else { return };
    let batch = Batch::new(&model, &text::sentences(text::SHIPPED)[..3]).unwrap();
    let wanted = [Unit { layer: 4, kind: Kind::OutputDense }, Unit { layer: 1, kind: Kind::Qkv }];
    let mut told = Vec::new();
    // Asked for twice and out of order: each is kept once, in the model's order.
    let units = [wanted, wanted].concat();
    let captured = Captured::of(&model, &batch, units, |unit| told.push(unit)).unwrap();
    assert_eq!(told, model.units());
    assert_eq!(captured.units, [wanted[1], wanted[0]]);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("capture.safetensors");
    captured.write(OutputFile::create(&path, None).unwrap()).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut names = tensors.names();
    names.sort_unstable();
    assert_eq!(names, ["L1_qkv", "L4_output_dense", "sentence_id"]);
    assert_eq!(tensors.tensor("L4_output_dense").unwrap().shape(), [batch.tokens(), 1536]);

    let learnt = Learnt::from(&model, &batch).unwrap();
    let path = folder.path().join("layer.safetensors");
    captured.write_layer(0, &model, learnt.statistics(wanted[1]), OutputFile::create(&path, None).unwrap()).unwrap();
    let layer = Layer::read(&path).unwrap();
    assert_eq!(layer.sentence_id, Some(batch.sentence_id()));
    assert_eq!((layer.w.rows, layer.w.cols, layer.bias.map(|bias| bias.len())), (1152, 384, Some(1152)));
    let x = layer.x.values.widen();
    assert_eq!(x, captured.inputs[0].as_slice().unwrap());
    assert_eq!(tensors.tensor("L1_qkv").unwrap().data(), layer.x.values.to_le_bytes());
    // Calibrated on the very text: each channel's largest value is there.
    let largest = |channel: usize| x[channel..].iter().step_by(384).fold(0.0f32, |largest, v| largest.max(v.abs()));
    assert_eq!(layer.calib_absmax.unwrap(), (0..384).map(largest).collect::<Vec<_>>());
}
