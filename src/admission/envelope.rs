//! The AdmissionReview as it arrives: everything borrowed from the body, the objects decoded only where they will be
//! looked at, so that what is admitted without that costs no decoding.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::DeserializeSeed;
use serde_json::value::RawValue;

use self::visit::{Review, ReviewSeed};
use crate::control::{Kind, Operation, Subject};

mod visit;

/// The only version that is spoken; webhook configurations name it.
pub(super) const API_VERSION: &str = "admission.k8s.io/v1";

/// Why a body is no review that can be answered. Nothing of the body is in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    /// The body is empty.
    #[error("the body is empty: an AdmissionReview of admission.k8s.io/v1 is expected")]
    Empty,
    /// The body is no JSON, or a field of the envelope has the wrong type.
    #[error("the body is no AdmissionReview in JSON (byte {0})")]
    Unreadable(usize),
    /// It is another kind or another version.
    #[error("the body is no AdmissionReview of admission.k8s.io/v1")]
    OtherVersion,
    /// There is no request in it.
    #[error("the AdmissionReview has no request")]
    NoRequest,
    /// An answer must carry the request's uid.
    #[error("the request of the AdmissionReview has no uid")]
    NoUid,
    /// Nobody knows what is asked, so that nobody could say that it is harmless.
    #[error("the request of the AdmissionReview has no kind, no resource or no operation that is known")]
    NoQuestion,
}

impl Malformed {
    /// A bounded label.
    pub(super) fn category(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Unreadable(_) => "unreadable",
            Self::OtherVersion => "other-version",
            Self::NoRequest => "no-request",
            Self::NoUid => "no-uid",
            Self::NoQuestion => "no-question",
        }
    }
}

/// Group, version and kind.
#[derive(Debug, Default, Deserialize)]
pub(super) struct GroupVersionKind<'a> {
    /// API group; empty for the core group.
    #[serde(borrow, default)]
    pub group: Cow<'a, str>,
    /// Kind.
    #[serde(borrow, default)]
    pub kind: Cow<'a, str>,
}

/// Group, version and resource.
#[derive(Debug, Default, Deserialize)]
pub(super) struct GroupVersionResource<'a> {
    /// API group; empty for the core group.
    #[serde(borrow, default)]
    pub group: Cow<'a, str>,
    /// Plural name.
    #[serde(borrow, default)]
    pub resource: Cow<'a, str>,
}

/// Who asks.
#[derive(Default, Deserialize)]
pub(super) struct UserInfo<'a> {
    /// The user's name.
    #[serde(borrow, default)]
    pub username: Cow<'a, str>,
    /// The user's groups, a JSON list.
    #[serde(borrow)]
    groups: Option<&'a RawValue>,
}

impl UserInfo<'_> {
    /// The groups. A list that can't be read is nobody's group.
    pub(super) fn groups(&self) -> Vec<String> {
        self.groups.and_then(|groups| serde_json::from_str(groups.get()).ok()).unwrap_or_default()
    }
}

/// One request of the API server.
#[derive(Default)]
pub(super) struct Request<'a> {
    /// What the answer must carry.
    pub uid: Cow<'a, str>,
    /// Kind of the object, in the version that the webhook is registered for.
    pub kind: GroupVersionKind<'a>,
    /// Resource that is asked for.
    pub resource: GroupVersionResource<'a>,
    /// Subresource; empty for the resource itself.
    pub sub_resource: Cow<'a, str>,
    /// Name; may be empty while the API server has yet to make it.
    pub name: Cow<'a, str>,
    /// Namespace; empty for what belongs to none. A Namespace's own name is here too.
    pub namespace: Cow<'a, str>,
    /// `CREATE`, `UPDATE`, `DELETE` or `CONNECT`.
    operation: Cow<'a, str>,
    /// Who asks.
    pub user_info: UserInfo<'a>,
    /// The object as it would be, unless it was decoded.
    pub object: Option<&'a RawValue>,
    /// The object as it is, unless it was decoded.
    pub old_object: Option<&'a RawValue>,
}

/// The objects that were decoded while the review was read.
#[derive(Default)]
pub(super) struct Decoded {
    /// The object as it would be.
    pub object: Option<Box<Subject>>,
    /// The object as it is.
    pub old_object: Option<Box<Subject>>,
}

impl Decoded {
    fn is_empty(&self) -> bool {
        self.object.is_none() && self.old_object.is_none()
    }
}

