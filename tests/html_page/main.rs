//! `report.html` in a real browser: it opens from a file, asks for nothing, complains of nothing, and works.
//! Where no browser is found each test says so and skips.

#![allow(clippy::disallowed_methods, reason = "tests write pages and read what was written")]

mod beside;
mod browser;
mod live;

use browser::Browser;
use cutover::model::Outcome;
use cutover::report::{html, json};
use std::path::PathBuf;

fn report(case: &str) -> Outcome {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("reports").join(case).join(json::FILE);
    json::from_json(&std::fs::read(file).unwrap()).unwrap()
}

/// The page of an outcome, opened from its file.
fn opened(outcome: &Outcome, width: u32) -> Option<(Browser, tempfile::TempDir)> {
    let mut browser = Browser::start()?;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(html::FILE);
    std::fs::write(&file, html::to_html(outcome)).unwrap();
    browser.width(width);
    browser.open_file(&file);
    Some((browser, folder))
}

fn nothing_else_was_asked_for(browser: &Browser) {
    assert_eq!(browser.complaints, Vec::<String>::new());
    assert!(
        browser.requests.iter().all(|url| url.starts_with("file://") && url.ends_with(html::FILE)),
        "{:?}",
        browser.requests
    );
}

#[test]
fn it_opens_from_a_file_with_its_charts_and_works() {
    let Some((mut page, _folder)) = opened(&report("drop"), 1280) else { return };
    assert_eq!(page.value("document.querySelector('h1').textContent.trim()"), "✗ FAIL");
    assert_eq!(
        page.value("[...document.querySelectorAll('svg')].every(s => s.getBoundingClientRect().width > 50)"),
        true
    );
    assert_eq!(page.value("document.querySelectorAll('.timeline svg').length"), 6);
    assert_eq!(
        page.value("[...document.querySelectorAll('.feed path')].every(p => p.getBBox().width > 0)"),
        true
    );
    // The line of drift crosses its chart, about the dashed grid in the middle.
    let lines = "[...document.querySelectorAll('.drift path.trace')].map(p => p.getBBox())";
    assert_eq!(page.value(&format!("{lines}.length > 0 && {lines}.every(b => b.width > 990)")), true);
    // The style sheet stands: without it nothing would be coloured.
    assert_eq!(page.value("getComputedStyle(document.querySelector('.verdict')).borderLeftWidth"), "8px");

    let light = page.value("getComputedStyle(document.body).backgroundColor");
    page.value("document.getElementById('theme').click()");
    assert_ne!(page.value("getComputedStyle(document.body).backgroundColor"), light);
    page.value("document.getElementById('theme').click()");
    assert_eq!(page.value("getComputedStyle(document.body).backgroundColor"), light);

    let shown = "[...document.querySelectorAll('.finding')].filter(f => f.getClientRects().length).length";
    let all = page.value(shown).as_u64().unwrap();
    let type_in = |words: &str| {
        format!(
            "{{const f = document.getElementById('filter'); f.value = '{words}'; f.dispatchEvent(new Event('input', {{bubbles: true}}))}}"
        )
    };
    assert!(all >= 2);
    page.value(&type_in("connection_drop"));
    assert_eq!(page.value(shown), 1);
    assert_eq!(page.value("document.getElementById('shown').textContent"), format!("1 of {all} shown"));
    page.value(&type_in("no such thing"));
    assert_eq!(page.value(shown), 0);
    page.value(&type_in(""));
    assert_eq!(page.value(shown), all);
    nothing_else_was_asked_for(&page);
}

/// Findings that are seen.
const SHOWN: &str =
    "[...document.querySelectorAll('.finding')].filter(f => f.getClientRects().length).length";
const BACKGROUND: &str = "getComputedStyle(document.body).backgroundColor";

#[test]
fn theme_filter_and_findings_answer_to_the_mouse() {
    let Some((mut page, _folder)) = opened(&report("drop"), 1280) else { return };
    let light = page.value(BACKGROUND);
    page.click("#theme");
    assert_ne!(page.value(BACKGROUND), light);
    page.click("#theme");
    assert_eq!(page.value(BACKGROUND), light);

    let all = page.value(SHOWN).as_u64().unwrap();
    page.click("#filter");
    page.write("connection_drop");
    assert_eq!(page.value(SHOWN), 1);
    assert_eq!(page.value("document.getElementById('shown').textContent"), format!("1 of {all} shown"));
    let drop = ".finding[data-name^=connection_drop]";
    let was = page.value(&format!("document.querySelector('{drop}').open"));
    page.click(&format!("{drop} summary"));
    assert_ne!(page.value(&format!("document.querySelector('{drop}').open")), was);
    // From the checklist to the feature it names.
    page.click(".glance a");
    assert_eq!(page.value("location.hash"), "#f0");
    nothing_else_was_asked_for(&page);
}

