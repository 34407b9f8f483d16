//! An operator changes settings while the program runs: no build, no restart, and nothing is lost.
//!
//! cargo run --example reload

use std::{fs, path::Path, sync::mpsc, time::Duration};

use steadfast::{Event, Rejection, bulkhead};

#[bulkhead("reports", max_concurrent = 1)]
async fn report() -> Result<(), Rejection> {
    tokio::time::sleep(Duration::from_millis(20)).await;
    Ok(())
}

/// How many of four callers at once get through.
async fn four_at_once() -> usize {
    let calls = [report(), report(), report(), report()].map(tokio::spawn);
    let mut answered = 0;
    for call in calls {
        answered += usize::from(matches!(call.await, Ok(Ok(()))));
    }
    answered
}

/// As an operator does it who wants no half of a file to be read: a new one takes the name.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    println!(
        "\n{}:\n    {}",
        path.display(),
        text.replace('\n', "\n    ")
    );
    let other = path.with_extension("new");
    fs::write(&other, text)?;
    fs::rename(other, path)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let registry = steadfast::registry();
    let (tell, told) = mpsc::channel();
    let _subscription = registry.subscribe(move |event| {
        let text = match event {
            Event::Reconfigured(event) => {
                let changes = event.changes.iter();
                let changes = changes.map(|c| format!("{}: {} -> {}", c.setting, c.old, c.new));
                format!(
                    "{}: {}",
                    event.policy,
                    changes.collect::<Vec<_>>().join(", ")
                )
            }
            Event::ConfigRejected(event) => event.errors.to_string(),
            _ => return,
        };
        drop(tell.send(text));
    });
    let path = std::env::temp_dir().join(format!("steadfast-reload-{}.toml", std::process::id()));
    fs::write(&path, "")?;
    let watch = registry.watch(&path)?;
    println!(
        "as the attribute says: {} of 4 get through",
        four_at_once().await
    );

    for text in [
        "[bulkhead.reports]\nmax_concurrent = 3",
        "[bulkhead.reports]\nmax_concurent = 2",
        "[bulkhead.reports]\nenabled = false",
    ] {
        write(&path, text)?;
        // The file is watched on a thread of its own.
        let told = told.recv_timeout(Duration::from_secs(10))?;
        println!("told: {told}");
        println!("{} of 4 get through", four_at_once().await);
    }
    watch.stop();
    fs::remove_file(path)?;
    Ok(())
}
