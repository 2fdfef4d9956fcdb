//! `study`: its numbers are linear's own, and every scheme errs as float64 says it should.

use outerscale::{
    Dtype,
    files::Layer,
    host::{HostMatrix, Values},
    linear::{Calibration, linear_calibrated},
    study::{
        LayerStudy, SCHEMA, Study, candidates::candidates, per_channel, recommend::Workload, rows::Source, study_layer,
    },
};
use outerscale_tests::{
    data::Kind,
    harness::gpu,
    simulation::{Grouping, Outliers, Simulation},
};
use std::path::Path;

const FILES: [&str; 5] =
    ["L0_intermediate", "L1_output_dense", "L2_attention_output", "L2_attention_output_injected60", "L5_output_dense"];

fn data(name: &str) -> Layer {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    Layer::read(&root.join(format!("data/{name}.safetensors"))).unwrap()
}

fn study(name: &str, layer: &Layer) -> LayerStudy {
    study_layer(gpu(), (name, layer), |_, _, _| {}).unwrap()
}

/// Three sentences with an outlier channel.
fn small() -> Layer {
    let (m, n, k) = (24, 40, 96);
    let mut x: Vec<f32> = Kind::Uniform.matrix(m, k, 1);
    x.iter_mut().skip(7).step_by(k).for_each(|x| *x *= 30.0);
    x[5] = 0.0;
    let absmax = (0..k).map(|col| x.iter().skip(col).step_by(k).fold(0.0, |most: f32, x| most.max(x.abs()))).collect();
    Layer {
        x: HostMatrix { rows: m as u64, cols: k as u64, values: Values::F32(x) },
        w: HostMatrix { rows: n as u64, cols: k as u64, values: Values::F32(Kind::Uniform.matrix(n, k, 2)) },
        bias: Some((0..n).map(|i| i as f32).collect()),
        calib_absmax: Some(absmax),
        sentence_id: Some((0..m as i32).map(|token| token / 8).collect()),
    }
}

#[test]
fn rows_are_what_the_kernels_computed() {
    let layer = small();
    let study = study("small", &layer);
    assert_eq!(study.left_out, []);
    let (x, w) = (layer.x.values.widen(), layer.w.values.widen());
    let exact = oracle::reference(&x, &w, layer.bias(), 96);
    let without_bias = |y: &[f64]| y.iter().enumerate().map(|(i, y)| y - (i % 40) as f64).collect::<Vec<_>>();
    for candidate in candidates() {
        let row = study.rows.iter().find(|row| row.scheme == candidate.name).unwrap();
        assert_eq!((row.source, row.histogram.iter().sum::<u64>()), (Source::Kernels, x.len() as u64));
        // These two need more than one plain run; their errors are held to float64 below.
        if ["w8a8-running", "w8a8-hybrid"].contains(&&*row.scheme) {
            continue;
        }
        let calibration = Calibration::given(&layer, candidate.scheme).unwrap();
        let result = linear_calibrated(gpu(), &layer, candidate.scheme, calibration.as_ref(), Dtype::F32).unwrap();
        let y: Vec<f64> = result.y.widen().into_iter().map(f64::from).collect();
        let want = oracle::metrics(&without_bias(&y), &without_bias(&exact), 24, 40);
        assert!((row.relative_error / want.relative_error - 1.0).abs() < 1e-9, "{}", row.scheme);
        assert_eq!(row.worst_token, want.worst_token, "{}", row.scheme);
        let of_code = |code: i8| result.q_x.iter().filter(|q| **q == code).count() as u64;
        assert_eq!([row.histogram[0], row.histogram[128], row.histogram[255]], [-128, 0, 127].map(of_code));
        assert_eq!(row.cost.as_ref().unwrap().launches, result.batch_steps().count() as u64);
        if candidate.name == "w8a8-token" {
            let lost = result.q_x.iter().zip(&x).filter(|(q, x)| **q == 0 && **x != 0.0).count();
            assert_eq!(row.lost_share, lost as f64 / (x.len() - 1) as f64, "one input is a true zero");
        }
    }
    let float = study.rows.last().unwrap();
    assert_eq!((&*float.scheme, float.source, &float.cost), (per_channel::NAME, Source::Float, &None));
    assert_eq!(study.rows.len(), candidates().len() + 1);
}

