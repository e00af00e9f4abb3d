//! Who may ask the API for what: every route, and every way not to be let in.

use crate::api::{Answer, Api};
use crate::cluster::{Cluster, THE_COORDINATOR};
use crate::people::creation;
use crate::tls::Secure;
use perennial_daemon::identity::{CERTIFICATE_FILE, Identity};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const SIGNERS: [&str; 3] = ["a", "b", "c"];
const SCOPES: [&str; 4] = ["read", "submit", "sign", "audit"];

/// Sends nothing that could succeed: who is let through is told that the body is wrong.
fn ask(api: &Api, method: &str, path: &str) -> Answer {
    let answer =
        if method == "get" { api.get(path) } else { api.post(path, &json!({"nonsense": true}), None) };
    answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
}

#[test]
fn every_route_asks_for_credentials_and_for_its_scope_and_an_auditor_reads_all_and_changes_nothing() {
    let cluster = Cluster::running(&SIGNERS);
    let ceremony = cluster.api.complete(&creation(&[("payroll", "solana")]), &cluster.dana);
    let ceremony = ceremony["ceremony"].as_str().expect("text").to_owned();
    let tokens = SCOPES.map(|scope| cluster.add_client(scope, scope, "*"));
    let nobody = cluster.api.with_token(None);
    let stranger = cluster.api.with_token(Some(&format!("perennial_{}", "A".repeat(43))));
    let auditor = cluster.api.with_token(Some(&tokens[3]));
    let document = auditor.look("/v1/openapi.json");
    let (mut reading, mut changing) = (0, 0);
    for (path, item) in document["paths"].as_object().expect("paths") {
        let id = if path.contains("/wallets/") { "payroll" } else { &ceremony };
        let asked = if path == "/v1/evidence/entries" { "?about=governance&size=1" } else { "" };
        let place = path.replace("{id}", id) + asked;
        for (method, operation) in item.as_object().expect("methods") {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let (name, place) = (parameter["name"].as_str(), parameter["in"].as_str());
                let is_in_path = name.is_some_and(|name| path.contains(&format!("{{{name}}}")));
                assert_eq!(place == Some("path"), is_in_path, "{method} {path}: {parameter}");
            }
            let Some(security) = operation["security"].as_array() else {
                assert_eq!((path.as_str(), method.as_str()), ("/v1/health", "get"), "it asks for nothing");
                assert_eq!(ask(&nobody, method, &place).status, 200);
                continue;
            };
            for unknown in [&nobody, &stranger] {
                let refused = ask(unknown, method, &place);
                assert_eq!((refused.status, refused.problem()), (401, "unauthenticated"), "{method} {path}");
            }
            let will_do = |scope: &str| security.iter().any(|way| way["token"][0] == *scope);
            assert!(SCOPES.iter().any(|scope| will_do(scope)), "{method} {path}: {security:?}");
            for (scope, token) in SCOPES.iter().zip(&tokens) {
                let answer = ask(&cluster.api.with_token(Some(token)), method, &place);
                let is_refused = (answer.status, answer.problem()) == (403, "not-allowed");
                assert_eq!(is_refused, !will_do(scope), "{method} {path} with {scope}: {}", answer.text);
            }
            let audited = ask(&auditor, method, &place);
            if method == "get" {
                assert_eq!(audited.status, 200, "{path}: {}", audited.text);
                reading += 1;
            } else {
                assert_eq!(audited.problem(), "not-allowed", "{method} {path}");
                changing += 1;
            }
        }
    }
    assert!(reading >= 10 && changing >= 5, "{reading} {changing}");
    for path in ["/v1/openapi.json", "/v1/nothing", "/", "/mail/signing"] {
        assert_eq!(ask(&nobody, "get", path).status, 401, "{path}");
    }
    assert_eq!(ask(&auditor, "get", "/v1/nothing").status, 404);
    let alive = ask(&nobody, "get", "/v1/health");
    assert_eq!(alive.body, json!({"status": "ok"}));
    assert!(cluster.log(THE_COORDINATOR).contains("POST /v1/plans client=operator status=200"));
}

