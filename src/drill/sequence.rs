//! Mutants of the sequence of messages: some missing, repeated, overtaken, late, or one version for
//! ever.

use super::mutant::{Expect, Mutant, Place, Range, Target};
use super::stage::{Sight, Stage, StreamSights};
use super::tape::Edits;
use crate::contract::{Align, Cadence};
use crate::model::{Class, Event, Span, Timestamp};
use std::collections::BTreeMap;

/// The least by which an instant can be told from another.
const MOMENT: Span = Span::from_millis(1);
/// Intervals for which a stream is silent or repeats itself.
const LONG: usize = 5;
/// Versions missing in a row.
const SEVERAL: usize = 3;

pub fn add(range: &mut Range<'_>) {
    missing(range);
    silences(range);
    duplicates(range);
    overtaken(range);
    delays(range);
    deadlines(range);
    frozen(range);
}

/// A stream's messages by version, in the order in which each was first said.
fn versions(stage: &Stage, stream: &StreamSights) -> Vec<Vec<usize>> {
    if stage.feature().align == Align::Arrival {
        return (0..stream.ws.len()).map(|i| vec![i]).collect();
    }
    let mut by_event: BTreeMap<Timestamp, Vec<usize>> = BTreeMap::new();
    for (i, sight) in stream.ws.iter().enumerate() {
        if let Some(event) = sight.event {
            by_event.entry(event).or_default().push(i);
        }
    }
    let mut versions: Vec<Vec<usize>> = by_event.into_values().collect();
    versions.sort_by_key(|version| version[0]);
    versions
}

/// Takes messages of one stream out of their frames.
fn take_all(stage: &Stage, edits: &mut Edits<'_>, stream: &StreamSights, which: &[usize]) {
    // Of several records of one frame the last one goes first.
    for i in which.iter().rev() {
        stage.take(edits, &stream.ws[*i]);
    }
}

fn mutant<'s>(
    class: Class,
    size: &str,
    change: String,
    place: Place,
    expect: Expect,
    edits: Edits<'s>,
) -> Mutant<'s> {
    Mutant { class, field: String::new(), size: size.into(), change, place, expect, edits }
}

fn missing(range: &mut Range<'_>) {
    let stage = range.stage;
    for (size, count) in [("one version", 1), ("several in a row", SEVERAL)] {
        for target in range.pick(&format!("missing {count}"), &range.targets) {
            let stream = range.stream(&target);
            let all = versions(stage, stream);
            let Some(first) = target.ws.first().and_then(|i| all.iter().position(|v| v.contains(i))) else {
                continue;
            };
            // The last one is left, so that the silence has an end.
            let until = (first + count).min(all.len().saturating_sub(1));
            let gone: Vec<usize> = all[first..until.max(first)].iter().flatten().copied().collect();
            let mut edits = range.edits();
            let mut sorted = gone.clone();
            sorted.sort_unstable();
            take_all(stage, &mut edits, stream, &sorted);
            let change = format!("{} not sent", words(sorted.len(), "message"));
            let place = super::values::place(range, &target, "");
            let expect = unless_on_change(stage, &target);
            range.push(mutant(Class::MissingOnWs, size, change, place, expect, edits));
        }
    }
    if range.targets.is_empty() {
        range.not(Class::MissingOnWs, "", "no version of the slice stands on both sides");
    }
    for s in range.pick_n("a whole stream", &shown(stage), 1) {
        let stream = &stage.streams[s];
        let mut edits = range.edits();
        take_all(stage, &mut edits, stream, &(0..stream.ws.len()).collect::<Vec<_>>());
        let place = Place { event: None, ..range.place(s, &stream.ws[0]) };
        let change = format!("none of its {} sent", words(stream.ws.len(), "message"));
        range.push(mutant(Class::MissingOnWs, "a whole stream", change, place, Expect::Seen, edits));
    }
    for s in range.pick_n("the last", &shown(stage), 1) {
        let stream = &stage.streams[s];
        let Some(last) = versions(stage, stream).pop() else { continue };
        let mut edits = range.edits();
        take_all(stage, &mut edits, stream, &last);
        let why = "at the end of a recording nothing is missing until its settle has passed";
        let place = range.place(s, &stream.ws[last[0]]);
        let change = "the last version not sent".to_string();
        range.push(mutant(
            Class::MissingOnWs,
            "the last version",
            change,
            place,
            Expect::Unsure(why.into()),
            edits,
        ));
    }
}

