//! What is true of calls, in the fake and in Envoy alike, where these clusters are: [`ANSWERS`], whose server says `pong`;
//! [`LARGE`], whose server says too much; [`HANGS`], whose server says nothing; [`REFUSES`], where nobody listens. There are
//! two of each: the other one, for gRPC, has `grpc|` before its name, which is no `:authority`.

/// Its server answers.
pub const ANSWERS: &str = "answers";

/// Its server answers with more than may be.
pub const LARGE: &str = "large";

/// Its server never answers.
pub const HANGS: &str = "hangs";

/// It has no server.
pub const REFUSES: &str = "refuses";

/// What a request for `/call` asks, and what it is told.
pub struct Statement {
    /// Its name.
    pub says: &'static str,
    /// Its headers.
    pub headers: &'static [(&'static str, &'static str)],
    /// How its calls end, in any order.
    pub outcomes: &'static [(&'static str, usize)],
}

/// All of them.
pub const STATEMENTS: &[Statement] = &[
    Statement {
        says: "an HTTP call is answered",
        headers: &[("x-cluster", ANSWERS), ("x-path", "/ask"), ("x-body", "ping")],
        outcomes: &[("http 200 pong", 1)],
    },
    Statement {
        says: "a gRPC call is answered",
        headers: &[("x-kind", "grpc"), ("x-cluster", "grpc|answers"), ("x-body", "ping")],
        outcomes: &[("grpc pong", 1)],
    },
    Statement {
        says: "an answer that is too long is not taken",
        headers: &[("x-cluster", LARGE), ("x-path", "/ask")],
        outcomes: &[("TooLong", 1)],
    },
    Statement {
        says: "an HTTP call to a port where nobody listens is answered by the proxy",
        headers: &[("x-cluster", REFUSES), ("x-path", "/ask")],
        outcomes: &[("http 503", 1)],
    },
    Statement {
        says: "a gRPC call to a port where nobody listens has a status",
        headers: &[("x-kind", "grpc"), ("x-cluster", "grpc|refuses")],
        outcomes: &[("GrpcStatus(14)", 1)],
    },
    Statement {
        says: "an HTTP call ends at its deadline",
        headers: &[("x-cluster", HANGS), ("x-path", "/ask"), ("x-deadline-ms", "100")],
        outcomes: &[("http 504", 1)],
    },
    Statement {
        says: "a gRPC call ends at its deadline",
        headers: &[("x-kind", "grpc"), ("x-cluster", "grpc|hangs"), ("x-deadline-ms", "100")],
        outcomes: &[("GrpcStatus(14)", 1)],
    },
    Statement {
        says: "a call without a deadline cannot be made",
        headers: &[("x-cluster", ANSWERS), ("x-path", "/ask"), ("x-deadline-ms", "0")],
        outcomes: &[("no deadline", 1)],
    },
    Statement {
        says: "an HTTP call to an unknown cluster is refused",
        headers: &[("x-cluster", "unknown"), ("x-path", "/ask")],
        outcomes: &[("Unreachable", 1)],
    },
    Statement {
        says: "a gRPC call to an unknown cluster is refused",
        headers: &[("x-kind", "grpc"), ("x-cluster", "grpc|unknown")],
        outcomes: &[("Unreachable", 1)],
    },
    Statement {
        says: "a path that could end its header is refused",
        headers: &[("x-cluster", ANSWERS), ("x-path", "/ask\tx"), ("x-times", "17")],
        outcomes: &[("Malformed", 17)],
    },
    Statement {
        says: "the seventeenth call at a time is refused",
        headers: &[("x-cluster", HANGS), ("x-path", "/ask"), ("x-deadline-ms", "300"), ("x-times", "18")],
        outcomes: &[("Full", 2), ("http 504", 16)],
    },
    Statement {
        says: "the seventeenth call at a time is refused, of whatever kind",
        headers: &[
            ("x-kind", "grpc"),
            ("x-cluster", "grpc|hangs"),
            ("x-deadline-ms", "300"),
            ("x-times", "18"),
        ],
        outcomes: &[("Full", 2), ("GrpcStatus(14)", 16)],
    },
    Statement {
        says: "calls can be made again once those before have ended",
        headers: &[("x-cluster", ANSWERS), ("x-path", "/ask"), ("x-times", "16")],
        outcomes: &[("http 200 pong", 16)],
    },
];

impl Statement {
    /// Whether what the request was told is what holds.
    pub fn holds(&self, told: &str) -> bool {
        let mut expected: Vec<&str> = self
            .outcomes
            .iter()
            .flat_map(|(outcome, times)| core::iter::repeat_n(*outcome, *times))
            .collect();
        let mut told: Vec<&str> = told.lines().collect();
        expected.sort_unstable();
        told.sort_unstable();
        expected == told
    }
}
