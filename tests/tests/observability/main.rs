//! What ships in `observability/`, held to the table of metrics and to what a real Prometheus scrapes from
//! the example `metrics`.
#![allow(missing_docs, unreachable_pub)]

#[path = "../../../examples/metrics/exporter.rs"]
mod exporter;
mod promql;
#[path = "../../../examples/metrics/shop.rs"]
mod shop;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use exporter::Exporter;
use serde_json::Value;
use steadfast::metrics::{SERIES, Series, SeriesKind};
use steadfast_servers::{Prometheus, promtool, wait_until};

/// The shop's supplier goes through all its moods in 12 seconds, and the machine may have much to do.
const SEEN: Duration = Duration::from_secs(120);

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../observability");
    folder.canonicalize().unwrap()
}

fn read(file: &str) -> String {
    fs::read_to_string(folder().join(file)).unwrap()
}

/// Every query of the dashboard.
fn dashboard() -> Vec<String> {
    let expressions = shown().into_iter().map(|(expression, _)| expression);
    expressions.collect()
}

/// The same, each with the legend of what it shows.
fn shown() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")).unwrap();
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            let expression = expression.replace("$__rate_interval", "1m");
            let names = ["$job", "$instance", "$policy"];
            let expression = names
                .iter()
                .fold(expression, |text, name| text.replace(name, ".*"));
            assert!(!expression.contains('$'), "{expression}");
            let legend = target["legendFormat"].as_str().unwrap_or_default();
            queries.push((expression, legend.to_owned()));
        }
    }
    queries
}

/// Name and expression of every alert.
fn alerts() -> Vec<(String, String)> {
    let text = read("alerts.yml");
    let mut alerts: Vec<(String, String)> = Vec::new();
    let mut in_expression = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(name) = trimmed.strip_prefix("- alert: ") {
            alerts.push((name.to_owned(), String::new()));
        } else if let Some(rest) = trimmed.strip_prefix("expr: ") {
            in_expression = true;
            alerts.last_mut().unwrap().1 = rest.trim_start_matches('|').to_owned();
        } else if trimmed.starts_with("for: ") || trimmed == "labels:" {
            in_expression = false;
        } else if in_expression {
            let expression = &mut alerts.last_mut().unwrap().1;
            *expression += " ";
            *expression += trimmed;
        }
    }
    alerts
}

/// The metric of the table that a name of Prometheus belongs to.
fn series_of(name: &str) -> Option<&'static Series> {
    let is_it = |series: &&Series| match series.kind {
        SeriesKind::Histogram => ["_bucket", "_sum", "_count"]
            .iter()
            .any(|end| name.strip_suffix(end) == Some(series.name)),
        _ => name == series.name,
    };
    SERIES.iter().find(is_it)
}

/// Labels that Prometheus adds, or that come with buckets.
const ADDED: [&str; 4] = ["__name__", "instance", "job", "le"];

fn assert_in_the_table(expression: &str) {
    let mentioned = promql::mentioned(expression);
    assert!(!mentioned.metrics.is_empty(), "{expression}");
    let mut labels: BTreeSet<&str> = ADDED.into();
    for (name, own) in &mentioned.metrics {
        let series = series_of(name);
        let series = series.unwrap_or_else(|| panic!("there is no {name}: {expression}"));
        for label in own {
            let is_known = series.labels.contains(&label.as_str()) || ADDED.contains(&&**label);
            assert!(is_known, "{name} has no label {label}: {expression}");
        }
        labels.extend(series.labels);
    }
    for label in &mentioned.grouped {
        assert!(
            labels.contains(label.as_str()),
            "no label {label}: {expression}"
        );
    }
}

#[test]
fn dashboard_and_alerts_name_only_what_there_is() {
    let (dashboard, alerts) = (dashboard(), alerts());
    assert!(dashboard.len() >= 20 && alerts.len() >= 10);
    let alerts = alerts.iter().map(|(_, expression)| expression);
    dashboard
        .iter()
        .chain(alerts)
        .for_each(|expression| assert_in_the_table(expression));
}

