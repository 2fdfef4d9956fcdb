//! Tests that need the model's files. Where they are missing, each prints SKIPPED and why; with
//! OUTERSCALE_REQUIRE_MODEL=1 it fails.

mod captures;
mod commands;
mod goldens;
mod schemes;

use minilm::model::{self, Model};

/// The model, or nothing where it has not been fetched.
fn model() -> Option<Model> {
    match model::folder(None) {
        Ok(folder) => Some(Model::read(&folder).unwrap()),
        Err(error) if std::env::var("OUTERSCALE_REQUIRE_MODEL").is_ok_and(|value| value == "1") => {
            panic!("OUTERSCALE_REQUIRE_MODEL=1, and {error:#}")
        }
        Err(error) => {
            println!("SKIPPED: {error:#}");
            None
        }
    }
}