/// The error of a scheme in real numbers.
fn simulated(layer: &Layer, scheme: &str, study: &LayerStudy) -> f64 {
    let (x, w, k) = (layer.x.values.widen(), layer.w.values.widen(), layer.x.cols as usize);
    let known: Vec<f64> = layer.calib_absmax.as_ref().unwrap().iter().map(|v| f64::from(*v)).collect();
    let most = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
    let plain = |grouping| Simulation::plain(&x, &w, k, grouping);
    // SmoothQuant's equation 4, with this layer's own α.
    let chosen = study.curves.iter().find(|curve| curve.scheme == scheme).and_then(|curve| curve.chosen);
    let factor = |(col, known): (usize, &f64)| {
        let of_w = most(&mut w.iter().skip(col).step_by(k).map(|w| f64::from(w.abs()))).max(1e-5);
        chosen.map_or(
            1.0,
            |alpha| if *known == 0.0 { 1.0 } else { (known.powf(alpha) / of_w.powf(1.0 - alpha)).max(1e-5) },
        )
    };
    let factors: Vec<f64> = known.iter().enumerate().map(factor).collect();
    let smooth = |grouping| Simulation { factors: Some(&factors), ..plain(grouping) };
    let outliers =
        |f16_weights| Simulation { outliers: Some(Outliers { threshold: 6.0, f16_weights }), ..plain(Grouping::Token) };
    let spreads_too_far = study.rows.iter().any(|row| row.chose.as_deref() == Some("per token"));
    let of_all = most(&mut known.iter().copied());
    let products = match scheme {
        "w8a8-token" => plain(Grouping::Token).products(),
        "w8a8-tensor" => plain(Grouping::Tensor).products(),
        "w8a8-static" => plain(Grouping::Absmax(of_all)).products(),
        "w8a8-asym" => plain(Grouping::Asymmetric).products(),
        "w8a8-hybrid" if spreads_too_far => plain(Grouping::Token).products(),
        "w8a8-hybrid" => plain(Grouping::Absmax(of_all)).products(),
        "llm-int8, f16" => outliers(true).products(),
        "llm-int8, int8" => outliers(false).products(),
        "smooth-token" => smooth(Grouping::Token).products(),
        "smooth-static" => {
            smooth(Grouping::Absmax(most(&mut known.iter().zip(&factors).map(|(a, s)| a / s)))).products()
        }
        "w8a8-running" => {
            let mut average = of_all;
            let mut y = Vec::new();
            for tokens in layer.sentence_id.as_ref().unwrap().chunk_by(|a, b| a == b) {
                let start = y.len() / layer.w.rows as usize;
                let x = &x[start * k..(start + tokens.len()) * k];
                y.extend(Simulation::plain(x, &w, k, Grouping::Absmax(average)).products());
                let of_sentence = most(&mut x.iter().map(|x| f64::from(x.abs())));
                average = 0.9 * average + 0.1 * of_sentence;
            }
            y
        }
        other => panic!("no simulation of {other}: add one"),
    };
    let exact = oracle::reference(&x, &w, None, k);
    oracle::metrics(&products, &exact, layer.x.rows as usize, layer.w.rows as usize).relative_error
}