fn unless_on_change(stage: &Stage, target: &Target) -> Expect {
    match (stage.feature().cadence, target.rest.is_empty()) {
        (Cadence::OnChange, _) if stage.feature().align == Align::Arrival => Expect::Unsure(
            "`cadence = \"on-change\"`: a message that repeats what was said before may be left out".into(),
        ),
        _ => Expect::Seen,
    }
}

/// Streams that both sides show.
fn shown(stage: &Stage) -> Vec<usize> {
    let both = |s: &usize| !stage.streams[*s].ws.is_empty() && !stage.streams[*s].rest.is_empty();
    (0..stage.streams.len()).filter(both).collect()
}

pub fn words(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Nothing comes of any stream for a while, with the connection open.
fn silences(range: &mut Range<'_>) {
    let (stage, class) = (range.stage, Class::Gap);
    if stage.feature().cadence == Cadence::OnChange {
        return range.not(class, "", "`cadence = \"on-change\"`: no message is due at any time");
    }
    let lasting = stage.feature().interval * LONG as i64;
    let starts: Vec<(usize, usize)> = range.messages();
    for (s, i) in range.pick("silence", &starts) {
        let from = stage.streams[s].ws[i].at;
        let mut edits = range.edits();
        let mut gone = 0;
        for (index, observation) in stage.tape.iter().enumerate() {
            let inside = observation.at >= from && observation.at <= from + lasting;
            if inside && matches!(observation.event, Event::Ws { .. }) {
                edits.remove(index);
                gone += 1;
            }
        }
        let change = format!("{} of all streams not sent in {lasting}", words(gone, "frame"));
        let place = Place { stream: String::new(), event: None, ..range.place(s, &stage.streams[s].ws[i]) };
        range.push(mutant(class, "5 intervals of silence", change, place, Expect::Seen, edits));
    }
}

fn duplicates(range: &mut Range<'_>) {
    let (stage, class) = (range.stage, Class::Duplicate);
    let half = stage.feature().interval.half();
    let mut list = range.messages();
    if stage.feature().align == Align::Bucket {
        list.retain(|(s, i)| sent_once(&stage.streams[*s], *i));
    }
    if list.is_empty() {
        return range.not(class, "", "bars are sent while they form, and to repeat one is no duplicate");
    }
    for (size, after) in [("at once", MOMENT), ("just within half an interval", half - MOMENT)] {
        let free = |(s, i): &(usize, usize)| {
            let ws = &stage.streams[*s].ws;
            ws.get(*i + 1).is_some_and(|next| next.at > ws[*i].at + after)
        };
        let fitting: Vec<(usize, usize)> = list.iter().copied().filter(free).collect();
        for (s, i) in range.pick(&format!("duplicate {size}"), &fitting) {
            let sight = &stage.streams[s].ws[i];
            let mut edits = range.edits();
            if let Some(text) = stage.message(&edits, sight) {
                edits.send(sight.body, sight.at + after, text);
            }
            let change = format!("the message sent again after {after}");
            range.push(mutant(class, size, change, range.place(s, sight), Expect::Seen, edits));
        }
    }
}

/// Whether a stream of bars tells each of them in a single message around here.
fn sent_once(stream: &StreamSights, i: usize) -> bool {
    let event = |i: usize| stream.ws.get(i).and_then(|s| s.event);
    let alone =
        |i: usize| event(i).is_some() && stream.ws.iter().filter(|s| s.event == event(i)).count() == 1;
    i > 0 && alone(i) && alone(i - 1) && event(i - 1) < event(i)
}

fn overtaken(range: &mut Range<'_>) {
    let (stage, class) = (range.stage, Class::OutOfOrder);
    if stage.feature().align != Align::Time {
        return range.not(class, "", "messages have an order of their own in `time` features alone");
    }
    let tolerance = stage.feature().time_tolerance;
    let older = |s: usize, i: usize| {
        let ws = &stage.streams[s].ws;
        let event = ws[i].event?;
        (0..i).rev().find(|j| ws[*j].event.is_some_and(|e| e + tolerance < event))
    };
    let fitting: Vec<(usize, usize, usize)> =
        range.messages().into_iter().filter_map(|(s, i)| Some((s, i, older(s, i)?))).collect();
    if fitting.is_empty() {
        range.not(class, "", "no stream has two versions in the slice");
    }
    for (s, i, old) in range.pick("overtaken", &fitting) {
        let stream = &stage.streams[s];
        let mut edits = range.edits();
        if let Some(text) = stage.message(&edits, &stream.ws[old]) {
            edits.send(stream.ws[old].body, stream.ws[i].at + MOMENT, text);
        }
        let place = Place { event: stream.ws[old].event, ..range.place(s, &stream.ws[i]) };
        let change = "the version before sent once more behind it".to_string();
        range.push(mutant(class, "an older version behind a newer", change, place, Expect::Seen, edits));
    }
}

/// A version told by a single message, and until when that message may come without being missed.
struct Movable {
    stream: usize,
    message: usize,
    event: Timestamp,
    /// The last instant at which it is in time.
    deadline: Timestamp,
    /// When the stream's next message comes.
    next: Timestamp,
}

fn movable(range: &Range<'_>) -> Vec<Movable> {
    let stage = range.stage;
    let settle = stage.settle();
    let one = |target: &Target| {
        let stream = &stage.streams[target.stream];
        let (event, [message]) = (target.event?, target.ws.as_slice()) else { return None };
        // The first version of a stream may be older than the recording.
        let shown_before = stream.rest.iter().any(|r| r.event.is_some_and(|e| e < event));
        let deadline = match stage.feature().align {
            Align::Time => stream.rest[*target.rest.first()?].at + settle,
            Align::Bucket => {
                let later = stream.rest.iter().filter(|r| r.event.is_some_and(|e| e > event));
                later.map(|r| r.at).min()? + settle
            }
            Align::Arrival => return None,
        };
        let next = stream.ws.get(message + 1)?.at;
        shown_before.then_some(Movable { stream: target.stream, message: *message, event, deadline, next })
    };
    range.targets.iter().filter_map(one).collect()
}

/// Sends a message at another instant.
fn moved<'s>(range: &Range<'s>, stream: usize, message: usize, at: Timestamp) -> Option<Edits<'s>> {
    let stage = range.stage;
    let sight = &stage.streams[stream].ws[message];
    let mut edits = range.edits();
    let text = stage.message(&edits, sight)?;
    stage.take(&mut edits, sight);
    edits.send(sight.body, at, text);
    Some(edits)
}