#[test]
fn theme_filter_and_findings_answer_to_the_keyboard() {
    let Some((mut page, _folder)) = opened(&report("drop"), 1280) else { return };
    let focus =
        "document.activeElement.id || document.activeElement.className || document.activeElement.tagName";
    // The first stop leads past everything to the checklist.
    page.press("Tab", "Tab", 9, "");
    assert_eq!(page.value(focus), "skip");
    page.press("Enter", "Enter", 13, "\r");
    page.until("location.hash === '#checks'");

    page.value("document.activeElement.blur(); scrollTo(0, 0)");
    let light = page.value(BACKGROUND);
    let reach = |page: &mut Browser, id: &str| {
        // Round the page once at most: what is not among its stops is not reached.
        let stops = page.value("document.querySelectorAll('a, button, input, select, summary').length");
        for _ in 0..stops.as_u64().unwrap() + 3 {
            page.press("Tab", "Tab", 9, "");
            if page.value(focus) == id {
                return;
            }
        }
        panic!("{id} is not reached with the Tab key");
    };
    reach(&mut page, "theme");
    page.press("Enter", "Enter", 13, "\r");
    assert_ne!(page.value(BACKGROUND), light);
    page.press(" ", "Space", 32, " ");
    assert_eq!(page.value(BACKGROUND), light);

    let all = page.value(SHOWN).as_u64().unwrap();
    reach(&mut page, "filter");
    page.write("no such thing");
    assert_eq!(page.value(SHOWN), 0);
    for _ in "no such thing".chars() {
        page.press("Backspace", "Backspace", 8, "");
    }
    assert_eq!(page.value(SHOWN), all);
    reach(&mut page, "severity");
    page.write("fail");
    assert_eq!(page.value("document.getElementById('severity').value"), "fail");
    let failing = page.value("document.querySelectorAll('.finding[data-severity=fail]').length");
    assert_eq!(page.value(SHOWN), failing);
    reach(&mut page, "SUMMARY");
    let was = page.value("document.activeElement.parentElement.open");
    page.press("Enter", "Enter", 13, "\r");
    assert_ne!(page.value("document.activeElement.parentElement.open"), was);
    nothing_else_was_asked_for(&page);
}

#[test]
fn on_paper_it_is_light_wide_and_without_controls() {
    // A4 between its margins, in pixels.
    let Some((mut page, _folder)) = opened(&report("drop"), 1280) else { return };
    page.click("#theme");
    page.on_paper(688);
    assert_eq!(page.value(BACKGROUND), "rgb(255, 255, 255)");
    let seen =
        "['.filter', '#theme', '.skip'].filter(s => document.querySelector(s).getClientRects().length)";
    assert_eq!(page.value(&format!("{seen}.length")), 0);
    let fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth";
    assert_eq!(page.value(fits), true);
    assert_eq!(page.value("getComputedStyle(document.querySelector('.cards tr')).display"), "table-row");
    let whole = "[...document.querySelectorAll('figure, tr, .sample')].every(e => \
        getComputedStyle(e).breakInside === 'avoid')";
    assert_eq!(page.value(whole), true);
    nothing_else_was_asked_for(&page);
}

#[test]
fn a_phone_needs_no_scrolling_sideways() {
    for case in ["drop", "pnl-differs", "late-revision"] {
        let Some((mut page, _folder)) = opened(&report(case), 360) else { return };
        page.value("document.querySelectorAll('details').forEach(d => d.open = true)");
        assert_eq!(page.value("document.documentElement.scrollWidth"), 360, "{case}");
        nothing_else_was_asked_for(&page);
    }
}

#[test]
fn everything_is_reached_by_keyboard_and_has_a_name() {
    let Some((mut page, _folder)) = opened(&report("pnl-differs"), 1280) else { return };
    let nameless = "[...document.querySelectorAll('svg[role=img], button, input, select')].filter(e => \
        !(e.getAttribute('aria-label') || e.closest('label'))).length";
    assert_eq!(page.value(nameless), 0);
    assert_eq!(page.value("document.documentElement.lang"), "en");
    let broken = "[...document.querySelectorAll('a')].filter(a => !document.querySelector(a.getAttribute('href'))).length";
    assert_eq!(page.value(broken), 0);
    assert_eq!(page.value("[...document.querySelectorAll('th')].every(th => th.scope)"), true);
    assert_eq!(
        page.value(
            "new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size === \
        document.querySelectorAll('[id]').length"
        ),
        true
    );
}

