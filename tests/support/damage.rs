//! Reviews that something has happened to on the way, made from whole ones by a seed, and what may be answered to them.
//!
//! They start from reviews that are refused for many reasons, so that no small change makes them admissible, or from
//! reviews that are allowed, where the damage alone is reason enough. What would make another, valid request of them is
//! left out: a namespace that isn't governed, another known operation, a subresource that is always admitted, a kind
//! and a resource that are both unknown, the user.

#[path = "damage/bytes.rs"]
mod bytes;

use serde_json::{Value, json};

use self::bytes::{flipped, noise, removed, repeated, sized, truncated};
use super::random::Random;
use super::sent::as_sent;

/// Where workloads are judged: a Pod is at every entry that judges.
pub(crate) const OF_WORKLOADS: &[&str] =
    &["/validate/governed", "/validate/governed", "/validate/undeclared", "/validate/declarations"];
/// Where Pods that are made are filled in.
const SUPPLYING: [&str; 2] = ["/mutate/supply", "/mutate/supply-undeclared"];

/// What may be answered. A 4xx or a 5xx always may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Oracle {
    /// No review: what was sent is none, or its envelope is broken.
    NoReview,
    /// A review with the request's uid that doesn't allow.
    NotAllowed,
    /// A review with the request's uid.
    Answered,
}

/// A request's body, and where it goes.
#[derive(Clone, Debug)]
pub(crate) struct Damaged {
    /// What was done to it.
    pub(crate) what: &'static str,
    /// The path of the webhook.
    pub(crate) path: &'static str,
    /// The body.
    pub(crate) body: Vec<u8>,
    /// What may be answered.
    pub(crate) oracle: Oracle,
}

impl Damaged {
    /// Why an answer is wrong, if it is.
    pub(crate) fn wrong(&self, status: u16, answer: &str) -> Option<String> {
        if (400..600).contains(&status) {
            return answer.contains("\"allowed\":true").then(|| format!("a {status} that allows"));
        }
        if status != 200 {
            return Some(format!("it is answered {status}"));
        }
        if self.oracle == Oracle::NoReview {
            return Some(format!("what is no review is answered by one: {answer}"));
        }
        let Ok(review) = serde_json::from_str::<Value>(answer) else {
            return Some(format!("the answer is no JSON: {answer}"));
        };
        let response = &review["response"];
        let uid = response["uid"].as_str().unwrap_or_default();
        if !self.has_uid(uid) {
            return Some(format!("{uid:?} is another uid than the request's"));
        }
        match (response["allowed"].as_bool(), self.oracle) {
            (None, _) => Some(format!("the answer says nothing: {answer}")),
            (Some(true), Oracle::NotAllowed) => Some(format!("it is allowed: {answer}")),
            _ => None,
        }
    }

    /// Whether that is the request's uid. Where the body is more than this test's reader takes, in depth or in numbers,
    /// it must stand in it as one.
    fn has_uid(&self, uid: &str) -> bool {
        match serde_json::from_slice::<Value>(&self.body) {
            Ok(review) => review["request"]["uid"] == uid,
            Err(_) => String::from_utf8_lossy(&self.body).contains(&format!("\"uid\":\"{uid}\"")),
        }
    }
}

/// A whole review, and the paths of the webhook that give it the same answer.
#[derive(Clone)]
pub(crate) struct Reviewed {
    /// Where it is sent.
    pub(crate) paths: &'static [&'static str],
    /// The review.
    pub(crate) review: Value,
}

/// What reviews are damaged.
pub(crate) struct Whole {
    /// Reviews of a governed namespace and of the registry that are refused.
    pub(crate) refused: Vec<Reviewed>,
    /// Reviews of objects that have to have a spec, and are allowed.
    pub(crate) allowed: Vec<Reviewed>,
    /// The most bytes that a body may have.
    pub(crate) limit: usize,
}