/// A layer's study, held against float64. Also the ranks: on the hardest layer the schemes are in float64's order.
fn held(name: &str) -> LayerStudy {
    let layer = data(name);
    let study = study(name, &layer);
    let mut errors = Vec::new();
    for row in study.rows.iter().filter(|row| row.source == Source::Kernels) {
        let want = simulated(&layer, &row.scheme, &study);
        assert!((row.relative_error / want - 1.0).abs() < 0.02, "{name} {}: {want} {row:?}", row.scheme);
        errors.push((row.relative_error, want, &*row.scheme));
    }
    assert_eq!((errors.len(), &study.left_out), (candidates().len(), &vec![]));
    if name == "L1_output_dense" {
        let ranks = |of: fn(&(f64, f64, &str)) -> f64| {
            let mut sorted = errors.clone();
            sorted.sort_by(|a, b| of(a).total_cmp(&of(b)));
            sorted.into_iter().map(|e| e.2.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(ranks(|e| e.0), ranks(|e| e.1));
    }
    study
}

#[test]
fn every_scheme_errs_as_float64_says() {
    // float64 takes one thread for a layer.
    let studies = std::thread::scope(|scope| {
        let threads = FILES.map(|name| scope.spawn(move || held(name)));
        threads.map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let error =
        |file: usize, scheme: &str| studies[file].rows.iter().find(|row| row.scheme == scheme).unwrap().relative_error;
    // The injected outliers are the twin's function: who lives with them, and who does not.
    for scheme in ["smooth-token", "smooth-static"] {
        assert!((error(3, scheme) / error(2, scheme) - 1.0).abs() < 1e-6, "{scheme}");
    }
    assert!((error(3, "llm-int8, f16") / error(2, "llm-int8, f16") - 1.0).abs() < 0.05);
    assert!(error(3, "w8a8-token") > 5.0 * error(2, "w8a8-token"));
    for file in 0..5 {
        assert!(error(file, "smooth-token") <= error(file, "w8a8-token"));
        assert!(error(file, "smooth-static") <= error(file, "w8a8-static"));
    }
    sound(Study::new(studies.into(), Workload::Batch, "here".into()));
}

/// A page that a strict parser takes, and JSON with what the page shows.
fn sound(study: Study) {
    let html = study.page().html();
    let body = &html[html.find("<body>").unwrap()..html.find("</body>").unwrap() + 7];
    let page = roxmltree::Document::parse(body).unwrap_or_else(|e| panic!("{e}"));
    let count = |name| page.descendants().filter(|node| node.tag_name().name() == name).count();
    // All layers and eight plots of each: errors, channels, α, codes, lost, running, bytes, operations.
    assert_eq!((count("svg"), count("figcaption"), count("h2")), (1 + 5 * 8, 1 + 5 * 8, 1 + 5 + 1));
    for text in page.descendants().filter(|node| node.tag_name().name() == "figcaption") {
        assert!(text.text().unwrap().ends_with('.'));
    }
    let json = study.json();
    assert_eq!((json["schema"].as_str(), json["workload"].as_str()), (Some(SCHEMA), Some("batch")));
    for layer in json["layers"].as_array().unwrap() {
        for row in layer["rows"].as_array().unwrap() {
            let error = row["relative_error"].as_f64().unwrap();
            let shown = outerscale::report::percent(error);
            assert!(body.contains(&shown), "{shown} of {} is not on the page", row["scheme"]);
            let sqnr = row["sqnr_db"].as_f64().unwrap();
            assert!((sqnr + 20.0 * error.log10()).abs() < 1e-9);
            assert_eq!(row["histogram"].as_array().unwrap().len(), if row["source"] == "float" { 0 } else { 256 });
        }
        assert_eq!(layer["curves"].as_array().unwrap().len(), 2);
        assert!(layer["running"].as_array().unwrap().len() >= 4);
        assert_eq!(layer["channels"]["before"].as_array().unwrap().len() as u64, layer["k"].as_u64().unwrap());
        // LLM.int8() finds its columns in the batch, so a token's result depends on its company.
        let refused = layer["recommendation"]["refused"].as_array().unwrap();
        assert!(refused.iter().any(|refusal| refusal["scheme"] == "llm-int8, f16"));
        assert_ne!(layer["recommendation"]["scheme"], "w8a8-tensor");
    }
    assert_eq!(json["overall"].as_array().unwrap().len(), candidates().len() + 1);
}