#[test]
fn what_is_missing_wrong_over_or_revoked_lets_nobody_in_from_the_next_request_on() {
    let cluster = Cluster::running(&SIGNERS);
    let status = |api: &Api| api.get("/v1/wallets").expect("it is up").status;
    let alice = cluster.api.with_token(Some(&cluster.add_client("alice", "read", "*")));
    let bob = cluster.api.with_token(Some(&cluster.add_client("bob", "read", "*")));
    assert_eq!([status(&alice), status(&bob)], [200, 200]);
    let token = alice.token().expect("there").to_owned();
    for wrong in ["", "perennial_", &token[..token.len() - 1], &token.replace("perennial_", "")] {
        assert_eq!(status(&cluster.api.with_token(Some(wrong))), 401, "{wrong}");
    }
    assert_eq!(status(&cluster.api.with_token(None)), 401);

    let listed: Value = serde_json::from_str(&cluster.client(&["list", "--json"])).expect("JSON");
    let names: Vec<&Value> =
        listed["clients"].as_array().expect("a list").iter().map(|known| &known["name"]).collect();
    assert_eq!(names, ["operator", "alice", "bob"]);
    assert!(!listed.to_string().contains(&token));

    assert!(cluster.client(&["revoke", "alice"]).contains("revoked"));
    assert_eq!([status(&alice), status(&bob)], [401, 200]);

    let file = cluster.directory(THE_COORDINATOR).join("clients.toml");
    let sound = std::fs::read_to_string(&file).expect("there");
    let end = listed["clients"][2]["expires_ms"].to_string();
    std::fs::write(&file, sound.replace(&end, "1")).expect("written");
    let refused = bob.get("/v1/wallets").expect("it is up");
    assert_eq!(refused.status, 401);
    assert!(refused.text.contains("the time of client bob is over"), "{}", refused.text);

    std::fs::write(&file, sound.replace("scopes", "scope")).expect("written");
    assert_eq!([status(&cluster.api), status(&alice)], [200, 401]);
    assert!(cluster.log(THE_COORDINATOR).contains("THE CLIENTS OF BEFORE STAY"));
    let figures = cluster.api.get("/metrics").expect("it is up").text;
    assert!(figures.contains("perennial_clients_file_refused 1"), "{figures}");
    std::fs::write(&file, &sound).expect("written");
    assert_eq!([status(&alice), status(&bob)], [401, 200]);
}

#[test]
fn a_client_that_asks_too_often_is_told_to_wait_and_others_are_not() {
    let cluster = Cluster::running(&SIGNERS);
    let added = ["add", "eager", "--scopes", "read", "--tenants", "*", "--requests-per-second", "1"];
    let eager = cluster.api.with_token(Some(cluster.client(&added).trim()));
    let answers: Vec<Answer> = (0..20).map(|_| eager.get("/v1/signers").expect("it is up")).collect();
    let told: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!(answers[0].status == 200 && told.len() >= 10, "{answers:?}");
    let seconds: Vec<u64> = told.iter().map(|answer| answer.retry_after.parse().expect("seconds")).collect();
    assert!(seconds.iter().all(|seconds| *seconds >= 1) && told[0].problem() == "too-often");
    for _ in 0..20 {
        assert_eq!(cluster.api.get("/v1/signers").expect("it is up").status, 200);
    }
}