impl Whole {
    fn any<'w>(&'w self, random: &mut Random) -> &'w Reviewed {
        let reviews = if random.below(2) == 0 { &self.refused } else { &self.allowed };
        &reviews[random.below(reviews.len())]
    }

    fn refused<'w>(&'w self, random: &mut Random) -> &'w Reviewed {
        &self.refused[random.below(self.refused.len())]
    }

    fn allowed<'w>(&'w self, random: &mut Random) -> &'w Reviewed {
        &self.allowed[random.below(self.allowed.len())]
    }
}

/// Chooses what is damaged.
type Choose = for<'w> fn(&'w Whole, &mut Random) -> &'w Reviewed;
/// Damages a review; the others are there to take parts from.
type Damage = fn(Value, &Whole, &mut Random) -> (&'static str, Vec<u8>, Oracle);

/// Every kind of damage, by turns, and what it is done to. Where damage isn't reason enough by itself, the review is one
/// that is refused anyhow.
const DAMAGES: [(Choose, Damage); 18] = [
    (Whole::any, truncated),
    (Whole::refused, flipped),
    (Whole::refused, flipped),
    (Whole::refused, noise),
    (Whole::refused, removed),
    (Whole::refused, repeated),
    (Whole::allowed, keys),
    (Whole::refused, numbers),
    (Whole::any, deep),
    (Whole::refused, sized),
    (Whole::any, encoding),
    (Whole::refused, uids),
    (Whole::any, types),
    (Whole::any, types),
    (Whole::refused, old_types),
    (Whole::refused, old_types),
    (Whole::refused, unknown),
    (Whole::any, versions),
];

/// The damaged request of a number.
pub(crate) fn damaged(whole: &Whole, number: usize, random: &mut Random) -> Damaged {
    let (choose, damage) = DAMAGES[number % DAMAGES.len()];
    let reviewed = choose(whole, random);
    let (what, body, oracle) = damage(reviewed.review.clone(), whole, random);
    let request = &reviewed.review["request"];
    let is_filled_in = request["operation"] == "CREATE" && request["resource"]["resource"] == "pods";
    if is_filled_in && random.below(5) == 0 {
        // There, a Pod that would be refused isn't judged.
        let oracle = if oracle == Oracle::NotAllowed { Oracle::Answered } else { oracle };
        return Damaged { what, path: random.of(&SUPPLYING), body, oracle };
    }
    Damaged { what, path: random.of(reviewed.paths), body, oracle }
}

/// A key twice in an object: readers differ in which one counts.
fn keys(review: Value, whole: &Whole, random: &mut Random) -> (&'static str, Vec<u8>, Oracle) {
    let text = as_sent(&review);
    let request = &whole.refused(random).review["request"];
    let (at, key, value) = random.of(&[
        ("{\"", "apiVersion", json!("admission.k8s.io/v1")),
        ("{\"", "request", request.clone()),
        ("\"request\":{", "operation", json!("CONNECT")),
        ("\"request\":{", "namespace", json!("default")),
        ("\"request\":{", "uid", json!("another")),
        ("\"request\":{", "object", request["object"].clone()),
        ("\"request\":{", "kind", json!({"group": "", "version": "v1", "kind": "ConfigMap"})),
        ("\"request\":{", "userInfo", json!({"username": "other"})),
        ("\"object\":{", "spec", request["object"]["spec"].clone()),
        ("\"object\":{", "metadata", json!({"name": "other"})),
    ]);
    let start = text.find(at).unwrap_or_default() + at.trim_end_matches('"').len();
    let body = format!("{}\"{key}\":{value},{}", &text[..start], &text[start..]);
    // An object is decoded after its envelope: its refusal is a review.
    let oracle = if at == "\"object\":{" { Oracle::NotAllowed } else { Oracle::NoReview };
    ("a key twice", body.into_bytes(), oracle)
}

fn numbers(mut review: Value, _: &Whole, random: &mut Random) -> (&'static str, Vec<u8>, Oracle) {
    let pointer = random.of(&["/request/uid", "/request/dryRun", "/request/object/spec", "/request/operation"]);
    set(&mut review, pointer, json!("NUMBER"));
    let number = random.of(&[
        "NaN",
        "Infinity",
        "-Infinity",
        "-0",
        "00",
        "1.",
        ".5",
        "+1",
        "0x10",
        "1e",
        "1e999",
        "-1e-999",
        "1_000",
        "99999999999999999999999999",
        "0.1e+",
        "１",
    ]);
    ("numbers", as_sent(&review).replace("\"NUMBER\"", number).into_bytes(), Oracle::NotAllowed)
}

fn deep(mut review: Value, _: &Whole, random: &mut Random) -> (&'static str, Vec<u8>, Oracle) {
    // An object with a field that nobody knows may be right; a list is so nowhere here.
    let (open, close) = random.of(&[("[", "]"), ("{\"a\":", "}")]);
    let objects = ["/request/object", "/request/object/metadata/labels", "/request/uid", "/kind", "/request", ""];
    let lists = ["/request/object/spec", "/request/object/metadata", "/request/userInfo", "/request/operation"];
    let pointer = if open == "[" && random.below(2) == 0 { random.of(&lists) } else { random.of(&objects) };
    // A Service of which nothing is known asks for nothing.
    let asks_nothing = pointer == "/request/object" && open != "[" && review["request"]["kind"]["kind"] == "Service";
    set(&mut review, pointer, json!("DEEP"));
    let levels = random.of(&[130, 1_000, 20_000, 100_000]);
    let unclosed = random.below(4) == 0;
    let middle = if open == "[" { "" } else { "1" };
    let end = if unclosed { String::new() } else { close.repeat(levels) };
    let bomb = format!("{}{middle}{end}", open.repeat(levels));
    let oracle = match (unclosed, asks_nothing) {
        (true, _) => Oracle::NoReview,
        (false, true) => Oracle::Answered,
        (false, false) => Oracle::NotAllowed,
    };
    ("nested deeply", as_sent(&review).replace("\"DEEP\"", &bomb).into_bytes(), oracle)
}

fn encoding(mut review: Value, _: &Whole, random: &mut Random) -> (&'static str, Vec<u8>, Oracle) {
    let pointer = random.of(&["/request/uid", "/request/name", "/request/userInfo/username", "/request/object/kind"]);
    set(&mut review, pointer, json!("ODD"));
    let text = as_sent(&review);
    let within = |bytes: &[u8]| -> Vec<u8> {
        let at = text.find("ODD").unwrap_or_default();
        [&text.as_bytes()[..at], bytes, &text.as_bytes()[at + 3..]].concat()
    };
    let body = match random.below(9) {
        0 => within(b"\xff\xfe"),
        1 => within(b"\xc0\xaf"),
        2 => within(b"\xed\xa0\x80"),
        3 => within(b"\xf4\x90\x80\x80"),
        4 => within(b"\x00"),
        5 => within(b"line\nbreak"),
        6 => [b"\xef\xbb\xbf".as_slice(), text.as_bytes()].concat(),
        7 => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        // In a field of the envelope: an object's own is skipped where nothing reads it.
        _ if pointer != "/request/object/kind" => within(b"\\ud800"),
        _ => within(b"\\u12"),
    };
    ("another encoding", body, Oracle::NoReview)
}

/// Odd uids, and odd names. Those that are texts are answered, by themselves.
fn uids(mut review: Value, _: &Whole, random: &mut Random) -> (&'static str, Vec<u8>, Oracle) {
    let odd = random.of(&[
        json!("\u{202e}\u{0}\u{1f4a3}\u{fffd}\u{2028}"),
        json!("\"},\"allowed\":true,{\""),
        json!("\\u0041\r\n\t"),
        json!(" "),
        json!("x".repeat(100_000)),
        json!("ﷺ".repeat(1_000)),
        json!(""),
        json!(7),
        json!(null),
        json!(["a"]),
    ]);
    let pointer = random.of(&["/request/uid", "/request/name", "/request/object/metadata/name"]);
    let of_envelope = pointer != "/request/object/metadata/name";
    let none = !odd.is_string() && of_envelope || odd == "" && pointer == "/request/uid";
    set(&mut review, pointer, odd);
    ("odd uids and names", as_sent(&review).into_bytes(), if none { Oracle::NoReview } else { Oracle::NotAllowed })
}

/// A field of another type, in the envelope or where the object is judged.
fn types(mut review: Value, _: &Whole, random: &mut Random) -> (&'static str, Vec<u8>, Oracle) {
    let pointer = random.of(&[
        "/apiVersion",
        "/kind",
        "/request",
        "/request/uid",
        "/request/kind",
        "/request/kind/kind",
        "/request/resource",
        "/request/resource/resource",
        "/request/resource/group",
        "/request/name",
        "/request/namespace",
        "/request/operation",
        "/request/userInfo/username",
        "/request/object",
        "/request/object/metadata",
        "/request/object/metadata/labels",
        "/request/object/spec",
    ]);
    let value = random.of(&[json!(true), json!(7), json!(-1.5), json!("x"), json!([[1]]), json!([{"a": null}])]);
    // A text is right where a text is due.
    let text = !matches!(
        pointer,
        "/request/uid"
            | "/request/name"
            | "/request/namespace"
            | "/request/userInfo/username"
            | "/request/kind/kind"
            | "/request/resource/resource"
            | "/request/resource/group"
    );
    let value = if value == "x" && !text { json!(7) } else { value };
    set(&mut review, pointer, value);
    let oracle = if pointer.starts_with("/request/object") { Oracle::NotAllowed } else { Oracle::NoReview };
    ("another type", as_sent(&review).into_bytes(), oracle)
}

/// What was before is of another type: it forgives nothing, and what is to be deleted has to be known.
fn old_types(mut review: Value, _: &Whole, random: &mut Random) -> (&'static str, Vec<u8>, Oracle) {
    let field = random.of(&["", "/metadata", "/metadata/labels", "/metadata/annotations", "/spec"]);
    let value = random.of(&[json!(true), json!(7), json!("x"), json!([[1]]), json!([{"a": null}])]);
    set(&mut review, &format!("/request/oldObject{field}"), value);
    ("another type of what was before", as_sent(&review).into_bytes(), Oracle::NotAllowed)
}

fn unknown(mut review: Value, _: &Whole, random: &mut Random) -> (&'static str, Vec<u8>, Oracle) {
    let name = random.of(&["nova", "PODS", "pod/", "*", "\u{1f4a3}", "../pods"]);
    let pointer = random.of(&[
        "/request/operation",
        "/request/kind/kind",
        "/request/resource/resource",
        "/request/kind/group",
        "both",
    ]);
    let oracle = match pointer {
        "/request/operation" => Oracle::NoReview,
        "both" => {
            set(&mut review, "/request/kind/kind", json!(name));
            set(&mut review, "/request/resource/resource", json!(name));
            Oracle::Answered
        }
        _ => Oracle::NotAllowed,
    };
    set(&mut review, pointer, json!(name));
    if pointer == "/request/kind/kind" && review["request"]["resource"]["resource"] == "pods" {
        let subresource = random.of(&["nova", "resize", "Status", "status/", "\u{0}"]);
        if let Some(request) = review["request"].as_object_mut() {
            request.insert("subResource".to_owned(), json!(subresource));
        }
    }
    ("unknown names", as_sent(&review).into_bytes(), oracle)
}

fn versions(mut review: Value, _: &Whole, random: &mut Random) -> (&'static str, Vec<u8>, Oracle) {
    let (pointer, value) = random.of(&[
        ("/apiVersion", "admission.k8s.io/v1beta1"),
        ("/apiVersion", "admission.k8s.io/v2"),
        ("/apiVersion", "admission.k8s.io/V1"),
        ("/apiVersion", "v1"),
        ("/apiVersion", ""),
        ("/kind", "admissionreview"),
        ("/kind", "SubjectAccessReview"),
        ("/kind", ""),
    ]);
    set(&mut review, pointer, json!(value));
    ("another version", as_sent(&review).into_bytes(), Oracle::NoReview)
}

/// Sets a field of a review; of what is deleted, where its object would have it.
fn set(review: &mut Value, pointer: &str, value: Value) {
    let of_old = pointer.replacen("/request/object", "/request/oldObject", 1);
    let pointer = if review["request"]["object"].is_null() { &of_old } else { pointer };
    if let Some(found) = review.pointer_mut(pointer) {
        *found = value;
    }
}
