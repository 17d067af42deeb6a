//! The page that follows a run, in a real browser.

use super::browser::Browser;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A demo that is ended with this, whatever happens.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_running_demo_is_followed_to_its_end_and_a_page_opened_anew_has_it_all() {
    let Some(mut page) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_cutover"));
    demo.args(["demo", "--for", "1h", "--speed", "12", "--ui", "0"]);
    demo.args(["--fault", "value_mismatch:feature=positions,field=pnl,every=3", "--report-dir"]);
    demo.arg(folder.path().join("r")).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut demo = Demo(demo.spawn().unwrap());
    let mut said = BufReader::new(demo.0.stderr.take().unwrap()).lines().map(Result::unwrap);
    let url = said.find_map(|line| line.split_once(" followed on ").map(|(_, url)| url.trim().to_string()));
    let url = url.expect("where the page is");
    // Read on, so that the demo is never held up by what it says.
    let reader = std::thread::spawn(move || said.count());

    page.open(&url);
    let mismatch = "document.querySelector('.finding[data-name=\"value_mismatch in positions, field pnl\"]')";
    page.until(&format!("!!{mismatch}"));
    assert!(page.value("document.body.innerText").as_str().unwrap().contains("the run goes on"));
    assert_eq!(page.value("document.getElementById('state').textContent"), "following the run");
    // What the reader did stays while results come.
    page.value("document.getElementById('filter').value = 'pnl'");
    page.value(&format!("{mismatch}.open = false"));
    page.value("window.before = document.querySelector('.what').textContent");
    page.until("document.querySelector('.what').textContent !== window.before");
    assert_eq!(page.value("document.getElementById('filter').value"), "pnl");
    assert_eq!(page.value(&format!("{mismatch}.open")), false);
    // Closed and opened again: everything from the beginning is there.
    let began = "document.querySelector('.what span').textContent.slice(0, 19)";
    let (first, again) = (page.value(began), page.value("window.left = true"));
    assert_eq!(again, true);
    page.open("about:blank#closed");
    page.open(&url);
    page.until(&format!("!!{mismatch}"));
    assert_eq!(page.value(began), first);

    // Ended in order once all was seen, so that no page can be too slow for it.
    let interrupt = format!("kill -INT {}", demo.0.id());
    assert!(Command::new("sh").args(["-c", &interrupt]).status().unwrap().success());
    page.until("document.getElementById('state').textContent === 'the run is over: this is its result'");
    assert_eq!(page.value("document.querySelector('h1').textContent.trim()"), "✗ FAIL");
    assert!(!page.value("document.body.innerText").as_str().unwrap().contains("the run goes on"));
    let own = |address: &String| address.starts_with(&url) || address.starts_with("about:");
    assert!(page.requests.iter().all(own), "{:?}", page.requests);
    assert_eq!(page.complaints, Vec::<String>::new());
    assert_eq!(demo.0.wait().unwrap().code(), Some(1));
    reader.join().unwrap();
    // What was followed is what was written.
    let written = std::fs::read_to_string(folder.path().join("r/report.html")).unwrap();
    let shown = page.value("document.querySelectorAll('.finding').length").as_u64().unwrap();
    assert_eq!(written.matches("<details class=\"finding\"").count() as u64, shown);
}
