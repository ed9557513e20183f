//! What the outcome of a gRPC call would be as an HTTP status, since that is what outcomes are judged by. The HTTP status
//! of a call is 200 whatever came of it.
//!
//! Source: `google/rpc/code.proto`, which gives each code its HTTP mapping.

/// The HTTP status of the value of `grpc-status`; 200 if it is none.
pub fn http_status(grpc_status: &[u8]) -> u16 {
    match grpc_status {
        b"1" => 499,
        b"2" | b"13" | b"15" => 500,
        b"3" | b"9" | b"11" => 400,
        b"4" => 504,
        b"5" => 404,
        b"6" | b"10" => 409,
        b"7" => 403,
        b"8" => 429,
        b"12" => 501,
        b"14" => 503,
        b"16" => 401,
        _ => 200,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_policy::health::outcome::{Ending, Outcome};

    #[test]
    fn each_code_is_judged_as_its_http_status() {
        let of = |code: u8| {
            let status = http_status(code.to_string().as_bytes());
            Ending { status, details: b"via_upstream", flags: 0 }.outcome()
        };
        assert_eq!(of(0), Outcome::Success);
        for code in [2, 4, 13, 14, 15] {
            assert_eq!(of(code), Outcome::Failure, "{code}");
        }
        assert_eq!(of(8), Outcome::Overload);
        for code in [1, 3, 5, 6, 7, 9, 10, 11, 12, 16] {
            assert_eq!(of(code), Outcome::Ignored, "{code}");
        }
        assert_eq!([http_status(b""), http_status(b"00"), http_status(b"99")], [200; 3]);
    }
}
