use super::*;
use crate::evidence::beside::{Known, There};
use crate::report::sample;

const F: &str = "positions";
const P: Phase = Phase::BeforeDeleting;

fn key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn given(name: &str) -> GivenRun {
    let run = Run {
        name: name.into(),
        report_sha256: sha256(name.as_bytes()),
        contract_sha256: "contract".into(),
        capture_sha256: vec![format!("capture of {name}")],
        files: Files::new(),
    };
    GivenRun { run, failed: false, folder: Folder::default() }
}

fn evidence(runs: &[GivenRun]) -> Evidence {
    Evidence { runs: runs.to_vec(), set_aside: Vec::new() }
}

fn signed(runs: &[GivenRun]) -> Signature {
    let at = Timestamp::parse_rfc3339("2026-01-05T10:00:00Z").unwrap();
    sign(&key(1), (F, P), ("ann", at), &evidence(runs))
}

fn ann() -> Vec<String> {
    vec![format!("ann ed25519:{}", public_key(&key(1)))]
}

#[test]
fn what_is_written_is_read_and_the_order_of_runs_does_not_count() {
    let (a, b) = (given("a"), given("b"));
    let signature = signed(&[a.clone(), b.clone()]);
    assert_eq!(Signature::from_json(&signature.to_json()), Ok(signature.clone()));
    assert_eq!(signature, signed(&[b.clone(), a.clone(), b.clone()]));
    assert_eq!(signature.standing(&evidence(&[b, a]), &ann()), Standing::Valid(String::new()));
}

#[test]
fn no_byte_of_a_signature_may_change() {
    let signature = signed(&[given("a")]);
    let text = signature.to_json();
    for i in 0..text.len() {
        let mut changed = text.clone();
        changed[i] ^= 1;
        // Blanks between members are no part of what is said.
        match Signature::from_json(&changed) {
            Err(_) => {}
            Ok(read) => {
                assert_eq!((read, text[i].is_ascii_whitespace()), (signature.clone(), true), "byte {i}")
            }
        }
    }
}

#[test]
fn what_changed_since_is_told() {
    let signature = signed(&[given("a"), given("b")]);
    let of = |change: fn(&mut Vec<GivenRun>)| {
        let mut runs = vec![given("a"), given("b")];
        change(&mut runs);
        signature.standing(&evidence(&runs), &ann())
    };
    let broken = |words: &str| Standing::Broken(words.into());
    let [a, c] = ["a", "c"].map(|name| sha256(name.as_bytes()));
    let lacking = |words: &str| Standing::Lacking(words.into());
    assert_eq!(of(|_| {}), Standing::Valid(String::new()));
    assert_eq!(
        of(|r| r[0].run.report_sha256 = "x".into()),
        broken(&format!("a was changed after it was signed: {a} was signed, x is there"))
    );
    assert_eq!(
        of(|r| r[1].run.contract_sha256 = "x".into()),
        broken("b is judged by another contract than was signed: contract was signed, x is there")
    );
    assert_eq!(
        of(|r| {
            r[1].run.capture_sha256 = vec!["x".into()];
            r[1].run.report_sha256 = "x".into();
        }),
        broken("b is made from another capture than was signed: capture of b was signed, x is there")
    );
    assert_eq!(
        of(|r| r.push(GivenRun { failed: true, ..given("c") })),
        broken("c came after the signature, and fails")
    );
    assert_eq!(of(|r| r.push(given("c"))), lacking("c came after the signature; sign again"));
    assert_eq!(
        of(|r| {
            r.push(given("c"));
            r[2].run.contract_sha256 = "x".into();
        }),
        broken("c came after the signature, by another contract")
    );
    assert_eq!(of(|r| drop(r.pop())), lacking("b was signed and is not given"));
    // A second report of a signed recording.
    let again = |r: &mut Vec<GivenRun>| {
        r.push(given("c"));
        r[2].run.capture_sha256 = r[0].run.capture_sha256.clone();
    };
    assert_eq!(
        of(again),
        broken(&format!("c was changed after it was signed: {a} was signed, {c} is there"))
    );
    // A capture beside its report.
    let spoilt = |r: &mut Vec<GivenRun>| {
        let there = There { file: "b/capture.jsonl".into(), name: None, found: Ok("x".into()) };
        r[1].folder.known = Known::of(&r[1].run.capture_sha256, &Files::new());
        r[1].folder.there = Some(vec![there]);
    };
    let why = "b/capture.jsonl was changed after it was judged: capture of b was signed, x is there";
    assert_eq!(of(spoilt), broken(why));
    let gone = |r: &mut Vec<GivenRun>| {
        r[1].folder =
            Folder { known: Known::of(&r[1].run.capture_sha256, &Files::new()), there: Some(Vec::new()) };
    };
    assert_eq!(of(gone), Standing::Valid("the capture of b is not there to be checked".into()));
}

