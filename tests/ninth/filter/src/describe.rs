//! The filter for an operator: what it will do, and the schema of its document.

use crate::{Counter, Ninth};
use schemars::{Schema, schema_for};
use tidegate_host::describe::{Describe, Description};
use tidegate_host::metrics::Metric;

impl Describe for Ninth {
    fn describe(&self) -> Description {
        let rule = if self.refuse { "every request gets 403" } else { "every request goes on" };
        Description { rules: vec![rule.to_owned()], ..Description::default() }
    }

    fn schema() -> Schema {
        schema_for!(Self)
    }

    fn counters() -> Vec<Metric> {
        Counter::ALL.to_vec()
    }
}
