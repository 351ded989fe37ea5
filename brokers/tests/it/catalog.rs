//! Every file of `catalog/` is what OSB puts on the wire, and describes its parameters.

use std::collections::HashSet;
use std::path::Path;

#[test]
fn every_catalog_file_has_ids_of_its_own_and_schemas_for_all_parameters() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../catalog");
    let mut ids = HashSet::new();
    let mut files = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let no_catalog = path.ends_with("prices.json") || path.extension().is_none_or(|extension| extension != "json");
        if no_catalog {
            continue;
        }
        files += 1;
        let catalog: osb::Catalog = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(osb::catalog::validate(&catalog), [], "{}", path.display());
        for offering in catalog.offerings().map(Result::unwrap) {
            assert!(ids.insert(offering.id.clone()), "{} is used twice", offering.id);
            assert!(offering.description.len() <= 255, "CAT-05");
            for plan in &offering.plans {
                assert!(ids.insert(plan.id.clone()), "{} is used twice", plan.id);
                for schema in [plan.create_schema(), plan.update_schema(), plan.bind_schema()] {
                    let schema = schema.unwrap_or_else(|| panic!("{} lacks a schema", plan.name));
                    assert_eq!(schema["$schema"], "http://json-schema.org/draft-06/schema#", "SCH-01");
                    assert!(schema.to_string().len() <= 64 * 1024 && !schema.to_string().contains("$ref"), "SCH-01");
                    assert!(schema["required"].is_null(), "{} can be ordered without parameters", plan.name);
                    for (name, property) in schema["properties"].as_object().unwrap() {
                        let helped = ["default", "examples", "enum"].iter().any(|key| !property[key].is_null());
                        assert!(helped, "{}: `{name}` has a default, examples or an enum", plan.name);
                    }
                }
            }
        }
    }
    assert!(files >= 2, "each broker has its file");
}