#[test]
fn the_dashboard_shows_every_metric() {
    let shown: BTreeSet<&str> = dashboard()
        .iter()
        .flat_map(|expression| promql::mentioned(expression).metrics.into_keys())
        .filter_map(|name| series_of(&name).map(|series| series.name))
        .collect();
    for series in SERIES {
        assert!(
            shown.contains(series.name),
            "{} is not on the dashboard",
            series.name
        );
    }
}

#[test]
fn the_dashboard_can_be_imported_and_asks_which_prometheus_to_use() {
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert_eq!(variables[0]["type"], "datasource");
    let (mut ids, mut places) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        assert!(places.insert(panel["gridPos"].to_string()), "{panel}");
        let is_row = panel["type"] == "row";
        assert!(
            is_row || panel["datasource"]["uid"] == "${datasource}",
            "{panel}"
        );
        for target in panel["targets"].as_array().into_iter().flatten() {
            assert_eq!(target["datasource"]["uid"], "${datasource}");
        }
    }
    for variable in &variables[1..] {
        let query = variable["definition"].as_str().unwrap();
        let query = query.strip_prefix("label_values(").unwrap();
        let (selector, label) = query.rsplit_once(", ").unwrap();
        // Several metrics, by a pattern of their names: not every program has all of them.
        assert!(selector.starts_with('{'), "{selector}");
        let names = selector.split('"').nth(1).unwrap();
        for name in names.split('|') {
            let series = series_of(name).unwrap_or_else(|| panic!("there is no {name}"));
            let label = label.trim_end_matches(')');
            assert!(series.labels.contains(&label) || ADDED.contains(&label));
        }
    }
}

#[test]
fn alerts_are_valid_and_pass_their_tests() {
    for arguments in [
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts_test.yml"],
    ] {
        let output = promtool(&folder(), &arguments);
        let told =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {told}");
        assert!(told.contains("SUCCESS"), "{told}");
    }
}

#[test]
fn every_alert_is_tested_to_fire_and_not_to_and_stands_in_the_list() {
    let tests = read("alerts_test.yml");
    let list = read("README.md");
    for (name, _) in alerts() {
        let parts = tests.split("alertname: ").skip(1);
        let (quiet, loud): (Vec<_>, Vec<_>) = parts
            .filter(|part| part.lines().next() == Some(&name))
            .partition(|part| part.lines().nth(1).unwrap().trim() == "exp_alerts: []");
        assert!(!quiet.is_empty() && !loud.is_empty(), "{name}");
        assert!(list.contains(&format!("| `{name}` |")), "{name}");
    }
}

/// The results of a query: their labels.
fn results(prometheus: &Prometheus, query: &str) -> Vec<BTreeMap<String, String>> {
    let answer: Value = serde_json::from_str(&prometheus.query(query)).unwrap();
    assert_eq!(answer["status"], "success", "{query}: {answer}");
    assert_eq!(answer.get("warnings"), None, "{query}: {answer}");
    let results = answer["data"]["result"].as_array().unwrap();
    let labels = results.iter().map(|result| result["metric"].clone());
    labels
        .map(|labels| serde_json::from_value(labels).unwrap())
        .collect()
}

/// As Prometheus knows it.
fn names(series: &Series) -> Vec<String> {
    match series.kind {
        SeriesKind::Histogram => ["_bucket", "_sum", "_count"]
            .map(|end| format!("{}{end}", series.name))
            .into(),
        _ => vec![series.name.to_owned()],
    }
}

/// Has the shop open, in this process, on a runtime of its own.
fn open_shop() {
    thread::spawn(|| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(shop::open());
    });
}