/// `max_delay`: above the smallest delay of the stream.
fn delays(range: &mut Range<'_>) {
    let (stage, class) = (range.stage, Class::Late);
    if stage.feature().time.is_none() || stage.feature().align == Align::Arrival {
        return range.not(class, "", "without an event time nothing is known to be late");
    }
    let most = stage.feature().max_delay;
    for (size, beyond) in [("just within max_delay", -MOMENT), ("just beyond max_delay", MOMENT)] {
        let mut fitting = Vec::new();
        for m in movable(range) {
            let stream = &stage.streams[m.stream];
            let Some(smallest) = smallest_delay(stage, stream, m.message) else { continue };
            let at = m.event + smallest + most + beyond;
            let told = stage.feature().align == Align::Time || sent_once(stream, m.message);
            if told && at > stream.ws[m.message].at && at <= m.deadline && at < m.next {
                fitting.push((m.stream, m.message, at));
            }
        }
        if fitting.is_empty() {
            range.not(
                class,
                "",
                format!("{size}: so late a version would be missing, or met by the next one"),
            );
        }
        for (s, i, at) in range.pick("late", &fitting) {
            let Some(edits) = moved(range, s, i, at) else { continue };
            let sight = &stage.streams[s].ws[i];
            let expect = match beyond < Span::ZERO {
                true => Expect::Within(format!("`max_delay` is {most} above the stream's smallest delay")),
                false => Expect::Seen,
            };
            let change = format!("{} later", at - sight.at);
            let place = Place { at, ..range.place(s, sight) };
            range.push(mutant(class, size, change, place, expect, edits));
        }
    }
}

/// The smallest delay that counts, with one message left out.
fn smallest_delay(stage: &Stage, stream: &StreamSights, without: usize) -> Option<Span> {
    let opens: Vec<Timestamp> =
        stage.tape.iter().filter(|o| matches!(o.event, Event::WsOpen { .. })).map(|o| o.at).collect();
    let opened = |at: Timestamp| opens.iter().rev().find(|open| **open <= at).copied();
    let mut newest: Option<Timestamp> = None;
    let mut smallest: Option<Span> = None;
    for (i, sight) in stream.ws.iter().enumerate() {
        let Some(event) = sight.event else { continue };
        let first_arrival = newest.is_none_or(|n| event > n);
        newest = newest.max(Some(event));
        // The first one after an open tells nothing.
        let first_after_open = i == 0 || opened(stream.ws[i - 1].at) != opened(sight.at);
        let told = stage.feature().align != Align::Bucket || sent_once(stream, i);
        if first_arrival && !first_after_open && told && i != without {
            let delay = sight.at - event;
            smallest = Some(smallest.map_or(delay, |s| s.min(delay)));
        }
    }
    smallest
}