#[test]
fn a_printed_page_has_every_finding_open() {
    let Some((mut page, _folder)) = opened(&report("drop"), 1280) else { return };
    page.value(
        "window.wasOpen = 0; addEventListener('beforeprint', () => \
        window.wasOpen = document.querySelectorAll('details:not([open])').length === 0)",
    );
    assert!(page.printed().starts_with("JVBERi0"), "a PDF");
    assert_eq!(page.value("window.wasOpen"), true);
    nothing_else_was_asked_for(&page);
}

#[test]
fn what_a_server_sent_stays_text() {
    let attacks = [
        "</td><script>window.hit = 1</script>",
        "\"><img src=x onerror=window.hit=1>",
        "javascript:window.hit=1",
        "<style>body{display:none}</style>",
        "</title></style></script><svg onload=window.hit=1>",
        "<!--<script>",
        "\u{202e}gnp.exe\u{2066}\u{200f}",
        "\u{1b}[31m\u{7}\u{0}\u{85}",
        "{{7*7}}${7*7}&lt;b&gt;",
    ];
    let mut outcome = report("pnl-differs");
    let attack = attacks.join(" ");
    outcome.tool = attack.clone();
    outcome.feeds = vec![("rest".into(), attack.clone())];
    outcome.notes = vec![attack.clone()];
    outcome.reviewers = vec![attack.clone()];
    outcome.capture_sha256 = vec![attack.clone()];
    let feature = &mut outcome.features[0];
    (feature.name, feature.flag) = (attack.as_str().into(), attack.clone());
    feature.measures.fields[0].field = attack.clone();
    for check in &mut feature.checks {
        (check.observed, check.limit, check.evidence, check.note) =
            (attack.clone(), attack.clone(), attack.clone(), attack.clone());
    }
    for sample in &mut outcome.samples {
        sample.stream = attack.as_str().into();
        (sample.rest, sample.ws, sample.detail, sample.field) =
            (attack.clone(), attack.clone(), attack.clone(), attack.clone());
        (sample.rest_record, sample.ws_record) = (attack.clone(), format!("{{\"a\": {:?}}}", attack));
    }
    let Some((mut page, _folder)) = opened(&outcome, 1280) else { return };
    page.value("document.querySelectorAll('details').forEach(d => d.open = true)");
    assert_eq!(page.value("typeof window.hit"), "undefined");
    assert_eq!(page.value("document.querySelectorAll('script').length"), 1);
    assert_eq!(page.value("document.querySelectorAll('style').length"), 1);
    assert_eq!(
        page.value("document.querySelectorAll('img, iframe, object, form, [onload], [onerror]').length"),
        0
    );
    assert_eq!(page.value("[...document.links].every(a => a.getAttribute('href').startsWith('#'))"), true);
    let text = page.value("document.body.innerText");
    let text = text.as_str().unwrap();
    for seen in [
        "<script>window.hit = 1</script>",
        "javascript:window.hit=1",
        "U+202E",
        "U+001B",
        "U+0000",
        "${7*7}&lt;b&gt;",
    ] {
        assert!(text.contains(seen), "{seen}");
    }
    assert!(!text.contains('\u{202e}') && !text.contains('\u{1b}'));
    // Nor do they make the page wider, or reach what is not seen: titles, labels, links.
    page.width(360);
    assert_eq!(page.value("document.documentElement.scrollWidth"), 360);
    let hidden = "[...document.querySelectorAll('*')].every(e => [...e.attributes].every(a => \
        !/[\\u0000-\\u001f\\u0085\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]/.test(a.value)))";
    assert_eq!(page.value(hidden), true);
    nothing_else_was_asked_for(&page);
}

#[test]
fn the_sample_is_what_its_script_makes() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let mut script = std::process::Command::new("bash");
    script.arg(root.join("scripts/sample-page.sh")).arg("--into").arg(folder.path());
    assert!(script.env("CUTOVER", env!("CARGO_BIN_EXE_cutover")).status().unwrap().success());
    let made = std::fs::read(folder.path().join(html::FILE)).unwrap();
    let stored = std::fs::read(root.join("reports/sample").join(html::FILE)).unwrap();
    assert!(made == stored, "the page has changed; if that is wanted: scripts/sample-page.sh");
    assert!(made.len() < 2 << 20, "{} bytes", made.len());
}
