//! What isn't HTTP by TLS as the API server speaks it.

use super::*;

/// Bytes, and how they are sent.
pub(super) struct Raw {
    /// What they are.
    pub(super) what: &'static str,
    /// The bytes.
    pub(super) bytes: Vec<u8>,
    /// How they are sent.
    way: Way,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// By TCP alone.
    Plain,
    /// By TLS.
    Tls,
    /// By TCP, after the handshake.
    Beneath,
}

type Make = fn(&Value, &mut Random) -> Raw;

const MAKES: [Make; 14] = [
    garbage, record, in_clear, beneath, partial, partial, lengths, chunks, methods, paths, headers, encodings,
    versions, mangled,
];

/// The raw request of a number, about a review that is refused.
pub(super) fn raw(review: &Value, number: usize, random: &mut Random) -> Raw {
    MAKES[number % MAKES.len()](review, random)
}

/// Sends it, says that no more comes, and gives all that is said to it.
pub(super) async fn send(address: &str, raw: &Raw) -> Vec<u8> {
    let mut said = Vec::new();
    // However it ends, what was said until then counts.
    let _ended: Result<()> = async {
        match raw.way {
            Way::Plain => converse(TcpStream::connect(address).await?, &raw.bytes, &mut said).await,
            Way::Tls => converse(net::connect(address).await?, &raw.bytes, &mut said).await,
            Way::Beneath => converse(net::connect(address).await?.into_inner().0, &raw.bytes, &mut said).await,
        }
    }
    .await;
    said
}

async fn converse(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8], said: &mut Vec<u8>) -> Result<()> {
    let sent = async {
        stream.write_all(bytes).await?;
        stream.shutdown().await
    };
    let _cut = sent.await;
    stream.read_to_end(said).await?;
    Ok(())
}

/// The first answer that isn't provisional: its status, and all that follows.
pub(super) fn first(said: &[u8]) -> Option<(u16, String)> {
    let text = String::from_utf8_lossy(said);
    let mut rest = text.strip_prefix("HTTP/1.")?;
    loop {
        let status: u16 = rest.split_whitespace().nth(1)?.parse().ok()?;
        if status >= 200 {
            return Some((status, rest.to_owned()));
        }
        rest = rest.split_once("HTTP/1.")?.1;
    }
}

/// Why what was said is wrong, if it is: whatever comes, it allows nothing, and it is a refusal or an error.
pub(super) fn wrong(said: &[u8], answer: Option<&(u16, String)>) -> Option<String> {
    let text = String::from_utf8_lossy(said);
    if text.contains("\"allowed\":true") {
        return Some(format!("it is allowed: {text}"));
    }
    match answer {
        Some((200, text)) if !text.contains("\"allowed\":false") => Some(format!("it is answered {text}")),
        Some((200 | 400..=599, _)) | None => None,
        Some((status, _)) => Some(format!("it is answered {status}")),
    }
}

