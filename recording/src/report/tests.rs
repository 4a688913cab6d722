use super::*;

fn refusal(schema: &str) -> String {
    let json = format!("{{\"schema\": \"{schema}\"}}");
    Report::read(json.as_bytes()).unwrap_err().to_string()
}

#[test]
fn other_schemas_are_refused_by_their_number() {
    let older = refusal("cronx.report/1");
    assert_eq!(older, "written by an older cronx (version 1; this one reads 3)");
    let newer = refusal("cronx.report/4");
    assert_eq!(newer, "written by a newer cronx (version 4; this one reads up to 3)");
    assert_eq!(refusal("else"), "not a cronx report (it begins with other bytes)");
    assert!(refusal("cronx.report/3").starts_with("damaged report: "));
}

#[test]
fn a_class_is_named_as_its_json() {
    for class in Class::ALL {
        assert_eq!(serde_json::to_string(&class).unwrap(), format!("{:?}", class.name()));
    }
    assert!(Class::ALL.is_sorted());
}
