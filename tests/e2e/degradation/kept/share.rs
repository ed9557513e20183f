//! What clients ask again and again survives whatever another one asks.

use super::*;

/// Of 20 questions that honest clients asked five times each, how many are answered in an outage, after `flood` has asked
/// what it likes of a cache of 512 entries.
fn survive(flood: impl Fn(&Envoy) + Copy) -> usize {
    let upstream = Upstream::scripted(|_| said("Paris"));
    let envoy = start(keeping(json!({})), &upstream);
    let honest = |number: usize| {
        let key = format!("Bearer honest-{}", number % 5);
        ask_as(&envoy, &key, CHAT, &body(&format!("honest question {number}"), false))
    };
    for number in (0..5).flat_map(|_| 0..20) {
        assert_eq!(honest(number).status, 200);
    }
    flood(&envoy);
    upstream.follow(|_| failing());
    (0..20).filter(|number| honest(*number).status == 200).count()
}

fn ask_all(envoy: &Envoy, questions: usize, times: usize, key: impl Fn(usize) -> String) {
    let mut connection = envoy.connect();
    for number in (0..questions).flat_map(|number| (0..times).map(move |_| number)) {
        let body = body(&format!("new question {number}"), false);
        let asked = post(CHAT, &[("authorization", &key(number))], &body);
        assert_eq!(connection.exchange(&asked).expect("an answer").status, 200);
    }
}

#[test]
fn one_client_that_asks_without_end_takes_nothing_that_others_ask_again() {
    let lost = |flood: &dyn Fn(&Envoy)| survive(|envoy| flood(envoy));
    let attacker = |_: usize| "Bearer attacker".to_owned();
    assert_eq!(lost(&|envoy| ask_all(envoy, 1_200, 1, attacker)), 20);
    assert_eq!(lost(&|envoy| ask_all(envoy, 400, 7, attacker)), 20, "it asks again more often than they do");
    assert_eq!(lost(&|envoy| ask_all(envoy, 1_200, 1, |number| format!("Bearer made-up-{number}"))), 20);
}
