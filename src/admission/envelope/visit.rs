//! One pass over a review. An object whose kind is known when it comes is decoded as it is passed, since finding out
//! where it ends costs as much as reading it; the API server writes what is asked before what it is asked of.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::{Decoded, Request};
use crate::control::{Kind, Subject};

/// Text that is borrowed where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum ReviewField {
    ApiVersion,
    Kind,
    Request,
    #[serde(other)]
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Field {
    Uid,
    Kind,
    Resource,
    SubResource,
    Name,
    Namespace,
    Operation,
    UserInfo,
    Object,
    OldObject,
    #[serde(other)]
    Other,
}

/// A review as far as it is read.
#[derive(Default)]
pub(super) struct Review<'a> {
    pub(super) api_version: Cow<'a, str>,
    pub(super) kind: Cow<'a, str>,
    pub(super) request: Option<(Request<'a>, Decoded)>,
}

/// Reads a review, given how a request's objects are decoded: as a kind, or not at all.
pub(super) struct ReviewSeed<F>(pub(super) F);

impl<'a, F: Fn(&Request<'a>) -> Option<Kind>> DeserializeSeed<'a> for ReviewSeed<F> {
    type Value = Review<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a, F: Fn(&Request<'a>) -> Option<Kind>> Visitor<'a> for ReviewSeed<F> {
    type Value = Review<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an AdmissionReview")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut review = Review::default();
        let mut seen = Seen::default();
        while let Some(field) = map.next_key()? {
            if field != ReviewField::Other {
                seen.once(field as u8)?;
            }
            match field {
                ReviewField::ApiVersion => review.api_version = map.next_value::<Text<'_>>()?.0,
                ReviewField::Kind => review.kind = map.next_value::<Text<'_>>()?.0,
                ReviewField::Request => review.request = map.next_value_seed(RequestSeed(&self.0))?,
                ReviewField::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(review)
    }
}

struct RequestSeed<'f, F>(&'f F);

impl<'a, F: Fn(&Request<'a>) -> Option<Kind>> DeserializeSeed<'a> for RequestSeed<'_, F> {
    type Value = Option<(Request<'a>, Decoded)>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'a, F: Fn(&Request<'a>) -> Option<Kind>> Visitor<'a> for RequestSeed<'_, F> {
    type Value = Option<(Request<'a>, Decoded)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request of an AdmissionReview")
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut request = Request::default();
        let mut decoded = Decoded::default();
        let mut seen = Seen::default();
        while let Some(field) = map.next_key()? {
            if field != Field::Other {
                seen.once(field as u8)?;
            }
            let of_question = !matches!(field, Field::Object | Field::OldObject | Field::Other);
            if of_question && !decoded.is_empty() {
                // By what was decoded, it was another question.
                return Err(A::Error::custom("what is asked comes after what it is asked of"));
            }
            match field {
                Field::Uid => request.uid = map.next_value::<Text<'_>>()?.0,
                Field::Kind => request.kind = map.next_value()?,
                Field::Resource => request.resource = map.next_value()?,
                Field::SubResource => request.sub_resource = map.next_value::<Text<'_>>()?.0,
                Field::Name => request.name = map.next_value::<Text<'_>>()?.0,
                Field::Namespace => request.namespace = map.next_value::<Text<'_>>()?.0,
                Field::Operation => request.operation = map.next_value::<Text<'_>>()?.0,
                Field::UserInfo => request.user_info = map.next_value()?,
                Field::Object => match (self.0)(&request) {
                    Some(kind) => decoded.object = map.next_value_seed(SubjectSeed(kind))?,
                    None => request.object = map.next_value()?,
                },
                Field::OldObject => match (self.0)(&request) {
                    Some(kind) => decoded.old_object = map.next_value_seed(SubjectSeed(kind))?,
                    None => request.old_object = map.next_value()?,
                },
                Field::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Some((request, decoded)))
    }
}

/// The fields that have come. One that stands twice is taken by some readers as it stood first and by others as it
/// stood last. What nobody reads may.
#[derive(Default)]
struct Seen(u16);

impl Seen {
    fn once<E: Error>(&mut self, field: u8) -> Result<(), E> {
        let bit = 1_u16.checked_shl(field.into()).unwrap_or_default();
        let twice = self.0 & bit != 0;
        self.0 |= bit;
        if twice { Err(E::custom("a field stands twice")) } else { Ok(()) }
    }
}

/// An object, unless it is null.
struct SubjectSeed(Kind);

impl<'a> DeserializeSeed<'a> for SubjectSeed {
    type Value = Option<Box<Subject>>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'a> Visitor<'a> for SubjectSeed {
    type Value = Option<Box<Subject>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {}", self.0)
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        Subject::decode(self.0, deserializer).map(Box::new).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Malformed, Request, read};
    use crate::control::Kind;

    const ASKED: &str = r#""uid":"u","operation":"UPDATE","kind":{"kind":"Pod"},"resource":{"resource":"pods"}"#;
    const POD: &str = r#"{"metadata":{"name":"p"},"spec":{"containers":[{"name":"c"}]}}"#;

    fn body(request: &str) -> String {
        format!(r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{{request}}}}}"#)
    }

    /// Which of both objects were decoded, and which are text.
    fn objects(request: &str) -> Result<([bool; 2], [bool; 2]), Malformed> {
        let kind = |request: &Request<'_>| request.operation().map(|_| Kind::Pod);
        let body = body(request);
        let (request, decoded) = read(body.as_bytes(), kind)?;
        let text = [request.object.is_some(), request.old_object.is_some()];
        Ok(([decoded.object.is_some(), decoded.old_object.is_some()], text))
    }

    #[test]
    fn an_object_that_comes_after_the_question_is_decoded_on_the_way() {
        let none = [false, false];
        let table = [
            (format!(r#"{ASKED},"object":{POD},"oldObject":{POD},"dryRun":true"#), [true, true], none),
            (format!(r#"{ASKED},"object":{POD},"oldObject":null"#), [true, false], none),
            (format!(r#"{ASKED},"object":null,"oldObject":null"#), none, none),
            (ASKED.to_owned(), none, none),
            // Before the question nobody knows what it is, and after it there may be more to the question.
            (format!(r#""object":{POD},{ASKED}"#), none, [true, false]),
            (format!(r#"{ASKED},"object":{POD},"namespace":"n","oldObject":{POD}"#), none, [true, true]),
            (format!(r#"{ASKED},"object":{POD},"subResource":"status""#), none, [true, false]),
            // What can't be decoded is left to who can say why.
            (format!(r#"{ASKED},"object":{POD},"oldObject":{{"spec":1}}"#), none, [true, true]),
            (format!(r#"{ASKED},"object":{{}}"#), none, [true, false]),
            (format!(r#"{ASKED},"object":7"#), none, [true, false]),
        ];
        for (request, decoded, text) in table {
            assert_eq!(objects(&request), Ok((decoded, text)), "{request}");
        }
    }

    #[test]
    fn a_field_that_stands_twice_makes_no_review() {
        for field in ["uid", "name", "namespace", "operation", "subResource"] {
            let twice = format!(r#""{field}":"CREATE","{field}":"CREATE",{ASKED}"#);
            assert!(matches!(objects(&twice), Err(Malformed::Unreadable(_))), "{field}");
        }
        for field in ["object", "oldObject", "kind", "resource", "userInfo"] {
            let twice = format!(r#"{ASKED},"{field}":{{}},"{field}":{{}}"#);
            assert!(matches!(objects(&twice), Err(Malformed::Unreadable(_))), "{field}");
            let decoded = format!(r#"{ASKED},"{field}":{POD},"{field}":{POD}"#);
            assert!(matches!(objects(&decoded), Err(Malformed::Unreadable(_))), "{field}");
        }
        let whole = body(ASKED);
        for field in [r#""kind":"AdmissionReview""#, r#""apiVersion":"admission.k8s.io/v1""#, r#""request":null"#] {
            let twice = whole.replacen('{', &format!("{{{field},"), 1);
            assert!(matches!(read(twice.as_bytes(), |_| None), Err(Malformed::Unreadable(_))), "{field}");
        }
    }
}
