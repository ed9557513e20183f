//! Grafana's dashboard: the rows of `envoy/grafana/rows.yaml`, and between them one for each filter.

use crate::filter::{Filter, Panel};
use crate::{Error, read};
use serde::Deserialize;
use serde_json::json;
use std::path::Path;

const HEIGHT: u32 = 7;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    before_filters: Vec<Row>,
    after_filters: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    title: String,
    panels: Vec<Panel>,
}

/// The dashboard, JSON with a line for each query.
pub fn dashboard(root: &Path, filters: &[Filter]) -> Result<String, Error> {
    let path = "envoy/grafana/rows.yaml";
    let rows: Rows =
        serde_saphyr::from_str(&read(root, path)?).map_err(|error| format!("{path}: {error}"))?;
    let before = rows.before_filters.iter().map(|row| (row.title.as_str(), row.panels.as_slice()));
    let own = filters.iter().map(|filter| (filter.listed.root_id, filter.shipped.panels.as_slice()));
    let after = rows.after_filters.iter().map(|row| (row.title.as_str(), row.panels.as_slice()));
    let mut panels = Panels::default();
    for (title, each) in before.chain(own).chain(after) {
        panels.row(title, each);
    }
    let panels = panels.text.join(",\n");
    Ok(format!(
        r#"{{
  "uid": "tidegate",
  "title": "Tidegate",
  "schemaVersion": 39,
  "editable": true,
  "refresh": "5s",
  "time": {{"from": "now-15m", "to": "now"}},
  "templating": {{"list": []}},
  "panels": [
{panels}
  ]
}}
"#
    ))
}

#[derive(Default)]
struct Panels {
    text: Vec<String>,
    y: u32,
}

impl Panels {
    fn row(&mut self, title: &str, panels: &[Panel]) {
        let place = position(0, self.y, 24, 1);
        let id = self.next_id();
        self.text.push(format!(
            r#"    {{"id": {id}, "type": "row", "title": {}, "collapsed": false, "panels": [], "gridPos": {place}}}"#,
            json!(title)
        ));
        self.y = self.y.saturating_add(1);
        let mut x = 0_u32;
        for panel in panels {
            let place = position(x, self.y, panel.width, HEIGHT);
            self.panel(panel, &place);
            x = x.saturating_add(panel.width);
        }
        self.y = self.y.saturating_add(HEIGHT);
    }

    fn panel(&mut self, panel: &Panel, place: &str) {
        let id = self.next_id();
        let queries = panel.queries.iter().flatten().zip('A'..);
        let targets: Vec<String> = queries
            .map(|((legend, query), letter)| {
                format!(
                    r#"        {{"refId": "{letter}", "expr": {}, "legendFormat": {}}}"#,
                    json!(query),
                    json!(legend)
                )
            })
            .collect();
        self.text.push(format!(
            r#"    {{"id": {id}, "type": "timeseries", "title": {}, "datasource": {{"type": "prometheus", "uid": "prometheus"}}, "gridPos": {place}, "fieldConfig": {{"defaults": {{"unit": {}, "min": 0}}, "overrides": []}},
      "targets": [
{}
      ] }}"#,
            json!(panel.title),
            json!(panel.unit),
            targets.join(",\n")
        ));
    }

    const fn next_id(&self) -> usize {
        self.text.len().saturating_add(1)
    }
}

fn position(x: u32, y: u32, width: u32, height: u32) -> String {
    format!(r#"{{"x": {x}, "y": {y}, "w": {width}, "h": {height}}}"#)
}