#[test]
fn with_a_certificate_the_api_speaks_tls_and_knows_clients_by_theirs() {
    let mut cluster = Cluster::running(&SIGNERS);
    let known = cluster.place().join("known");
    Identity::load_or_create(&known).expect("made");
    Identity::load_or_create(&cluster.place().join("unknown")).expect("made");
    let certificate = known.join(CERTIFICATE_FILE).display().to_string();
    cluster.client(&[
        "add",
        "vault-service",
        "--scopes",
        "read",
        "--tenants",
        "*",
        "--certificate",
        &certificate,
    ]);
    cluster.stop(THE_COORDINATOR);
    let settings = cluster.directory(THE_COORDINATOR).join("coordinator.toml");
    let text = std::fs::read_to_string(&settings).expect("settings");
    let tls = "[tls]\ncertificate = \"identity/transport.crt\"\nkey = \"identity/transport.key\"\n";
    std::fs::write(&settings, format!("{text}{tls}")).expect("written");
    cluster.start(THE_COORDINATOR);

    let pin =
        Identity::load_or_create(&cluster.directory(THE_COORDINATOR).join("identity")).expect("there").pin();
    let secure = |identity: Option<&str>| {
        let own = identity.map(|name| cluster.place().join(name));
        Secure::new(cluster.api.address, pin, own.as_deref())
    };
    let token = cluster.api.token().map(str::to_owned);
    let get = |identity, token: Option<&str>| secure(identity).get("/v1/wallets", token).0;
    secure(None).wait_until_up();
    assert_eq!(get(Some("known"), None), 200);
    assert_eq!(get(Some("unknown"), None), 401);
    assert_eq!(get(None, None), 401);
    assert_eq!(get(None, token.as_deref()), 200);
    // Anybody may ask whether it works, whatever else they are.
    let health = ["known", "unknown"].map(|name| secure(Some(name)).get("/v1/health", None).1);
    assert!(health[0].contains("\"wallets\":0") && health[1] == r#"{"status":"ok"}"#, "{health:?}");
    // What is shown in the request counts alone.
    assert_eq!(get(Some("known"), Some("perennial_nonsense")), 401);
    let (status, text) = secure(Some("known")).get("/v1/ledger/entries", None);
    assert!(status == 403 && text.contains("client vault-service has not got that"), "{status} {text}");

    // On a connection that stands.
    let mut standing = secure(Some("known")).connection();
    assert_eq!(standing.get("/v1/wallets", None).0, 200);
    cluster.client(&["revoke", "vault-service"]);
    assert_eq!(standing.get("/v1/wallets", None).0, 401);
    assert!(cluster.api.get("/v1/health").is_err(), "plain HTTP is answered");
}

/// The statuses that come back for bytes as they are.
fn statuses(cluster: &Cluster, raw: &str) -> Vec<u16> {
    let mut stream = TcpStream::connect(cluster.api.address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
    stream.write_all(raw.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    // A connection that is reset has said all that it says.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let lines = answer.split("HTTP/1.1 ").skip(1);
    lines.map(|line| line[..3].parse().unwrap_or_else(|_| panic!("{answer}"))).collect()
}

#[test]
fn no_trick_of_path_method_or_framing_gets_past_the_gate() {
    let cluster = Cluster::running(&SIGNERS);
    let close = "Host: a\r\nConnection: close\r\n";
    let ask = |line: &str, more: &str| statuses(&cluster, &format!("{line} HTTP/1.1\r\n{close}{more}\r\n"));
    for (line, status) in [
        ("GET /v1/health", 200),
        ("HEAD /v1/health", 200),
        ("GET /v1/health?a=/metrics", 200),
        ("GET http://elsewhere/v1/health", 200),
        ("OPTIONS /v1/health", 405),
        ("POST /v1/health", 405),
        ("GET /V1/HEALTH", 401),
        ("GET /v1/health/", 401),
        ("GET //v1/health", 401),
        ("GET /v1%2Fhealth", 401),
        ("GET /v1/health%00", 401),
        ("GET /v1/health/../wallets", 401),
        ("GET /v1/./wallets", 401),
        ("GET /metrics", 401),
        ("HEAD /v1/wallets", 401),
        ("OPTIONS /v1/wallets", 401),
        ("OPTIONS *", 401),
        ("TRACE /v1/wallets", 401),
        ("DELETE /v1/wallets", 401),
        ("GET http://elsewhere/v1/wallets", 401),
    ] {
        assert_eq!(ask(line, ""), [status], "{line}");
    }
    let token = cluster.api.token().expect("there").to_owned();
    for more in [
        format!("Authorization: Bearer {token}\r\nAuthorization: Bearer {token}\r\n"),
        format!("Authorization: Bearer x\r\nAuthorization: Bearer {token}\r\n"),
        format!("X-Authorization: Bearer {token}\r\n"),
        format!("Authorization: Basic {token}\r\n"),
        format!("Authorization: Bearer {token} {token}\r\n"),
        "X-Forwarded-For: 127.0.0.1\r\nX-Original-URL: /v1/health\r\nX-HTTP-Method-Override: GET\r\n".into(),
    ] {
        assert_eq!(ask("GET /v1/wallets", &more), [401], "{more}");
    }
    // A second request within the body of the first one is no request, or nobody's.
    let inner = format!("GET /v1/wallets HTTP/1.1\r\n{close}\r\n");
    for framing in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        "Content-Length: 0\r\nContent-Length: 9\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "Content-Length: +0\r\n\r\n",
        "Content-Length: 0\r\n\r\n",
    ] {
        let came = statuses(&cluster, &format!("POST /v1/health HTTP/1.1\r\nHost: a\r\n{framing}{inner}"));
        assert!(!came.is_empty() && came.iter().all(|status| *status >= 400), "{framing}: {came:?}");
    }
}