#[test]
fn a_real_prometheus_sees_everything_and_nothing_else() {
    let exporter = Exporter::serve(0).unwrap();
    let prometheus = Prometheus::scraping(exporter.port(), &[folder().join("alerts.yml")]);
    open_shop();

    // Each metric, with its labels.
    for series in SERIES {
        let labels = series.labels.iter().copied().chain(ADDED);
        let labels: BTreeSet<&str> = labels.collect();
        for name in names(series) {
            wait_until(&name, SEEN, || !results(&prometheus, &name).is_empty());
            for result in results(&prometheus, &name) {
                let is_known = result.keys().all(|label| labels.contains(label.as_str()));
                assert!(is_known, "{result:?}");
            }
        }
        // All its labels are in use.
        for label in series.labels {
            let labelled = format!("{}{{{label}!=\"\"}}", names(series)[0]);
            wait_until(&labelled, SEEN, || {
                !results(&prometheus, &labelled).is_empty()
            });
        }
    }
    assert_described(&prometheus);
    assert_values(&prometheus);

    // Nothing that is not in the table, and nothing that comes from a customer.
    for result in results(&prometheus, "{job=\"test\"}") {
        let name = &result["__name__"];
        let is_its_own = ["up", "scrape_", "ALERTS"]
            .iter()
            .any(|own| name.starts_with(own));
        assert!(is_its_own || series_of(name).is_some(), "{name}");
    }
    assert!(!exporter.render().contains("example.org"));

    // Every query of the dashboard has something to show, and a legend for each line of it.
    for (query, legend) in shown() {
        wait_until(&query, SEEN, || !results(&prometheus, &query).is_empty());
        let labels = legend.split("{{").skip(1);
        let labels: Vec<_> = labels.filter_map(|text| text.split("}}").next()).collect();
        for result in results(&prometheus, &query) {
            let is_named = labels.iter().all(|&label| result.contains_key(label));
            assert!(is_named, "{legend}: {result:?} of {query}");
        }
    }

    assert_alerts(&prometheus);
}

/// Kind and meaning of each metric are known.
fn assert_described(prometheus: &Prometheus) {
    let metadata = prometheus.get("/api/v1/metadata").unwrap();
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    for series in SERIES {
        let told = &metadata["data"][series.name][0];
        assert_eq!(told["type"], series.kind.as_str(), "{}", series.name);
        assert_eq!(told["help"], series.help, "{}", series.name);
    }
}

/// Figures that can be told without knowing when they were scraped.
fn assert_values(prometheus: &Prometheus) {
    let is_so = |query: &str| wait_until(query, SEEN, || !results(prometheus, query).is_empty());
    // Each circuit is in one state: the supplier's, and those of three warehouses.
    is_so(r#"sum(circuit_breaker_state{policy="supplier"}) == 1"#);
    is_so(r#"sum(circuit_breaker_state{policy="warehouses"}) == 3"#);
    is_so(
        r#"circuit_breaker_state_changes_total{policy="supplier", from="closed", to="open"} > 0"#,
    );
    is_so(r#"retry_attempts_total{policy="price", attempt="first"} > 100"#);
    // A call and its attempts are told in one go.
    is_so(
        r#"retry_attempts_count{policy="till"} == ignoring(attempt) retry_attempts_total{policy="till", attempt="first"}"#,
    );
    is_so(r#"rate_limit_bypassed_total{policy="orders"} > 0"#);
    is_so(r#"rate_limit_wait_seconds_sum{policy="supplier"} > 0"#);
    is_so(r#"sum(fallback_total{source="cache"}) > 0"#);
    is_so(r#"sum(fallback_total{source="fallback"}) > 0"#);
    is_so(r#"timeout_total{policy="supplier"} > 0"#);
    is_so(r#"bulkhead_rejected_total{policy="invoices"} > 0"#);
    is_so(r#"max_over_time(bulkhead_in_flight{policy="invoices"}[1m]) == 2"#);
    is_so("store_up == 1");
}

/// The rules are loaded and can be evaluated, and are those that this test reads.
fn assert_alerts(prometheus: &Prometheus) {
    let rules: Value = serde_json::from_str(&prometheus.get("/api/v1/rules").unwrap()).unwrap();
    let rules = rules["data"]["groups"][0]["rules"].as_array().unwrap();
    let loaded: Vec<_> = rules.iter().map(|rule| rule["name"].clone()).collect();
    let written: Vec<_> = alerts().into_iter().map(|(name, _)| name).collect();
    assert_eq!(loaded, written);
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
        assert_in_the_table(rule["query"].as_str().unwrap());
    }
}
