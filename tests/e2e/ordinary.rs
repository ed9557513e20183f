//! Ordinary deployments behind the reference as it is shipped: many users behind one key, and many behind one address.

use std::thread;
use tidegate_tests::http::{Connection, post};
use tidegate_tests::reference;
use tidegate_tests::upstream::Upstream;

const CHAT: &[u8] = br#"{"model":"m","messages":[{"role":"user","content":"?"}]}"#;

#[test]
fn sixty_users_of_one_key_and_an_office_behind_one_address_are_served_at_once() {
    for file in ["envoy.yaml", "envoy-composite.yaml"] {
        let upstream = Upstream::start();
        let envoy = reference::start_file(file, [&upstream; 3], &[]);
        let front = envoy.front();
        let together = |users: usize, key: &(dyn Fn(usize) -> String + Sync)| {
            let mut connections: Vec<Connection> = (0..users).map(|_| Connection::open(front)).collect();
            let statuses: Vec<u16> = thread::scope(|scope| {
                let ask = |(user, connection)| {
                    let connection: &mut Connection = connection;
                    let headers = [("authorization", key(user)), ("session_id", user.to_string())];
                    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
                    connection
                        .exchange(&post("/v1/chat/completions", &headers, CHAT))
                        .map_or(0, |answer| answer.status)
                };
                let users = connections.iter_mut().enumerate();
                let users: Vec<_> = users.map(|user| scope.spawn(move || ask(user))).collect();
                users.into_iter().map(|user| user.join().expect("no panic")).collect()
            });
            statuses.into_iter().filter(|status| *status == 200).count()
        };
        assert_eq!(together(60, &|_| "Bearer chat-ui".to_owned()), 60, "{file}: one key");
        assert_eq!(together(150, &|user| format!("Bearer user-{user}")), 150, "{file}: one address");
        envoy.assert_no_vm_restarted();
    }
}