#[test]
fn a_signature_covers_the_files_beside_the_report() {
    let files = |digest: &str| Files::from([("signoff.csv".to_string(), digest.to_string())]);
    let mut with = given("a");
    with.run.files = files("s");
    let signature = signed(&[with]);
    assert_eq!(Signature::from_json(&signature.to_json()), Ok(signature.clone()));
    // Its digest is another one; what was signed before files were covered reads as it did.
    let plain = signed(&[given("a")]);
    assert_ne!(plain.statement.evidence_sha256, signature.statement.evidence_sha256);
    assert!(!String::from_utf8(plain.to_json()).unwrap().contains("files"));
    let contract = "contract";
    let line = format!("{} {contract} capture of a", sha256(b"a"));
    let text = format!("cutover evidence 1\n\"positions\" before-deleting\n{line}\n");
    assert_eq!(plain.statement.evidence_sha256, sha256(text.as_bytes()));

    let standing = |signature: &Signature, found: Option<&str>, known: &[Known]| {
        let mut run = given("a");
        let name = Some("signoff.csv".to_string());
        let there = |found: &str| There { file: "a/signoff.csv".into(), name, found: Ok(found.into()) };
        run.folder = Folder { known: known.to_vec(), there: Some(found.map(there).into_iter().collect()) };
        signature.standing(&evidence(&[run]), &ann())
    };
    let valid = |words: &str| Standing::Valid(words.into());
    let gone = "signoff.csv of a is not there to be checked";
    let stored = [Known::file("signoff.csv", "s")];
    for known in [&[][..], &stored] {
        assert_eq!(standing(&signature, Some("s"), known), valid(""));
        assert_eq!(standing(&signature, None, known), valid(gone));
        let Standing::Broken(why) = standing(&signature, Some("x"), known) else { panic!("x is not s") };
        let words = "a/signoff.csv was changed after it was judged: s was signed, x is there; put back";
        assert!(why.starts_with(words), "{why}");
    }
    // An older signature leaves it to the chain.
    assert_eq!(standing(&plain, Some("x"), &[]), valid(""));
    assert!(matches!(standing(&plain, Some("x"), &stored), Standing::Broken(_)));
    // A chain that was written anew does not help.
    assert!(matches!(
        standing(&signature, Some("x"), &[Known::file("signoff.csv", "x")]),
        Standing::Broken(_)
    ));
}