impl Request<'_> {
    /// The operation; none for `CONNECT`, which carries no object that is judged.
    pub(super) fn operation(&self) -> Option<Operation> {
        [Operation::Create, Operation::Update, Operation::Delete]
            .into_iter()
            .find(|operation| operation.as_str() == self.operation)
    }
}

/// Reads the envelope, and decodes its objects as the kind that is given for what is asked. Where that fails, for
/// whatever reason, and where none is given, the objects are left as text.
///
/// # Errors
/// What is wrong with the envelope; none of these can be answered by a review, since no uid is known.
pub(super) fn read<'a>(
    body: &'a [u8],
    kind: impl Fn(&Request<'a>) -> Option<Kind>,
) -> Result<(Request<'a>, Decoded), Malformed> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Malformed::Empty);
    }
    // Checked once as a whole, the text need not be checked again string by string.
    let text = std::str::from_utf8(body).map_err(|error| Malformed::Unreadable(error.valid_up_to()))?;
    let review = review(text, kind).or_else(|_| review(text, |_| None));
    let review = review.map_err(|error| Malformed::Unreadable(error.column()))?;
    if review.api_version != API_VERSION || review.kind != "AdmissionReview" {
        return Err(Malformed::OtherVersion);
    }
    let (request, decoded) = review.request.ok_or(Malformed::NoRequest)?;
    if request.uid.is_empty() {
        return Err(Malformed::NoUid);
    }
    let operation_known = request.operation().is_some() || request.operation == "CONNECT";
    if !operation_known || request.kind.kind.is_empty() || request.resource.resource.is_empty() {
        return Err(Malformed::NoQuestion);
    }
    Ok((request, decoded))
}

fn review<'a>(text: &'a str, kind: impl Fn(&Request<'a>) -> Option<Kind>) -> serde_json::Result<Review<'a>> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let review = ReviewSeed(kind).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(review)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The envelope alone.
    fn text(body: &str) -> Result<Request<'_>, Malformed> {
        read(body.as_bytes(), |_| None).map(|(request, _)| request)
    }

    fn category(body: &str) -> &'static str {
        text(body).map_or_else(|malformed| malformed.category(), |_| "read")
    }

    #[test]
    fn what_is_no_review_is_told_apart() {
        let review = r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview""#;
        assert_eq!(category(""), "empty");
        assert_eq!(category(" \n"), "empty");
        assert_eq!(category("nonsense"), "unreadable");
        assert_eq!(category("[]"), "unreadable");
        assert_eq!(category("{}"), "other-version");
        assert_eq!(category(review), "unreadable");
        assert_eq!(category(&format!("{review}}}")), "no-request");
        assert_eq!(category(&format!(r#"{review},"request":null}}"#)), "no-request");
        assert_eq!(category(&format!(r#"{review},"request":{{}}}}"#)), "no-uid");
        let asked = r#""uid":"u","operation":"CREATE","kind":{"kind":"Pod"},"resource":{"resource":"pods"}"#;
        assert_eq!(category(&format!(r#"{review},"request":{{{asked}}}}}"#)), "read");
        assert_eq!(category(&format!(r#"{review},"request":{{{asked}}}}} trailing"#)), "unreadable");
        for (from, to) in [("CREATE", "CREATD"), (r#""operation""#, r#""operatioo""#), ("Pod", ""), ("pods", "")] {
            let damaged = asked.replace(from, to);
            assert_eq!(category(&format!(r#"{review},"request":{{{damaged}}}}}"#)), "no-question", "{damaged}");
        }
        assert_eq!(
            category(r#"{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview","request":{"uid":"u"}}"#),
            "other-version"
        );
    }

    #[test]
    fn fields_are_borrowed_and_escapes_still_read() {
        let body = r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","name":"a\u0062",
            "kind":{"kind":"Pod"},"resource":{"resource":"pods"},"namespace":"n","operation":"UPDATE","userInfo":{"username":"x","groups":["g"]},"object":null,
            "oldObject":{"a":1}}}"#;
        let request = text(body).unwrap();
        assert!(matches!(request.namespace, Cow::Borrowed("n")));
        assert_eq!(request.name, "ab");
        assert_eq!(request.operation(), Some(Operation::Update));
        assert_eq!(request.user_info.groups(), ["g"]);
        assert!(request.object.is_none());
        assert_eq!(request.old_object.unwrap().get(), r#"{"a":1}"#);
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        let asked = r#""uid":"u","operation":"CREATE","kind":{"kind":"Pod"},"resource":{"resource":"pods"}"#;
        let body = format!(
            r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{{asked},"object":{deep}}}}}"#
        );
        assert!(text(&body).is_ok());
    }
}