fn request(review: &Value, head: &str) -> Vec<u8> {
    let body = review.to_string();
    format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn head(line: &str) -> String {
    format!("{line}\r\nhost: amanat\r\ncontent-type: application/json\r\n")
}

const LINE: &str = "POST /validate/governed HTTP/1.1";

fn garbage(_: &Value, random: &mut Random) -> Raw {
    let length = random.below(2_000);
    Raw { what: "garbage by TCP", bytes: random.bytes(length), way: Way::Plain }
}

/// A TLS record of some type, version and length, with something in it.
fn record(_: &Value, random: &mut Random) -> Raw {
    let kind = random.of(&[20, 21, 22, 23, 24, 0, 255]);
    let inside = random.below(600);
    let said = random.of(&[inside, 0, 65_535, 16_384, 18_500, 1]);
    let mut bytes = vec![kind, 3, random.of(&[0, 1, 3, 4, 9])];
    bytes.extend(u16::try_from(said).unwrap_or_default().to_be_bytes());
    // As a hello of the client begins.
    bytes.extend([1, 0, random.of(&[0, 1, 255]), 200, 3, 3]);
    bytes.extend(random.bytes(inside));
    Raw { what: "a broken TLS record", bytes, way: Way::Plain }
}

fn in_clear(review: &Value, _: &mut Random) -> Raw {
    Raw { what: "HTTP without TLS", bytes: request(review, &head(LINE)), way: Way::Plain }
}

fn beneath(_: &Value, random: &mut Random) -> Raw {
    let mut bytes = vec![random.of(&[20, 21, 22, 23]), 3, 3];
    let length = random.below(400);
    bytes.extend(u16::try_from(length).unwrap_or_default().to_be_bytes());
    bytes.extend(random.bytes(length));
    Raw { what: "a record that was never encrypted", bytes, way: Way::Beneath }
}

fn partial(review: &Value, random: &mut Random) -> Raw {
    let mut bytes = request(review, &head(LINE));
    bytes.truncate(random.below(bytes.len()));
    Raw { what: "a request that ends early", bytes, way: Way::Tls }
}

fn lengths(review: &Value, random: &mut Random) -> Raw {
    let body = review.to_string();
    let right = body.len();
    let (less, more) = (random.below(right - 1), right + 1 + random.below(1_000));
    let length = random.of(&[
        format!("content-length: {less}"),
        format!("content-length: {more}"),
        "content-length: -1".to_owned(),
        "content-length: 1e3".to_owned(),
        "content-length: 18446744073709551616".to_owned(),
        "content-length: 9223372036854775807".to_owned(),
        format!("content-length: {right}\r\ncontent-length: {}", right - 1),
        format!("content-length: {right}\r\ntransfer-encoding: chunked"),
        "content-length:".to_owned(),
        "x-none: 1".to_owned(),
    ]);
    Raw { what: "wrong lengths", bytes: format!("{}{length}\r\n\r\n{body}", head(LINE)).into_bytes(), way: Way::Tls }
}

fn chunks(review: &Value, random: &mut Random) -> Raw {
    let body = review.to_string();
    let (size, half) = (body.len(), body.len() / 2);
    let chunked = random.of(&[
        format!("{size:x}\r\n{body}\r\n"),
        format!("{size:x}\r\n{body}0\r\n\r\n"),
        format!("{half:x}\r\n{body}\r\n0\r\n\r\n"),
        format!("-1\r\n{body}\r\n0\r\n\r\n"),
        format!("zz\r\n{body}\r\n0\r\n\r\n"),
        format!("fffffffffffffffff\r\n{body}\r\n0\r\n\r\n"),
        format!("7fffffffffffffff\r\n{body}\r\n0\r\n\r\n"),
        format!("{size:x};{}\r\n{body}\r\n0\r\n\r\n", "x=y;".repeat(10_000)),
        format!("{size:x}\n{body}\n0\n\n"),
        format!("{size:x}\r\n{body}\r\n0\r\n{}\r\n", "x: y\r\n".repeat(2_000)),
    ]);
    let encoding = random.of(&["chunked", "chunked, chunked", "gzip, chunked", "identity", "chunked\r\n"]);
    let bytes = format!("{}transfer-encoding: {encoding}\r\n\r\n{chunked}", head(LINE)).into_bytes();
    Raw { what: "chunks", bytes, way: Way::Tls }
}

fn methods(review: &Value, random: &mut Random) -> Raw {
    let method =
        random.of(&["GET", "PUT", "DELETE", "CONNECT", "TRACE", "OPTIONS", "post", "NOVA", "", "P\u{0}ST", "PRI"]);
    let bytes = request(review, &head(&format!("{method} /validate/governed HTTP/1.1")));
    Raw { what: "methods", bytes, way: Way::Tls }
}

fn paths(review: &Value, random: &mut Random) -> Raw {
    let long = format!("/validate/{}", "x".repeat(70_000));
    let path = random.of(&[
        "/",
        "*",
        "/validate",
        "/validate/",
        "//validate/governed",
        "/validate/governed/..",
        "/validate/../validate/governed",
        "/VALIDATE/governed",
        "/validate/%67overned",
        "/validate/governed%00",
        "/validate/governed?x=y",
        "/mutate/governed",
        "/validate/supply",
        "http://other/validate/governed",
        "/validate/gov erned",
        "/metrics",
        "/%ff%fe",
        long.as_str(),
    ]);
    let bytes = request(review, &head(&format!("POST {path} HTTP/1.1")));
    Raw { what: "paths", bytes, way: Way::Tls }
}

fn headers(review: &Value, random: &mut Random) -> Raw {
    let more = random.of(&[
        format!("x-large: {}\r\n", "y".repeat(600_000)),
        "x: y\r\n".repeat(5_000),
        format!("{}: y\r\n", "x".repeat(70_000)),
        "x\u{0}: y\r\n".to_owned(),
        "no colon\r\n".to_owned(),
        ": y\r\n".to_owned(),
        " folded: y\r\n".to_owned(),
        "x: \u{1f4a3}\u{7f}\r\n".to_owned(),
        "host: other\r\n".to_owned(),
        "expect: 100-continue\r\n".to_owned(),
        "expect: nova\r\n".to_owned(),
        "upgrade: h2c\r\nconnection: upgrade\r\n".to_owned(),
        "connection: content-length\r\n".to_owned(),
    ]);
    Raw { what: "headers", bytes: request(review, &format!("{}{more}", head(LINE))), way: Way::Tls }
}

fn encodings(review: &Value, random: &mut Random) -> Raw {
    // A gzip member that holds nothing.
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let whole = review.to_string().into_bytes();
    let said = random.of(&[
        "content-encoding: gzip\r\n",
        "content-encoding: br, gzip\r\n",
        "content-encoding: \u{1f4a3}\r\n",
        "",
    ]);
    let zipped = random.below(2) == 0 || said.is_empty();
    let body = if zipped { gzip.to_vec() } else { whole };
    let mut bytes = format!("{}{said}content-length: {}\r\n\r\n", head(LINE), body.len()).into_bytes();
    bytes.extend(body);
    Raw { what: "compressed", bytes, way: Way::Tls }
}

fn versions(review: &Value, random: &mut Random) -> Raw {
    let version =
        random.of(&["HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/9.9", "HTTP/1.1 ", "http/1.1", "HTTPS/1.1", ""]);
    let mut bytes = request(review, &head(&format!("POST /validate/governed {version}")));
    if random.below(4) == 0 {
        bytes = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &random.bytes(60)].concat();
    }
    Raw { what: "versions", bytes, way: Way::Tls }
}

/// A request with bytes of its head turned into others.
fn mangled(review: &Value, random: &mut Random) -> Raw {
    let mut bytes = request(review, &head(LINE));
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(1);
    for _ in 0..=random.below(4) {
        let at = random.below(end);
        bytes[at] = random.bytes(1)[0];
    }
    Raw { what: "a mangled head", bytes, way: Way::Tls }
}