#[test]
fn what_was_set_aside_is_part_of_what_is_signed() {
    let aside = |reason: &str| Aside {
        at: "2026-01-04T10:00:00Z".into(),
        by: "ann".into(),
        reason: reason.into(),
        report_sha256: vec!["x".into(), "y".into()],
    };
    let with = |set_aside: &[Aside]| Evidence { set_aside: set_aside.to_vec(), ..evidence(&[given("b")]) };
    let at = Timestamp::parse_rfc3339("2026-01-05T10:00:00Z").unwrap();
    let signature = sign(&key(1), (F, P), ("ann", at), &with(&[aside("fixed")]));
    assert_eq!(Signature::from_json(&signature.to_json()), Ok(signature.clone()));
    let plain = signed(&[given("b")]);
    assert_ne!(plain.statement.evidence_sha256, signature.statement.evidence_sha256);
    // What was signed before anything could be set aside reads as it did.
    assert!(!String::from_utf8(plain.to_json()).unwrap().contains("set_aside"));
    let standing = |set_aside: &[Aside]| signature.standing(&with(set_aside), &ann());
    assert_eq!(standing(&[aside("fixed")]), Standing::Valid(String::new()));
    let words = "2 earlier runs of positions set aside on 2026-01-04T10:00:00Z by ann";
    let lacking = |words: String| Standing::Lacking(words);
    assert_eq!(standing(&[]), lacking(format!("{words}: fixed, as was signed; that is not given")));
    let later = [aside("fixed"), aside("moved")];
    assert_eq!(standing(&later), lacking(format!("{words}: moved, after the signature; sign again")));
    // Whoever signs the sheet sees it in its row.
    let outcome = sign_off(sample::passing(), F, &with(&[aside("fixed")]), &[]);
    let csv = String::from_utf8(crate::report::signoff::to_csv(&outcome)).unwrap();
    let row = csv.lines().find(|row| row.starts_with(F) && row.contains(CHECK.name)).unwrap();
    assert!(row.contains(&format!("{words}: fixed")), "{row}");
}

#[test]
fn whose_key_it_is() {
    let runs = [given("a")];
    let signature = signed(&runs);
    let runs = evidence(&runs);
    let undeclared = signature.standing(&runs, &["ann".into()]);
    assert_eq!(undeclared, Standing::Valid("key not declared in the contract".into()));
    let other = [format!("ann ed25519:{}", public_key(&key(2)))];
    let Standing::Broken(why) = signature.standing(&runs, &other) else { panic!("a forged key is valid") };
    assert!(why.starts_with("signed with an unknown key"), "{why}");
    assert!(matches!(signature.standing(&runs, &["bob".into()]), Standing::Broken(_)));
}

fn gate(
    reviewers: Vec<String>,
    files: &[(String, Result<Signature, NotASignature>)],
) -> (Verdict, String, Outcome) {
    let mut outcome = Outcome { reviewers, ..sample::passing() };
    for check in outcome.features.iter_mut().flat_map(|f| &mut f.checks) {
        check.verdict = Some(if check.check == CHECK.name { Verdict::Inconclusive } else { Verdict::Pass });
    }
    outcome.features.retain(|f| *f.name == *F);
    let outcome = sign_off(outcome, F, &evidence(&[given("a")]), files);
    let check = outcome.features[0].checks.iter().find(|c| c.check == CHECK.name).unwrap();
    assert_eq!(check.verdict, Some(outcome.verdict));
    (outcome.verdict, check.note.clone(), outcome)
}

#[test]
fn the_gate_wants_every_reviewer_and_shows_who_signed() {
    let file = || ("signatures/a.json".to_string(), Ok(signed(&[given("a")])));
    let (verdict, note, outcome) = gate(ann(), &[file()]);
    assert_eq!((verdict, &*note), (Verdict::Pass, ""));
    let csv = String::from_utf8(crate::report::signoff::to_csv(&outcome)).unwrap();
    assert_eq!(csv.matches(",ann,2026-01-05T10:00:00Z,").count(), csv.lines().count() - 1, "{csv}");
    let both = [ann(), vec!["bob".into()]].concat();
    let (verdict, note, _) = gate(both, &[file()]);
    assert_eq!((verdict, &*note), (Verdict::Inconclusive, "bob: has not signed"));
    assert_eq!(gate(vec![], &[file()]).0, Verdict::Inconclusive);
    let (verdict, note, _) = gate(ann(), &[file(), ("signatures/b.json".into(), Err(NotASignature::Forged))]);
    assert_eq!(verdict, Verdict::Fail);
    assert!(note.starts_with("signatures/b.json: the signature does not fit"), "{note}");
    // Another feature's or phase's signature says nothing of this one.
    let at = Timestamp::parse_rfc3339("2026-01-05T10:00:00Z").unwrap();
    for (feature, phase) in [("intraday_bar", P), (F, Phase::BeforeEnabling)] {
        let other = sign(&key(1), (feature, phase), ("ann", at), &evidence(&[given("a")]));
        assert_eq!(gate(ann(), &[("x".into(), Ok(other))]).0, Verdict::Inconclusive);
    }
}
