//! Manifests mean what they mean to `kubectl`: `yaml/golden.jsonl` holds its answers. `json` is what it reads, `error`
//! the category Amanat refuses with; a row with both is stricter than `kubectl` on purpose.

use std::fmt::Write as _;

use amanat::manifest::{Limits, Node, Place, ReadError, Step, items, read, read_bytes};
use proptest::prelude::*;
use serde_json::{Value, json};

#[test]
fn manifests_mean_what_they_mean_to_kubectl() {
    let mut wrong = Vec::new();
    for line in include_str!("yaml/golden.jsonl").lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let yaml = row["yaml"].as_str().unwrap();
        let (documents, errors) = read(yaml, &Limits::default());
        let values: Vec<_> = documents.iter().map(|document| document.root.to_value()).collect();
        let fits = match row["error"].as_str() {
            Some(category) => errors.iter().any(|error| error.category() == category),
            None => errors.is_empty() && Some(&values) == row["json"].as_array(),
        };
        if !fits {
            let values = Value::from(values);
            wrong.push(format!("{}\n  kubectl {}\n  amanat  {values} {errors:?}", row["name"], row["json"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn one(text: &str) -> Node {
    let (mut documents, errors) = read(text, &Limits::default());
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(documents.len(), 1);
    documents.remove(0).root
}

fn refused(text: &str) -> ReadError {
    let (_, mut errors) = read(text, &Limits::default());
    assert!(!errors.is_empty(), "nothing refused in {:?}", text.get(..200).unwrap_or(text));
    errors.remove(0)
}

fn at(line: u32, column: u32) -> Place {
    Place { line, column }
}

#[test]
fn places_are_those_of_keys_and_of_the_deepest_parent_that_exists() {
    let root = one("# x\nspec:\n  containers:\n  - name: a\n    image: b\n  - {name: c, image: d}\n");
    let containers = [Step::Key("spec"), Step::Key("containers")];
    let under = |rest: &[Step<'static>]| root.locate(&[&containers, rest].concat());
    assert_eq!(root.place(), at(2, 1));
    assert_eq!(root.locate(&[]), at(2, 1));
    assert_eq!(root.locate(&[Step::Key("metadata"), Step::Key("name")]), at(2, 1));
    assert_eq!(root.locate(&[Step::Key("spec"), Step::Key("hostNetwork")]), at(2, 1));
    assert_eq!(under(&[]), at(3, 3));
    assert_eq!(under(&[Step::Index(0)]), at(4, 5));
    assert_eq!(under(&[Step::Index(0), Step::Key("image")]), at(5, 5));
    assert_eq!(under(&[Step::Index(0), Step::Key("securityContext"), Step::Key("privileged")]), at(4, 5));
    assert_eq!(under(&[Step::Index(1)]), at(6, 5));
    assert_eq!(under(&[Step::Index(1), Step::Key("image")]), at(6, 15));
    assert_eq!(under(&[Step::Index(2)]), at(3, 3));
    assert_eq!(under(&[Step::Key("name")]), at(3, 3));
}

#[test]
fn places_count_characters_and_windows_line_ends() {
    let root = one("\u{feff}a: 1\r\nشہر: {é: 1, b: 2}\r\n");
    assert_eq!(root.locate(&[Step::Key("شہر")]), at(2, 1));
    assert_eq!(root.locate(&[Step::Key("شہر"), Step::Key("b")]), at(2, 13));
    let root = one("{\n\t\"a\": {\n\t\t\"b\": 1\n\t}\n}");
    assert_eq!(root.locate(&[Step::Key("a"), Step::Key("b")]), at(3, 3));
}

#[test]
fn documents_that_hold_something_are_counted() {
    let text = "# only a comment\n---\na: 1\n--- # x\n\n---\nnull\n---   \nb: 2\n";
    let (documents, errors) = read(text, &Limits::default());
    assert!(errors.is_empty(), "{errors:?}");
    let found: Vec<_> = documents.iter().map(|document| (document.index, document.root.place())).collect();
    assert_eq!(found, [(0, at(3, 1)), (1, at(9, 1))]);
}

#[test]
fn documents_behind_a_broken_one_are_read() {
    for broken in ["a: [1\n", "a: 1\na: 2\nc: {\n", "a: *x\n", "a: .inf\n", "a: b: c\n", "? [a]\n", "a: @\n"] {
        let text = format!("x: 1\n---\n{broken}---\ny: 2\n---\nz: 3\n");
        let (documents, errors) = read(&text, &Limits::default());
        let indices: Vec<_> = documents.iter().map(|document| document.index).collect();
        assert_eq!(indices, [0, 2, 3], "{broken:?} {errors:?}");
        assert_eq!(errors.iter().map(|error| error.document).collect::<Vec<_>>(), [1], "{broken:?}");
    }
}

#[test]
fn errors_name_line_column_and_category() {
    for (text, place, category) in [
        ("a: 1\nb: 2\na: 3\n", at(3, 1), "duplicate"),
        ("a:\n  - b: 1\n    'b': 2\n", at(3, 5), "duplicate"),
        ("{\"a\": 1,\n \"b\": 2, \"a\": 3}", at(2, 10), "duplicate"),
        ("a:\n\t- b\n", at(2, 2), "syntax"),
        ("a: 1\nb: 'x\n", at(2, 4), "syntax"),
        ("a: 1\nb: \"x\n", at(2, 4), "syntax"),
        ("a: 1\nb: *x\n", at(2, 4), "syntax"),
        ("a: 1\nb: [1,\n  2\n", at(2, 4), "syntax"),
        ("a: 1\nb: 2 # \u{2028}c: 3\n", at(2, 8), "encoding"),
        ("a: 1\nb: \0\n", at(2, 4), "encoding"),
        ("a: 1\nb: &x [*x]\n", at(2, 8), "value"),
        ("a: 1\nb: .nan\n", at(2, 4), "value"),
        ("a: 1\n{b: 1}: 2\n", at(2, 1), "value"),
        ("a: 1\nb:\n  <<: 2\n", at(3, 7), "value"),
    ] {
        let error = refused(text);
        assert_eq!((error.place, error.category()), (place, category), "{text:?} {error:?}");
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn bytes_that_are_not_utf8_are_one_error() {
    let (documents, errors) = read_bytes(b"a: 1\nb: \xff\n", &Limits::default());
    assert!(documents.is_empty());
    assert_eq!((errors[0].place, errors[0].category()), (at(2, 4), "encoding"));
    let (documents, errors) = read_bytes("\u{feff}a: 1\n".as_bytes(), &Limits::default());
    assert_eq!((documents[0].root.to_value(), errors.len()), (json!({"a": 1}), 0));
}

#[test]
fn nesting_is_bounded() {
    let deep = 20_000;
    for text in [
        "[".repeat(deep),
        format!("{}{}", "[".repeat(deep), "]".repeat(deep)),
        "{\"a\":".repeat(deep),
        "{a: ".repeat(deep),
        "- ".repeat(deep),
        (0..2_000).fold(String::new(), |mut text, level| {
            writeln!(text, "{}a:", " ".repeat(level)).unwrap();
            text
        }),
    ] {
        let error = refused(&text);
        assert_eq!(error.category(), "limit", "{error:?}");
        assert!(error.to_string().contains("128 levels"), "{error}");
    }
    let fits = format!("{}{}", "[".repeat(128), "]".repeat(128));
    assert_eq!(serde_json::to_string(&one(&fits).to_value()).unwrap(), fits);
    assert_eq!(refused(&format!("[{fits}]")).place, at(1, 129));
}

#[test]
fn aliases_nest_no_deeper_than_text() {
    let mut text = "a0: &a0 [x]\n".to_owned();
    for level in 1..500 {
        writeln!(text, "a{level}: &a{level} [*a{}]", level - 1).unwrap();
    }
    let error = refused(&text);
    assert_eq!((error.category(), error.place.line), ("limit", 128), "{error:?}");
}

#[test]
fn alias_bombs_are_bounded() {
    let mut lists = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    let mut merges = "a0: &a0 {k: [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]}\n".to_owned();
    for level in 1..30 {
        let ten = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(lists, "a{level}: &a{level} [{ten}]").unwrap();
        writeln!(merges, "a{level}: &a{level} {{<<: [{ten}], k{level}: [{ten}]}}").unwrap();
    }
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a, ".repeat(100_000));
    for text in [&lists, &merges, &long] {
        let error = refused(text);
        assert_eq!(error.category(), "limit", "{error:?}");
        assert!(error.to_string().contains("aliases copy"), "{error}");
    }
}

#[test]
fn bytes_documents_and_values_are_bounded() {
    let tight = Limits { bytes: 100, documents: 2, nodes: 6, ..Limits::default() };
    let category = |text: &str| read(text, &tight).1.first().map(ReadError::category);
    assert_eq!(category(&" ".repeat(101)), Some("limit"));
    assert_eq!(category("a: 1\n---\nb: 1\n"), None);
    assert_eq!(category("---\n---\n---\n# x\n---\n"), None);
    let (documents, errors) = read("a\n---\nb\n---\nc\n---\nd\n", &tight);
    assert_eq!((documents.len(), errors.len(), errors[0].category()), (2, 1, "limit"));
    let (_, errors) = read("'a\n---\n'b\n---\n'c\n---\n'd\n---\n'e\n", &tight);
    assert!(errors.len() <= 3, "{errors:?}");
    let (documents, errors) = read("[1, 2]\n---\n[1, 2, 3]\n---\n[1]\n", &tight);
    assert_eq!((documents.len(), errors.len(), errors[0].category()), (1, 1, "limit"));
}

#[test]
fn a_manifest_cut_anywhere_is_read_or_refused() {
    let text = "a: &x {b: \"é\\u0041\", c: [1, 'y']}\n<<: *x\nd: |\n  z\n# w\n---\n? e\n: !!str 1\n...\n";
    for (end, _) in text.char_indices() {
        let (documents, errors) = read(&text[..end], &Limits::default());
        for document in &documents {
            document.root.to_value();
        }
        assert!(errors.iter().all(|error| error.place.line >= 1 && error.place.column >= 1));
    }
    for end in 0..text.len() {
        read_bytes(&text.as_bytes()[..end], &Limits::default());
    }
}

#[test]
fn many_keys_and_long_scalars_cost_no_more_than_their_length() {
    let many = (0..50_000).fold(String::new(), |mut text, key| {
        writeln!(text, "key-{key}: {key}").unwrap();
        text
    });
    let root = one(&many);
    assert_eq!(root.get("key-49999").map(Node::to_value), Some(json!(49_999)));
    assert_eq!(refused(&format!("{many}key-7: 1\n")).place, at(50_001, 1));
    let long = "x".repeat(4 << 20);
    assert_eq!(one(&format!("a: {long}\n")).get("a").and_then(Node::as_str), Some(long.as_str()));
}

#[test]
fn lists_are_their_items() {
    let text = "kind: List\napiVersion: v1\nitems:\n- kind: Pod\n- kind: List\n  items: [{kind: A}, {kind: B}]\n---\n\
                kind: Pod\n---\nkind: Other\nitems:\n- kind: Pod\n---\nkind: PodList\napiVersion: v1\nitems: [{spec: {}}]\n\
                ---\nkind: List\nitems: []\n---\nkind: X\nitems: z\n";
    let (documents, errors) = read(text, &Limits::default());
    assert!(errors.is_empty(), "{errors:?}");
    let found: Vec<_> = documents.iter().flat_map(items).map(|it| (it.document, it.item, it.to_value())).collect();
    assert_eq!(
        found,
        [
            (0, Some(0), json!({"kind": "Pod"})),
            (0, Some(1), json!({"kind": "A"})),
            (0, Some(1), json!({"kind": "B"})),
            (1, None, json!({"kind": "Pod"})),
            (2, Some(0), json!({"kind": "Pod"})),
            (3, Some(0), json!({"apiVersion": "v1", "kind": "Pod", "spec": {}})),
            (5, None, json!({"kind": "X", "items": "z"})),
        ]
    );
}

fn values() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[ -~]{0,12}",
        "[\\PC&&[^\\u{2028}\\u{2029}]]{0,8}",
        prop::sample::select(vec!["yes", "0444", "~", "", "1e3", "<<", "- a", "a: b", "#x", "?x", "12:30", "a\tb\n"])
            .prop_map(str::to_owned),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e15..1e15)
            .prop_filter("whole numbers read as integers", |number: &f64| number.fract() != 0.0)
            .prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(text.clone(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
    .prop_filter("nothing is no document", |value| !value.is_null())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn json_reads_as_itself(value in values()) {
        prop_assert_eq!(&one(&value.to_string()).to_value(), &value);
        prop_assert_eq!(&one(&serde_json::to_string_pretty(&value).unwrap()).to_value(), &value);
    }

    #[test]
    fn yaml_with_every_string_quoted_reads_as_itself(value in values()) {
        let mut text = String::new();
        write_yaml(&value, 0, &mut text);
        prop_assert_eq!(&one(&text).to_value(), &value, "{}", text);
    }

    #[test]
    fn nothing_panics(text in "[-\\[\\]{},:?#&*!|>'\"%@`~<a0._ \n\t\\\\é]{0,60}") {
        let (documents, _) = read(&text, &Limits::default());
        for document in &documents {
            document.root.to_value();
            items(document);
        }
    }
}

/// Block collections and double-quoted strings, written by hand so that the reader isn't tested with its own grammar.
fn write_yaml(value: &Value, indent: usize, text: &mut String) {
    let pad = " ".repeat(indent);
    match value {
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                *text += &format!("{pad}-\n");
                write_yaml(item, indent + 1, text);
            }
        }
        Value::Object(entries) if !entries.is_empty() => {
            for (key, item) in entries {
                *text += &format!("{pad}{}:\n", Value::from(key.as_str()));
                write_yaml(item, indent + 1, text);
            }
        }
        scalar => *text += &format!("{pad}{scalar}\n"),
    }
}