/// `settle`: how long the other side is waited for.
fn deadlines(range: &mut Range<'_>) {
    let (stage, class) = (range.stage, Class::MissingOnWs);
    if stage.feature().align == Align::Arrival {
        return;
    }
    for (size, beyond) in [("at the end of its settle", Span::ZERO), ("just beyond its settle", MOMENT)] {
        let fitting: Vec<(usize, usize, Timestamp)> = movable(range)
            .into_iter()
            .map(|m| (m.stream, m.message, m.deadline + beyond, m.next))
            .filter(|(s, i, at, next)| *at > stage.streams[*s].ws[*i].at && at < next)
            .map(|(s, i, at, _)| (s, i, at))
            .collect();
        if fitting.is_empty() {
            range.not(class, "", format!("{size}: the stream's next message comes before"));
        }
        for (s, i, at) in range.pick("deadline", &fitting) {
            let Some(edits) = moved(range, s, i, at) else { continue };
            let sight = &stage.streams[s].ws[i];
            let expect = match beyond > Span::ZERO {
                true => Expect::Seen,
                false => Expect::Within(format!(
                    "`settle` is {}, and at the deadline still counts",
                    stage.settle()
                )),
            };
            let change = format!("{} later", at - sight.at);
            let place = Place { at, ..range.place(s, sight) };
            range.push(mutant(class, size, change, place, expect, edits));
        }
    }
}

/// One version is repeated instead of newer ones.
fn frozen(range: &mut Range<'_>) {
    let (stage, class) = (range.stage, Class::Frozen);
    let before = range.mutants.len();
    for (size, count) in [("one message repeats the version before", 1), ("5 intervals of one version", LONG)]
    {
        for target in range.pick(&format!("frozen {count}"), &range.targets) {
            let stream = range.stream(&target);
            let all = versions(stage, stream);
            let Some(first) = target.ws.first().and_then(|i| all.iter().position(|v| v.contains(i))) else {
                continue;
            };
            let Some(kept) = all[first].last() else { continue };
            let mut edits = range.edits();
            let followed = &all[first + 1..(first + 1 + count).min(all.len())];
            let struck: Vec<usize> = followed.iter().flatten().copied().collect();
            for i in &struck {
                repeat(stage, &mut edits, &stream.ws[*kept], &stream.ws[*i]);
            }
            let change = format!("{} carry the version before", words(struck.len(), "message"));
            let shown = |now: &Sight| stream.rest.iter().any(|rest| rest.event == now.event);
            let expect = match (stage.feature().align, count) {
                (Align::Arrival, 1) => Expect::Unsure(
                    "without an event time the message before counts as well as the present one".into(),
                ),
                _ if followed.len() < count => {
                    Expect::Unsure("the recording ends before so many versions".into())
                }
                (_, 1) if !struck.iter().any(|i| shown(&stream.ws[*i])) => {
                    Expect::Unsure("no poll shows the version that is left out".into())
                }
                _ => Expect::Seen,
            };
            let place = super::values::place(range, &target, "");
            range.push(mutant(class, size, change, place, expect, edits));
        }
    }
    if range.mutants.len() == before {
        range.not(class, "", "no version of the slice is followed by another one");
    }
}

fn repeat(stage: &Stage, edits: &mut Edits<'_>, old: &Sight, now: &Sight) {
    let records = |edits: &Edits<'_>, sight: &Sight| {
        let text = edits.text(sight.body)?;
        stage.body(sight.body, text).map(|(_, body)| body.records)
    };
    // What stands outside the record belongs to it, where it is the only one.
    if records(edits, old) == Some(1) && records(edits, now) == Some(1) {
        if let Some(text) = edits.text(old.body).map(str::to_string)
            && edits.text(now.body) != Some(&text)
        {
            edits.rewrite(now.body, text);
        }
    } else if let Some(record) = stage.record_text(old) {
        stage.put(edits, now, &record);
    }
}
