//! What `docs/quickstart.md` shows is what a reader gets from `docs/quickstart.yaml`.

use std::fs;
use tidegate_tests::bootstrap::checkout;
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{get, post};

fn read(file: &str) -> String {
    fs::read_to_string(checkout().join("docs").join(file)).expect(file)
}

/// The message of an error, without the numbers of one moment.
fn said(error: &str) -> String {
    let message =
        error.split("\"message\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a message");
    message.split("in ").next().expect("a part").to_owned()
}

#[test]
fn seven_requests_and_a_prompt_that_asks_for_too_much_get_what_the_page_shows() {
    let page = read("quickstart.md");
    let modules = format!("filename: {}/dist/", checkout().display());
    let text = read("quickstart.yaml").replace("filename: dist/", &modules);
    let admin = "admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }\n";
    let envoy = Envoy::from_bootstrap(|port| {
        admin.to_owned() + &text.replace("port_value: 8080", &format!("port_value: {port}"))
    });
    let shown = page.lines().find(|line| line.starts_with("200 200 ")).expect("the statuses");
    let errors: Vec<&str> = page.lines().filter(|line| line.starts_with("{\"error\"")).collect();

    let me = ("authorization", "Bearer me");
    let ask = || envoy.connect().exchange(&get("/v1/models", &[me])).expect("an answer");
    let answers: Vec<_> = (0..7).map(|_| ask()).collect();
    let statuses: Vec<String> = answers.iter().map(|answer| answer.status.to_string()).collect();
    assert_eq!(statuses.join(" "), shown);
    let refused = answers.last().expect("seven");
    assert_eq!(said(&refused.json().to_string()), said(errors[0]));
    for name in ["retry-after-ms", "retry-after", "x-ratelimit-limit-requests", "x-ratelimit-reset-requests"]
    {
        assert!(refused.header(name).is_some() && page.contains(&format!("\n{name}: ")), "{name}");
    }

    let body = page.split("-d '").nth(1).and_then(|rest| rest.split('\'').next()).expect("a body");
    let you = ("authorization", "Bearer you");
    let answer =
        envoy.connect().exchange(&post("/v1/chat/completions", &[you], body.as_bytes())).expect("an answer");
    assert_eq!((answer.status, said(&answer.json().to_string())), (400, said(errors[1])));
    envoy.assert_no_vm_restarted();
}
