//! The whole model through the kernels: how far its embeddings are from float32.

use minilm::{
    calibrate::{Learnt, Plan},
    encoder,
    linears::{Float, Quantized},
    similarity::Nearness,
    text::{self, Batch},
    units::{Kind, Unit},
};
use outerscale::{Backend, Gpu, calibration::Observer, linear::Scheme, smooth::Alpha};

/// Sentences that are judged.
const SENTENCES: usize = 3;
/// Sentences that are calibrated on.
const CALIBRATION: usize = 20;

/// Sentences of the shipped text after those for calibration: few and no long ones, for the simulator's sake.
fn judged(shipped: &[String]) -> Vec<String> {
    let later = shipped[text::CALIBRATION_LINES..].iter();
    later.filter(|line| (15..30).contains(&line.split_whitespace().count())).take(SENTENCES).cloned().collect()
}

/// What the mean cosine to float32 must at least be.
fn least(scheme: Scheme) -> f64 {
    match scheme {
        Scheme::Token => 0.997,
        Scheme::SmoothToken { .. } => 0.998,
        Scheme::LlmInt8 { .. } => 0.999,
        // One scale for all tokens.
        _ => 0.95,
    }
}

fn plan(scheme: Scheme, learnt: Option<&Learnt>) -> Plan<'_> {
    Plan { scheme, learnt, observer: Observer::Absmax }
}

#[test]
fn embeddings_are_near_those_of_float32() {
    let Some(model) = super::model() else { return };
    let shipped = text::sentences(text::SHIPPED);
    let batch = Batch::new(&model, &judged(&shipped)).unwrap();
    let float = encoder::embed(&model, &batch, &mut Float(&model)).unwrap();
    let learnt = Learnt::from(&model, &Batch::new(&model, &shipped[..CALIBRATION]).unwrap()).unwrap();
    let gpu = Gpu::open(Backend::from_env().unwrap()).unwrap();
    // One exponent for all layers: a search needs the tokens of each.
    for scheme in Scheme::ALL.map(|scheme| scheme.with_alpha(Alpha::Fixed(0.6))) {
        let mut linears = Quantized::new(&gpu, &model, &plan(scheme, Some(&learnt)), |_| ()).unwrap();
        let near = Nearness::of(&float, &encoder::embed(&model, &batch, &mut linears).unwrap());
        println!("{}: mean {:.5}, min {:.5}", scheme.name(), near.mean, near.min);
        assert!(near.mean >= least(scheme), "{}: {}", scheme.name(), near.mean);
        // Were the linears float32 in disguise, they would be nearer than any code can be.
        assert!(near.mean < 0.999_99, "{}: {}", scheme.name(), near.mean);
    }
}

#[test]
fn the_exponent_is_searched_for_on_what_was_calibrated_on() {
    let Some(model) = super::model() else { return };
    let shipped = text::sentences(text::SHIPPED);
    let learnt = Learnt::from(&model, &Batch::new(&model, &shipped[..CALIBRATION]).unwrap()).unwrap();
    let gpu = Gpu::open(Backend::from_env().unwrap()).unwrap();
    let plan = plan(Scheme::SmoothStatic { alpha: Alpha::Auto }, Some(&learnt));
    let unit = Unit { layer: 2, kind: Kind::AttentionOutput };
    let (scheme, known) = plan.of(&gpu, &model, unit).unwrap();
    let chosen = scheme.alpha().unwrap();
    // Under one scale this input's channels are levelled with gain, as the library's search finds on data/ too.
    assert!(chosen.number().is_some_and(|alpha| alpha >= 0.5), "{chosen}");
    assert_eq!(known.unwrap().channel_absmax, learnt.statistics(unit).channel_absmax);
}

#[test]
fn a_sentence_does_not_depend_on_its_company() {
    // The promise of the per-token scheme, through a whole model.
    let Some(model) = super::model() else { return };
    let shipped = text::sentences(text::SHIPPED);
    let gpu = Gpu::open(Backend::from_env().unwrap()).unwrap();
    let mut linears = Quantized::new(&gpu, &model, &plan(Scheme::Token, None), |_| ()).unwrap();
    let mut embed = |lines: &[String]| {
        let batch = Batch::new(&model, lines).unwrap();
        encoder::embed(&model, &batch, &mut linears).unwrap()
    };
    let lines = judged(&shipped);
    let together = embed(&lines[..3]);
    let alone = embed(&lines[1..2]);
    assert_eq!(together.row(1), alone.row(0));
}
