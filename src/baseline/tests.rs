use super::*;

#[test]
fn the_shipped_baseline_is_read_and_resolved() {
    let shipped = shipped().unwrap();
    let name = shipped.metadata.name.clone().unwrap();
    let effective = Effective::resolve(&name, &shipped.spec, Mode::Offline).unwrap();
    assert_eq!(effective.controls.len(), crate::catalogue::ALL.len());
    let problems = Effective::resolve(&name, &shipped.spec, Mode::Cluster).unwrap_err();
    assert!(problems.to_string().contains("registries is required"), "{problems}");
}
