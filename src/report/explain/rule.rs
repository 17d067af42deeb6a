//! Owns the rules of SPEC §5 and §6 in words: which one decided that a finding is one. Must not judge.

use crate::contract::Align;
use crate::model::Class;

/// The section, and the rule as a sentence.
pub(super) fn of(class: Class, align: Option<Align>) -> (&'static str, &'static str) {
    match class {
        Class::ValueMismatch | Class::MissingRow | Class::ExtraRow => compared(align),
        Class::TornRead => (
            "5.3",
            "each field that REST showed equals some message that lived while the poll was under way, but no \
             single message equals them all: REST mixed two states.",
        ),
        Class::MissingOnWs => missing(align),
        Class::MissingField | Class::NullField | Class::WrongType | Class::BadValue => (
            "6",
            "a required field is absent, null, unreadable in its declared type, or outside its `values`. On REST's \
             own side that only warns. A field that is unreadable on either side is not compared.",
        ),
        Class::Malformed => (
            "5.1",
            "the frame is no JSON, has no record where `records` points, repeats a member, is nested over 128 \
             levels, or is larger than `max_message`.",
        ),
        Class::Gap => (
            "5.6",
            "from tick to tick k = round(step / P) ticks pass, and k of 2 or more misses k - 1, unless REST, polled \
             through the step, showed nothing new in it and the stream does not repeat itself by the clock. At the \
             head and the tail a tick is missed when it is late by more than max(P/2, settle).",
        ),
        Class::OutOfOrder => ("6", "a message carries an earlier event time than the one before it."),
        Class::Frozen => (
            "5.6",
            "3 or more messages over 2P or longer repeat one version, the last of them after REST showed 2 or more \
             newer ones.",
        ),
        Class::Invariant => (
            "6",
            "a sum that the contract declares fails within one side's record, by more than the tolerance of the \
             field that stands alone in it.",
        ),
        Class::IntervalDrift => (
            "5.6",
            "the period is the least-squares slope of arrivals over ticks; its drift against the promise, or \
             against what REST really does, is beyond the limit.",
        ),
        Class::Jitter => (
            "5.6",
            "the 95th percentile of how far steps stray from the measured period is beyond the limit.",
        ),
        Class::ConnectionDrop => (
            "6",
            "the peer or the network closed the connection, with whatever code, and part of the downtime lies in \
             market hours.",
        ),
        Class::ConnectFailed => ("6", "a connection failed before it was open."),
        Class::Stalled => ("6", "the connection stayed open but silent beyond its keepalive timeout."),
        Class::RestStillPolled => {
            ("7", "the frontend polled the feature's REST path although the feature's flag is true.")
        }
        Class::ResourceIncrease => {
            ("7", "CPU or memory shifted against the baseline, significantly and beyond the limit, or leaks.")
        }
        Class::LogError => ("7", "a line of the log matches one of [logs] errors."),
        Class::Revision => ("5.4", "a bar changed after it had been judged, later than `revise_for` allows."),
        Class::Duplicate => ("6", "the same version came again within P/2 of the last tick."),
        Class::Late => (
            "6",
            "the first arrival of a version lies beyond `max_delay` above the stream's smallest delay; of a bar, after \
             it was judged.",
        ),
        Class::UnknownType => {
            ("5.1", "a message without a type, or of one that no feature declares and nothing ignores.")
        }
        Class::RestError => {
            ("5.1", "the control failed, or its body could not be read: it showed nothing then.")
        }
        Class::UnknownStream => ("6", "the WebSocket sends a key that REST never shows."),
        Class::CalendarMismatch => (
            "6",
            "the status says open while the market's calendar is closed, or the other way round, for longer than a \
             status may be old (an interval and a settle).",
        ),
        Class::TypeDiffers => ("3", "the values are equal, but of another JSON type on each side."),
        Class::UnexpectedField => ("6", "a member that the contract does not declare."),
        Class::RestStale => (
            "5.2",
            "a poll whose whole window lies more than a settle inside the life of a WebSocket version still showed an \
             older one.",
        ),
    }
}

fn compared(align: Option<Align>) -> (&'static str, &'static str) {
    match align {
        Some(Align::Arrival) => (
            "5.3",
            "what REST showed was formed somewhere between sent and received. It is held against every message that \
             lived then (a settle either way), the one before them, and the one that follows by received + P + \
             settle. None is equal, so the nearest one stands here.",
        ),
        Some(Align::Bucket) => (
            "5.4",
            "a settle after REST first showed a later bucket, the last message of the bucket is held against REST's \
             last snapshot of it: all fields where that is final, else only what cannot shrink.",
        ),
        _ => (
            "5.2",
            "a REST version is paired with the messages of equal event time that came by received + settle (what \
             REST changed under one event time: + P + settle). None of them is equal beyond the fields' tolerances, \
             or what was equal had been taken back, for long or for two versions in a row; so the last to arrive \
             stands here.",
        ),
    }
}

fn missing(align: Option<Align>) -> (&'static str, &'static str) {
    match align {
        Some(Align::Arrival) => (
            "5.3",
            "no message of the stream lived while the poll was under way (a settle either way), a message lives for \
             2P + settle at most, and none followed by received + P + settle.",
        ),
        Some(Align::Bucket) => (
            "5.4",
            "REST first showed the bucket after the connection had been open for a settle, its message was not due \
             before that, and by a settle after REST showed a later bucket none had come.",
        ),
        _ => (
            "5.2",
            "the version was born while we listened (an earlier poll still showed an older one, and by its event time \
             its message was not due before), and none came by received + settle.",
        ),
    }
}
