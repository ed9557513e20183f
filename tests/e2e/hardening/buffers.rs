//! What Envoy holds for a client: all of a body that filters have to see, and little of an answer that nobody reads.

use super::{SOON, serves_on};
use std::io::{BufRead, Write};
use tidegate_tests::http::{get, post};
use tidegate_tests::reference::{self, FILES};
use tidegate_tests::upstream::{Step, Upstream};
use tidegate_tests::{http2, wait_for};

const READERS: u64 = 20;
const MIB: u64 = 1 << 20;

/// A chat with a picture, of about so many bytes.
fn chat(size: usize) -> Vec<u8> {
    let picture = "iVBORw0KGgo/AAA+".repeat(size / 16);
    let part = format!(r#"{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{picture}"}}}}"#);
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{part}]}}]}}"#).into_bytes()
}

#[test]
fn a_body_is_held_whole_over_http1_and_http2_and_so_is_a_large_answer() {
    for file in FILES {
        let upstream = Upstream::start();
        let envoy = reference::start_file(file, [&upstream; 3], &[]);
        let path = "/v1/chat/completions";
        for size in [100 << 10, 3 << 20, 60 << 20] {
            let body = chat(size);
            let answer = envoy.connect().exchange(&post(path, &[], &body)).expect("an answer");
            assert_eq!(answer.status, 200, "{file}: {size} over HTTP/1.1");
            let answer =
                http2::upload(envoy.front(), &http2::post(path.as_bytes()), &body).expect("an answer");
            assert_eq!(answer.status, 200, "{file}: {size} over HTTP/2");
            assert!(upstream.seen().iter().all(|seen| seen.body == body), "{file}: {size}");
            upstream.forget();
        }
        let over = http2::upload(envoy.front(), &http2::post(path.as_bytes()), &chat(65 << 20));
        assert!(over.is_err() || over.is_ok_and(|answer| answer.status == 413), "{file}");
        assert!(upstream.seen().is_empty(), "{file}");
        let pictures = chat(10 << 20);
        let answer = [
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                pictures.len()
            )
            .as_bytes(),
            &pictures,
        ]
        .concat();
        upstream.follow(move |_| vec![Step::Send(answer.clone())]);
        let answer = envoy.connect().exchange(&post(path, &[], b"{}")).expect("an answer");
        assert!(answer.status == 200 && answer.body == pictures, "{file}: {}", answer.status);
        serves_on(&envoy);
    }
}

/// More than lies in all buffers, without having it.
fn endless(_: &mut dyn BufRead, connection: &mut dyn Write) -> Option<()> {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: 1000000000000\r\n\r\n";
    connection.write_all(head.as_bytes()).ok()?;
    loop {
        connection.write_all(&[b'.'; 65_536]).ok()?;
    }
}

#[test]
fn readers_that_take_nothing_make_envoy_hold_little() {
    for file in FILES {
        let upstream = Upstream::scripted(|_| vec![Step::Hand(endless)]);
        let envoy = reference::start_file(file, [&upstream; 3], &[]);
        let readers: Vec<_> = (0..READERS)
            .map(|reader| {
                let mut connection = envoy.connect();
                let key = format!("Bearer sk-{reader}");
                connection.send(&get("/v1/files/1/content", &[("authorization", &key)])).expect("sent");
                connection
            })
            .collect();
        wait_for("servers that wait", SOON, || {
            (envoy.stat("cluster.model.upstream_flow_control_paused_reading_total") >= READERS).then_some(())
        });
        let held = envoy.stat("http.front.downstream_cx_tx_bytes_buffered");
        assert!((READERS * MIB / 2..READERS * 2 * MIB).contains(&held), "{file}: {} MiB", held / MIB);
        drop(readers);
        upstream.follow(|_| vec![Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec())]);
        serves_on(&envoy);
    }
}
