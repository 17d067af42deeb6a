//! An answer in pages: what follows one is asked for until nothing does, and all are one body.

use super::exchange::{Answer, Failure};
use crate::contract::Pages;
use serde_json::Value;
use url::Url;

/// The pages of one poll so far.
#[derive(Debug)]
pub(super) struct Stack<'p> {
    pages: &'p Pages,
    most_bytes: u64,
    bodies: Vec<u8>,
    count: u64,
}

impl<'p> Stack<'p> {
    pub(super) fn new(pages: &'p Pages, most_bytes: u64) -> Stack<'p> {
        Stack { pages, most_bytes, bodies: Vec::new(), count: 0 }
    }

    /// Takes a page and tells where the next one is; a page in itself that is no JSON is an error.
    pub(super) fn add(&mut self, asked: &Url, answer: &Answer) -> Result<Option<Url>, Failure> {
        let failed =
            |error, detail| Failure { error, status: Some(answer.status), detail, retry_after: None };
        let page: Value = serde_json::from_slice(&answer.body)
            .map_err(|_| failed("body", format!("page {} is no JSON", self.count + 1)))?;
        self.bodies.push(if self.count == 0 { b'[' } else { b',' });
        self.bodies.extend_from_slice(&answer.body);
        self.count += 1;
        if self.bodies.len() as u64 > self.most_bytes {
            return Err(failed("too_big", format!("the pages are over max_body, {} bytes", self.most_bytes)));
        }
        let Some(next) = self.next(asked, &page) else { return Ok(None) };
        if self.count >= self.pages.most {
            let most = self.pages.most;
            return Err(failed("too_big", format!("more than {most} pages, which is `most` of `pages`")));
        }
        Ok(Some(next))
    }

    fn next(&self, asked: &Url, page: &Value) -> Option<Url> {
        let found = self.pages.next.find(page);
        let text = match found? {
            Value::String(text) if !text.is_empty() => text.clone(),
            Value::Number(number) if self.pages.param.is_some() => number.to_string(),
            _ => return None,
        };
        let mut next = asked.clone();
        match &self.pages.param {
            Some(param) => {
                let kept: Vec<(String, String)> = asked
                    .query_pairs()
                    .filter(|(name, _)| name != param)
                    .map(|(n, v)| (n.into(), v.into()))
                    .collect();
                next.query_pairs_mut().clear().extend_pairs(kept).append_pair(param, &text);
            }
            None => {
                // A back end behind a proxy names itself as it is called there; the way to it is ours.
                let said = asked.join(&text).ok()?;
                next.set_path(said.path());
                next.set_query(said.query());
            }
        }
        Some(next)
    }

    /// All pages as one list, as the answer of the last one.
    pub(super) fn whole(mut self, last: Answer) -> Answer {
        self.bodies.push(b']');
        Answer { body: self.bodies, ..last }
    }
}
